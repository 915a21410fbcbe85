import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { capacityOf } from '../../../protocols/relaying/capacity.ts'
import type { Capacity, Resources } from '../../../protocols/relaying/capacity.ts'
import { Ledger } from '../../../protocols/relaying/ledger.ts'
import type { Grant, Party } from '../../../protocols/relaying/ledger.ts'
import { CAPACITY_LIMITS, SERVING_LIMITS } from '../../../protocols/relaying/limits.ts'

const ROOMY: Capacity = {
  reservations: SERVING_LIMITS.maxReservations,
  circuits: SERVING_LIMITS.maxCircuits,
  limitedBy: 'configuration',
  busy: false,
}
const { member } = SERVING_LIMITS
const at = (peer: string, host?: string): Party => ({
  peer,
  ...(host === undefined ? {} : { host }),
})

function reserve(ledger: Ledger, party: Party, now = 0) {
  const refusal = ledger.admitReservation(party, now)
  if (refusal === undefined) ledger.reserved(party)
  return refusal
}

function open(ledger: Ledger, source: Party, target: string, now = 0): Grant {
  const grant = ledger.openCircuit(source, target, member, now)
  assert.ok(typeof grant === 'object', typeof grant === 'string' ? grant : '')
  return grant
}

test('one address has so many reservations, and a freed one makes room', () => {
  const ledger = new Ledger(ROOMY, 0)
  const host = '51.1.2.3'
  for (let i = 0; i < SERVING_LIMITS.maxReservationsPerIp; i++) {
    assert.equal(reserve(ledger, at(`p${i}`, host)), undefined)
  }
  assert.equal(reserve(ledger, at('more', host)), 'too-many-of-address')
  assert.equal(reserve(ledger, at('p0', host)), undefined, 'a renewal is no more')
  assert.equal(reserve(ledger, at('more', '51.1.2.4')), undefined)
  ledger.released('p3')
  ledger.released('p3')
  assert.equal(reserve(ledger, at('other', host)), undefined)
})

test('one public network has so many, and a private one has no such limit', () => {
  const ledger = new Ledger(ROOMY, 0)
  const most = SERVING_LIMITS.maxReservationsPerNetwork
  for (let i = 0; i < most; i++) {
    assert.equal(reserve(ledger, at(`a${i}`, `51.1.2.${i}`)), undefined)
    assert.equal(reserve(ledger, at(`b${i}`, `2a00:1:2::${i + 1}`)), undefined)
    assert.equal(reserve(ledger, at(`c${i}`, `10.0.0.${i}`)), undefined)
  }
  assert.equal(reserve(ledger, at('x', '51.1.2.200')), 'too-many-of-network')
  assert.equal(reserve(ledger, at('x', '2a00:1:2:3::1')), 'too-many-of-network')
  assert.equal(reserve(ledger, at('x', '10.0.0.200')), undefined)
  assert.equal(reserve(ledger, at('y', '51.1.3.1')), undefined)
})

test('a host that is full or busy takes nobody new, and keeps whom it has', () => {
  const ledger = new Ledger({ ...ROOMY, reservations: 2 }, 0)
  assert.equal(reserve(ledger, at('a')), undefined)
  assert.equal(reserve(ledger, at('b')), undefined)
  assert.equal(reserve(ledger, at('c')), 'full')
  ledger.resize({ ...ROOMY, busy: true })
  assert.equal(reserve(ledger, at('c')), 'busy')
  assert.equal(reserve(ledger, at('a')), undefined)
  assert.equal(ledger.openCircuit(at('x'), 'a', member, 0), 'busy')
  ledger.resize(ROOMY)
  assert.equal(reserve(ledger, at('c')), undefined)
  assert.deepEqual(ledger.budgets(0).refused, { full: 1, busy: 2 })
})

test('whoever asks for reservations without pause is refused, and others are not', () => {
  const ledger = new Ledger(ROOMY, 0)
  let admitted = 0
  for (let i = 0; i < 1_000; i++)
    if (reserve(ledger, at('a', '51.1.1.1'), i) === undefined) admitted++
  assert.ok(admitted <= SERVING_LIMITS.reservationRequests.burst + 1, `${admitted}`)
  assert.equal(reserve(ledger, at('b', '51.1.1.1'), 1_000), undefined)
  assert.equal(reserve(ledger, at('a', '51.1.1.1'), 60_000), undefined, 'with time it may again')
})

test('a thousand identities of one address cannot ask without pause either', () => {
  const ledger = new Ledger(ROOMY, 0)
  const refusals = Array.from({ length: 1_000 }, (_, i) => reserve(ledger, at(`p${i}`, '51.1.1.1')))
  const { burst } = SERVING_LIMITS.reservationRequestsPerIp
  assert.equal(refusals.filter((each) => each === 'too-often').length, 1_000 - burst)
  assert.equal(ledger.budgets(0).reservations.used, SERVING_LIMITS.maxReservationsPerIp)
  assert.equal(reserve(ledger, at('b', '51.1.1.2')), undefined)
})

