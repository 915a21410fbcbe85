import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AddressBook } from '../../../protocols/peer-exchange/address-book.ts'
import { fold } from '../../../protocols/peer-exchange/ids.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../protocols/peer-exchange/snapshot.ts'
import { idOf, learnt } from './records.ts'

const HOUR = 3_600_000
const book = () => new AddressBook('self', { loopback: false, subnets: [] })
const put = (into: AddressBook, peer: string, now: number, more = {}) =>
  into.put(learnt(peer, { issuedAt: now, ...more }), now)

const at = (...hosts: string[]) => ({
  addresses: hosts.map((host) => ({ address: `/ip4/${host}/tcp/4001`, kind: 'direct' as const })),
})

const relayed = (peer: string) => ({
  addresses: [
    { address: `/ip4/9.9.9.9/tcp/1/p2p/r/p2p-circuit/p2p/${peer}`, kind: 'relayed' as const },
  ],
})

/** What the counters and the hash say, against what is there. */
function check(one: AddressBook): void {
  const entries = [...one.all()]
  let hash = 0
  for (const standing of ['heard', 'reached', 'lost'] as const) {
    const there = entries.filter((entry) => entry.standing === standing)
    assert.equal(one.count(standing), there.length, standing)
    assert.ok(there.length <= limits[standing], standing)
    if (standing !== 'lost') for (const { id, record } of there) hash ^= fold(id, record.seq)
  }
  assert.equal(one.size, entries.length)
  assert.equal(one.valid, one.count('heard') + one.count('reached'))
  assert.equal(one.setHash, hash >>> 0)
  for (const entry of entries) assert.equal(one.byId(entry.id)?.peer, entry.peer)
}

test('a peer is heard of, then reached, then lost when its record runs out, and heard of again', () => {
  const one = book()
  const standing = () => one.get('a')?.standing
  put(one, 'a', 0)
  assert.equal(standing(), 'heard')
  one.met('a', 1_000)
  assert.equal(standing(), 'heard', 'that it came to us proves no address')
  one.reached('a', 2_000)
  assert.deepEqual([standing(), one.get('a')?.reachedSince], ['reached', 2_000])
  assert.deepEqual(one.expire(2 * HOUR + limits.clockSkewMs - 1).over, [])
  assert.deepEqual(one.expire(2 * HOUR + limits.clockSkewMs).over, ['a'])
  assert.equal(standing(), 'lost')
  one.reached('a', 3 * HOUR)
  assert.equal(standing(), 'lost', 'its record is still over')
  put(one, 'a', 3 * HOUR, { seq: 2 })
  assert.equal(standing(), 'heard')
  one.reached('a', 3 * HOUR)
  assert.deepEqual([standing(), one.get('a')?.reachedSince], ['reached', 2_000])
  check(one)
})

test('dials in vain lose a peer that was heard of after two, one that was reached after three', () => {
  const one = book()
  for (const peer of ['heard', 'reached']) put(one, peer, 0)
  one.reached('reached', 0)
  assert.deepEqual(
    ['heard', 'heard', 'heard', 'reached', 'reached', 'reached'].map(
      (peer) => one.missed(peer, 1).isGivenUp,
    ),
    [false, true, false, false, false, true],
  )
  one.met('reached', 1)
  assert.equal(one.get('reached')?.standing, 'heard', 'it answers again, within its life')
  assert.equal(one.get('reached')?.misses, 0)
  assert.equal(one.missed('nobody', 1).isGivenUp, false)
  check(one)
})

test('the lost are told to nobody, and forgotten after a day or, when they were reached once, a week', () => {
  const one = book()
  for (const peer of ['heard', 'reached']) put(one, peer, 1)
  one.reached('reached', 1)
  one.expire(3 * HOUR)
  assert.deepEqual(one.fresh(3 * HOUR), [])
  assert.equal(one.setHash, 0)
  assert.deepEqual(one.expire(limits.keepHeardMs + 1), { over: [], forgotten: ['heard'] })
  assert.deepEqual(
    [...one.all()].map(({ peer }) => peer),
    ['reached'],
  )
  one.expire(limits.keepReachedMs + 1)
  assert.equal(one.size, 0)
})

