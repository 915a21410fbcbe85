import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { believed, NOTHING_KNOWN, toldTo } from '../../../protocols/hole-punching/facts.ts'
import type { SideFacts } from '../../../protocols/hole-punching/facts.ts'
import { ladder } from '../../../protocols/hole-punching/ladder.ts'
import { LIMITS } from '../../../protocols/hole-punching/limits.ts'
import { expectedOf, targetsOf } from '../../../protocols/hole-punching/targets.ts'
import { facts } from './inputs.ts'

const side = (more: Partial<SideFacts>): SideFacts => ({ ...NOTHING_KNOWN, ...more })
const home = side({
  external: [{ ip: '51.0.0.1', port: 4001 }],
  lan: [{ ip: '192.168.1.2', port: 4001 }],
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
})
const symmetric = side({
  ...home,
  lan: [],
  external: [{ ip: '51.0.1.1', port: 61_000 }],
  mapping: 'address-and-port-dependent',
})
const at = { dialsTo: () => LIMITS.dialsUnvouched, lanAfterMs: 0, rttMs: 50 }

const opens = (caller: SideFacts, callee: SideFacts) =>
  ladder(caller, callee).find(({ method }) => method === 'search')?.callerOpens

const searchComes = (worked?: 'search') =>
  ladder(home, home, worked).findIndex(({ method }) => method === 'search')

test('two symmetric NATs never search: neither port is known', () => {
  assert.ok(ladder(symmetric, symmetric).every(({ method }) => method !== 'search'))
})

test('the symmetric side opens the sockets, whoever calls', () => {
  assert.equal(opens(symmetric, home), true)
  assert.equal(opens(home, symmetric), false)
})

test('a search that is likely to be needed comes right after a short meeting', () => {
  const [first, second] = ladder(symmetric, home)
  assert.deepEqual([first?.method, second?.method], ['meet', 'search'])
  const [plain] = ladder(home, home)
  assert.ok((first?.patienceMs(50) ?? 0) < (plain?.patienceMs(50) ?? 0))
})

test('what worked is tried sooner', () => {
  assert.ok(searchComes('search') < searchComes())
})

test('whatever the facts say, it begins with a meeting, ends, and no round is endless', () => {
  fc.assert(
    fc.property(facts, facts, fc.integer({ min: 0, max: 1e9 }), (caller, callee, rttMs) => {
      const rounds = ladder(caller, callee)
      assert.equal(rounds[0]?.method, 'meet')
      assert.ok(rounds.length <= 4)
      for (const round of rounds) {
        const patienceMs = round.patienceMs(rttMs)
        assert.ok(patienceMs >= LIMITS.shortMeetLeastMs && patienceMs <= LIMITS.meetMostMs)
      }
    }),
  )
})

test('LAN addresses are told to and believed of neighbours only', () => {
  const neighbour = side({
    ...home,
    lan: [
      { ip: '192.168.1.3', port: 4001 },
      { ip: '8.8.8.8', port: 53 },
    ],
  })
  assert.deepEqual(toldTo(symmetric, home).lan, [])
  assert.deepEqual(toldTo(neighbour, home).lan, home.lan)
  assert.deepEqual(believed(neighbour, home).lan, [{ ip: '192.168.1.3', port: 4001 }])
  assert.deepEqual(believed(neighbour, symmetric).lan, [])
})

test('who is seen elsewhere is no neighbour, whatever it says', () => {
  const liar = side({ ...home, lan: [{ ip: '192.168.1.1', port: 80 }] })
  const { lan, external } = believed(liar, home, { ip: '73.0.0.7', port: 4001 })
  assert.deepEqual(lan, [])
  assert.deepEqual(external, [{ ip: '73.0.0.7', port: 4001 }])
})

test('private, loopback and multicast addresses are nobody’s outside on the internet', () => {
  for (const ip of [
    '127.0.0.1',
    '10.0.0.1',
    '192.168.1.1',
    '224.0.0.1',
    '0.0.0.0',
    'fd00::1',
    '::1',
  ]) {
    const peer = side({ external: [{ ip, port: 22 }] })
    assert.deepEqual(targetsOf(believed(peer, home), home, at), [], ip)
  }
})

test('inside one private network its addresses are outsides', () => {
  const own = side({ external: [{ ip: '10.0.0.5', port: 4001 }] })
  const peer = side({ external: [{ ip: '10.0.0.6', port: 4001 }] })
  assert.equal(targetsOf(believed(peer, own), own, at).length, 1)
})

test('a host that may not be dialled is no target', () => {
  const [target] = targetsOf(symmetric, home, at)
  assert.equal(target?.dials, LIMITS.dialsUnvouched)
  assert.deepEqual(targetsOf(symmetric, home, { ...at, dialsTo: () => 0 }), [])
})

test('a symmetric peer is expected from any port, another one from its own', () => {
  assert.deepEqual(expectedOf(symmetric)[0], { ip: '51.0.1.1' })
  assert.deepEqual(expectedOf(home)[0], { ip: '51.0.0.1', port: 4001 })
})