test('requests under way are bounded, of one peer and altogether', () => {
  const ledger = new Ledger(ROOMY, 0)
  for (let i = 0; i < SERVING_LIMITS.maxRequestsPerPeer; i++)
    assert.equal(ledger.ask('a'), undefined)
  assert.equal(ledger.ask('a'), 'too-many-requests')
  assert.equal(ledger.ask('b'), undefined)
  ledger.answered('a')
  assert.equal(ledger.ask('a'), undefined)
  for (let i = 0; i < SERVING_LIMITS.maxRequests; i++) ledger.ask(`p${i}`)
  assert.equal(ledger.ask('late'), 'too-many-requests')
})

test('circuits of one peer are bounded while others still get theirs', () => {
  const ledger = new Ledger(ROOMY, 0)
  for (let i = 0; i < SERVING_LIMITS.maxCircuitsPerPeer; i++) open(ledger, at('greedy'), `t${i}`)
  assert.equal(ledger.openCircuit(at('greedy'), 'another', member, 0), 'too-many-circuits')
  assert.equal(ledger.openCircuit(at('another'), 'greedy', member, 0), 'too-many-circuits')
  open(ledger, at('modest'), 't1')
})

test('one address cannot take all the places of a peer', () => {
  const ledger = new Ledger(ROOMY, 0)
  for (let i = 0; i < SERVING_LIMITS.maxCircuitsPerPair; i++) {
    open(ledger, at(`p${i}`, '51.1.1.1'), 'target')
  }
  assert.equal(ledger.openCircuit(at('p99', '51.1.1.1'), 'target', member, 0), 'too-many-circuits')
  open(ledger, at('honest', '62.1.1.1'), 'target')
})

test('circuits of one address and of one network are bounded', () => {
  const ledger = new Ledger(ROOMY, 0)
  for (let i = 0; i < SERVING_LIMITS.maxCircuitsPerIp; i++) {
    open(ledger, at(`p${i}`, '51.1.1.1'), `t${i}`)
  }
  assert.equal(ledger.openCircuit(at('q', '51.1.1.1'), 'x', member, 0), 'too-many-of-address')
  for (let i = SERVING_LIMITS.maxCircuitsPerIp; i < SERVING_LIMITS.maxCircuitsPerNetwork; i++) {
    open(ledger, at(`p${i}`, '51.1.1.2'), `t${i}`)
  }
  assert.equal(ledger.openCircuit(at('q', '51.1.1.3'), 'x', member, 0), 'too-many-of-network')
  open(ledger, at('q', '51.1.2.3'), 'x')
})

test('a circuit costs what it carries, and an idle one nothing', () => {
  const ledger = new Ledger(ROOMY, 0)
  const before = ledger.budgets(0).bytes.left
  const grant = open(ledger, at('a'), 'b')
  assert.equal(grant.limit?.bytes, member.bytes)
  assert.ok(ledger.carried(grant, 1_000, 0))
  ledger.closeCircuit(grant)
  assert.equal(before - ledger.budgets(0).bytes.left, 1_000)
})

/** Carries through circuit after circuit what it is promised, until one is refused; returns the bytes. */
function useUp(ledger: Ledger, source: Party, target: string): number {
  for (let used = 0; ;) {
    const grant = ledger.openCircuit(source, target, member, 0)
    if (typeof grant === 'string') {
      assert.equal(grant, 'bytes-used-up')
      return used
    }
    const bytes = 2 * (grant.limit?.bytes ?? 0)
    assert.ok(ledger.carried(grant, bytes, 0), 'a promise to a single circuit is kept')
    used += bytes
    ledger.closeCircuit(grant)
  }
}

test('a peer that has used up its bytes gets no circuit until time has passed, others do', () => {
  const ledger = new Ledger(ROOMY, 0)
  const used = useUp(ledger, at('a'), 'b')
  assert.ok(used <= SERVING_LIMITS.bytesPerPeer.burst)
  assert.ok(used > SERVING_LIMITS.bytesPerPeer.burst * 0.99, `${used}`)
  open(ledger, at('c'), 'b')
  open(ledger, at('a'), 'b', 3_600_000)
})

test('identities behind one address share its bytes, and so do those of one network', () => {
  const ledger = new Ledger(ROOMY, 0)
  const of = (hosts: string[]) =>
    hosts.reduce((sum, host, i) => sum + useUp(ledger, at(`p${i} ${host}`, host), `t${i}`), 0)
  assert.ok(of(Array.from({ length: 20 }, () => '51.1.1.1')) <= SERVING_LIMITS.bytesPerIp.burst)
  const others = Array.from({ length: 20 }, (_, i) => `51.1.1.${i + 2}`)
  assert.ok(of(others) <= SERVING_LIMITS.bytesPerNetwork.burst - SERVING_LIMITS.bytesPerIp.burst)
})