test('a departure is remembered for ten minutes, and only against what is older', () => {
  const one = book()
  put(one, 'a', 0, { seq: 5 })
  assert.equal(one.bury(learnt('a', { issuedAt: 0, seq: 6 }).record, 0), true)
  assert.equal(one.get('a'), undefined)
  assert.equal(one.isNews('a', 6, limits.tombstoneMs - 1), false)
  assert.equal(one.isNews('a', 7, 0), true)
  assert.equal(one.isNews('a', 5, limits.tombstoneMs), true)
  assert.equal(one.bury(learnt('b', { issuedAt: 0 }).record, 0), false, 'it was not known')
  assert.equal(one.isNews('b', 1, 0), false, 'and does not become so by an older copy')
  for (let i = 0; i < limits.tombstones; i++) {
    one.bury(learnt(`t${i}`, { issuedAt: 0 }).record, 0)
  }
  assert.equal(one.isNews('a', 5, 0), true, 'tombstones have a limit')
  check(one)
})

test('when hearsay is full the source that told the most loses its oldest', () => {
  const one = book()
  for (let i = 0; i < 20; i++) put(one, `honest ${i}`, 0, { source: `friend ${i % 4}` })
  const gone: string[] = []
  for (let i = 0; i < 3_000; i++) {
    const evicted = put(one, `fake ${i}`, i, { source: 'mallory' })
    if (evicted !== undefined) gone.push(evicted)
  }
  assert.equal(one.count('heard'), limits.heard)
  assert.deepEqual(
    gone,
    Array.from({ length: gone.length }, (_, i) => `fake ${i}`),
  )
  assert.equal(gone.length, 3_020 - limits.heard)
  check(one)
})

test('when too many are reached the one reached last counts as heard of, and nobody leaves', () => {
  const one = book()
  for (let i = 0; i < limits.heard; i++) put(one, `p${i}`, 0, { source: `s${i}` })
  for (let i = 0; i < limits.reached; i++) one.reached(`p${i}`, i + 1)
  for (let i = 0; i < limits.reached; i++) put(one, `more ${i}`, 0, { source: `m${i}` })
  assert.deepEqual([one.count('heard'), one.count('reached')], [limits.heard, limits.reached])
  for (let i = limits.reached; i < limits.reached + 40; i++) {
    assert.equal(one.reached(`p${i}`, i + 1), undefined)
    check(one)
  }
  assert.deepEqual([one.count('heard'), one.count('reached')], [limits.heard, limits.reached])
  assert.equal(one.get('p0')?.standing, 'reached')
  assert.equal(one.get(`p${limits.reached - 1}`)?.standing, 'heard')
  assert.equal(one.get(`p${limits.reached + 39}`)?.standing, 'reached')
  check(one)
})

test('a lost peer that is back when hearsay is full takes the place of another, which is named', () => {
  const one = book()
  put(one, 'back', 0)
  one.missed('back', 1)
  one.missed('back', 1)
  for (let i = 0; i < limits.heard; i++) put(one, `p${i}`, i, { source: 'mallory' })
  assert.equal(one.met('back', 5_000), 'p0')
  assert.deepEqual([one.get('back')?.standing, one.get('p0')], ['heard', undefined])
  check(one)
})

test('of the lost those we never reached leave first', () => {
  const one = book()
  const count = limits.lost + 30
  for (let i = 0; i < count; i++) {
    put(one, `p${i}`, i)
    if (i < 100) one.reached(`p${i}`, i + 1)
  }
  const { over, forgotten } = one.expire(10 * HOUR)
  assert.equal(over.length, count)
  assert.equal(one.count('lost'), limits.lost)
  assert.deepEqual(
    forgotten,
    Array.from({ length: 30 }, (_, i) => `p${100 + i}`),
  )
  put(one, 'one more', 10 * HOUR)
  assert.equal(one.missed('one more', 10 * HOUR).evicted, undefined)
  assert.equal(one.missed('one more', 10 * HOUR).evicted, 'p130')
  assert.ok(Array.from({ length: 100 }, (_, i) => one.get(`p${i}`)).every(Boolean))
  check(one)
})

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