test('one popular peer cannot use up what all have together', () => {
  const ledger = new Ledger(ROOMY, 0)
  let used = 0
  for (let i = 0; i < 50; i++) used += useUp(ledger, at(`p${i}`, `51.${i}.1.1`), 'popular')
  assert.ok(used <= SERVING_LIMITS.bytesPerTarget.burst)
  open(ledger, at('a', '62.1.1.1'), 'other')
})

test('circuits that share a budget are told when it is used up', () => {
  const ledger = new Ledger(ROOMY, 0)
  const grants = Array.from({ length: 16 }, (_, i) => open(ledger, at('a'), `t${i}`))
  let carried = 0
  const half = member.bytes / 2
  for (let i = 0; ledger.carried(grants[i % 16] as Grant, half, 0); i++) carried += half
  assert.equal(carried, SERVING_LIMITS.bytesPerPeer.burst)
})

test('members of a private network are counted, but promised without limit', () => {
  const ledger = new Ledger(ROOMY, 0)
  const before = ledger.budgets(0).bytes.left
  const grant = ledger.openCircuit(at('a'), 'b', undefined, 0)
  assert.ok(typeof grant === 'object')
  assert.equal(grant.limit, undefined)
  assert.equal(ledger.budgets(0).circuits.used, 1)
  assert.ok(ledger.carried(grant, 10 ** 12, 0))
  ledger.closeCircuit(grant)
  assert.equal(ledger.budgets(0).bytes.left, before)
})

test('a peer tests us by few circuits to itself at a time, which count as none', () => {
  const ledger = new Ledger(ROOMY, 0)
  assert.equal(ledger.openTest('a'), undefined)
  assert.equal(ledger.openTest('a'), undefined)
  assert.equal(ledger.openTest('a'), 'too-many-circuits')
  assert.equal(ledger.budgets(0).circuits.used, 0)
  for (let i = 0; i < 2; i++) ledger.closeTest('a')
  for (let i = 0; i < SERVING_LIMITS.maxTests; i++)
    assert.equal(ledger.openTest(`p${i}`), undefined)
  assert.equal(ledger.openTest('b'), 'too-many-circuits')
})

test('whatever is opened, carried and closed, in the end every place is free', () => {
  const peer = fc.constantFrom('a', 'b', 'c', 'd')
  const host = fc.constantFrom('51.1.1.1', '51.1.1.2', '10.0.0.1', undefined)
  const step = fc.record({
    source: peer,
    target: peer,
    host,
    used: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 120 }),
      fc.infiniteStream(fc.boolean()),
      (steps, ends) => {
        const ledger = new Ledger(ROOMY, 0)
        const grants: { grant: Grant; used: number }[] = []
        const close = ({ grant, used }: { grant: Grant; used: number }) => {
          ledger.carried(grant, Math.floor(used * 2 * (grant.limit?.bytes ?? 0)), 0)
          ledger.closeCircuit(grant)
        }
        for (const one of steps) {
          const grant = ledger.openCircuit(at(one.source, one.host), one.target, member, 0)
          if (typeof grant === 'object') grants.push({ grant, used: one.used })
          assert.ok(ledger.budgets(0).bytes.left >= 0)
          const oldest = ends.next().value === true ? grants.shift() : undefined
          if (oldest !== undefined) close(oldest)
        }
        grants.forEach(close)
        assert.equal(ledger.budgets(0).circuits.used, 0)
      },
    ),
  )
})

test('a host gives what its memory, files and connections allow', () => {
  const roomy: Resources = { memoryBytes: 2 ** 34, files: 10 ** 6, connections: 10_000, lagMs: 0 }
  const none = { reservations: 0, circuits: 0 }
  const of = (scarce: Partial<Resources>) => {
    const { reservations, limitedBy } = capacityOf({ ...roomy, ...scarce }, none)
    return `${reservations} by ${limitedBy}`
  }
  assert.equal(of({}), '512 by configuration')
  assert.equal(of({ memoryBytes: 64 * 2 ** 20 }), '128 by memory')
  assert.equal(of({ files: 256 }), '128 by files')
  assert.equal(of({ connections: 300 }), '150 by connections')
  const unknown = capacityOf({ connections: 10_000, lagMs: 0 }, none)
  assert.equal(unknown.reservations, 512, 'what cannot be measured does not limit')
})

test('what was given already does not count as taken away', () => {
  const scarce: Resources = { memoryBytes: 0, connections: 10_000, lagMs: 0 }
  const given = { reservations: 100, circuits: 7 }
  const { reservations, circuits } = capacityOf(scarce, given)
  assert.deepEqual({ reservations, circuits }, given)
})

test('a host without time is busy', () => {
  const none = { reservations: 0, circuits: 0 }
  for (const [lagMs, busy] of [
    [CAPACITY_LIMITS.busyLagMs - 1, false],
    [CAPACITY_LIMITS.busyLagMs, true],
  ] as const) {
    assert.equal(capacityOf({ connections: 1_000, lagMs }, none).busy, busy)
  }
})