test('an address that two say to be at is contested, until one of them was reached or is forgotten', () => {
  const one = book()
  const contested = () =>
    [...one.all()].filter((entry) => one.isContested(entry)).map(({ peer }) => peer)
  put(one, 'a', 0, at('9.9.9.9'))
  put(one, 'lonely', 0, at('8.8.8.8'))
  assert.deepEqual(contested(), [])
  put(one, 'b', 0, at('9.9.9.9', '9.9.9.9'))
  assert.deepEqual(contested(), ['a', 'b'])
  put(one, 'b', 0, { seq: 2, ...at('9.9.9.9', '7.7.7.7') })
  assert.deepEqual(contested(), ['a'], 'it may be at the other one')
  one.met('a', 1)
  assert.deepEqual(contested(), ['a'], 'that it came to us proves no address')
  one.reached('a', 1)
  assert.deepEqual(contested(), [])
  put(one, 'c', 0, at('7.7.7.7', '8.8.8.8'))
  assert.deepEqual(contested(), ['lonely', 'b', 'c'])
  one.remove('c')
  assert.deepEqual(contested(), [])
})

test('neighbours on private networks and peers behind one relay contest nothing', () => {
  const one = book()
  const lan = { addresses: [{ address: '/ip4/192.168.1.2/tcp/1', kind: 'direct' as const }] }
  for (const peer of ['a', 'b']) put(one, peer, 0, relayed(peer))
  for (const peer of ['c', 'd']) put(one, peer, 0, lan)
  assert.ok([...one.all()].every((entry) => !one.isContested(entry)))
})

test('a snapshot begins with those that have answered us for longest', () => {
  const one = book()
  for (let i = 0; i < 700; i++) put(one, `p${i}`, i)
  for (const i of [30, 20, 25]) one.reached(`p${i}`, i)
  const snapshot = decodeSnapshot(encodeSnapshot(one, 7)) ?? assert.fail('no snapshot')
  assert.deepEqual(
    snapshot.entries.slice(0, 3).map(({ envelope }) => text(envelope)),
    ['p20 1', 'p25 1', 'p30 1'],
  )
  assert.deepEqual(
    snapshot.entries.slice(0, 4).map(({ reachedSince }) => reachedSince),
    [20, 25, 30, 0],
  )
  assert.deepEqual([snapshot.entries.length, snapshot.ownSeq], [limits.saved, 7])
  assert.equal(decodeSnapshot(Uint8Array.of(8, 1)), undefined, 'of an earlier version')
  assert.equal(decodeSnapshot(Uint8Array.of(255)), undefined)
})

const who = fc.nat(30).map((i) => `p${i}`)
const deed = fc.oneof(
  fc.record({
    do: fc.constant('put' as const),
    peer: who,
    seq: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ do: fc.constantFrom('met' as const, 'reached' as const), peer: who }),
  fc.record({ do: fc.constantFrom('bury' as const, 'remove' as const), peer: who }),
  fc.record({ do: fc.constantFrom('missed' as const, 'expire' as const), peer: who }),
  fc.record({ do: fc.constant('crowd' as const), peer: who, from: fc.nat(2_000) }),
)
type Deed = typeof deed extends fc.Arbitrary<infer D> ? D : never

/** Returns whom the book is said to have forgotten. */
function act(one: AddressBook, did: Deed, now: number): (string | undefined)[] {
  const { peer } = did
  switch (did.do) {
    case 'put':
      return one.isNews(peer, did.seq, now) ? [put(one, peer, now, { seq: did.seq })] : []
    case 'crowd':
      return Array.from({ length: 300 }, (_, i) =>
        put(one, `c${did.from + i}`, now, { source: peer }),
      )
    case 'met':
    case 'reached':
      return [one[did.do](peer, now)]
    case 'bury':
      one.bury(learnt(peer, { issuedAt: now }).record, now)
      return [peer]
    case 'remove':
      one.remove(peer)
      return [peer]
    case 'missed':
      return [one.missed(peer, now).evicted]
    default:
      return one.expire(now).forgotten
  }
}

test('whatever happens in whatever order, its counters and limits hold, and nobody is forgotten unsaid', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(deed, fc.nat(HOUR)), { maxLength: 60 }), (deeds) => {
      const one = book()
      let now = 0
      for (const [did, ms] of deeds) {
        now += ms
        const before = [...one.all()].map(({ peer }) => peer)
        const forgotten = new Set(act(one, did, now))
        for (const peer of before) assert.ok(one.get(peer) !== undefined || forgotten.has(peer))
        check(one)
      }
      assert.equal(one.byId(idOf('nobody')), undefined)
    }),
    { numRuns: 60 },
  )
})
