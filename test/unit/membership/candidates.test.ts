import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { Candidates, isDependable } from '../../../protocols/membership/candidates.ts'
import { limits } from '../../../protocols/membership/limits.ts'
import { AddressBook } from '../../../protocols/peer-exchange/address-book.ts'
import type { BookEntry } from '../../../protocols/peer-exchange/address-book.ts'
import { Sampler } from '../../../protocols/peer-exchange/sampler.ts'
import { learnt } from '../peer-exchange/records.ts'

const NOW = 1_000_000_000

function made(hidden: number, open: number, seed = 1) {
  const book = new AddressBook('self', { loopback: false, subnets: [] })
  const sampler = new Sampler<BookEntry>(seededRng(seed), book.mortality)
  const add = (peer: string, reachability: 'public' | 'private') => {
    const host = `5.6.${book.size >> 8}.${book.size & 255}`
    const addresses = [{ address: `/ip4/${host}/tcp/4001`, kind: 'direct' as const }]
    book.put(learnt(peer, { issuedAt: NOW, reachability, addresses }), NOW)
    const entry = book.get(peer)
    if (entry !== undefined) sampler.offer(Object.assign(entry, { group: entry.id % 2 ** 32 }))
  }
  for (let i = 0; i < hidden; i++) add(`hidden ${i}`, 'private')
  for (let i = 0; i < open; i++) add(`open ${i}`, 'public')
  const candidates = new Candidates(
    { book, sampler, alternativesFor: () => [] },
    seededRng(seed + 1),
  )
  return { book, sampler, candidates }
}

test('an overlay is everybody up to seven, the lost counted, and small up to thirty-one', () => {
  assert.equal(made(0, limits.everybody).candidates.everybody, true)
  assert.equal(made(0, limits.everybody + 1).candidates.everybody, false)
  const { book, candidates } = made(0, limits.everybody + 1)
  book.expire(NOW + 1e8)
  assert.equal(candidates.everybody, false, 'those that are lost may be the other half')
  assert.deepEqual(
    [made(0, 31), made(0, 32)].map((one) => one.candidates.isSmall),
    [true, false],
  )
})

test('of the sample each is named once, and hidden ones first as often as they are many', () => {
  let hiddenFirst = 0
  for (let seed = 0; seed < 300; seed++) {
    const { candidates } = made(70, 30, seed * 13)
    const named = [...candidates.ofSample(() => true)]
    assert.equal(new Set(named).size, named.length)
    if (named[0] !== undefined && !isDependable(named[0])) hiddenFirst++
  }
  assert.ok(hiddenFirst > 180 && hiddenFirst < 240, `${hiddenFirst} of 300, 210 expected`)
})

test('after a failure the next one is of the same class, for a few tries', () => {
  for (let seed = 0; seed < 30; seed++) {
    const { book, candidates } = made(50, 50, seed * 17)
    for (const peer of ['hidden 1', 'open 1']) {
      const entry = book.get(peer)
      assert.ok(entry)
      candidates.linked()
      candidates.failed(entry)
      const [next] = candidates.ofSample(() => true)
      assert.equal(next && isDependable(next), isDependable(entry))
    }
  }
})

test('whom the asker leaves out is not named, and when a class is used up the other one is', () => {
  const { candidates } = made(40, 40)
  const named = [...candidates.ofSample(({ peer }) => peer.startsWith('open'))]
  assert.ok(named.length > 5 && named.every(isDependable))
})

test('anchors are those that answered our dials, the oldest first; others go by their standing', () => {
  const { book, candidates } = made(0, 5)
  book.reached('open 3', NOW + 2)
  book.reached('open 1', NOW + 1)
  for (let i = 0; i < 2; i++) book.missed('open 0', NOW)
  assert.deepEqual(
    candidates.anchors().map(({ peer }) => peer),
    ['open 1', 'open 3'],
  )
  assert.deepEqual(
    candidates.others().map(({ standing }) => standing),
    ['reached', 'reached', 'heard', 'heard', 'lost'],
  )
  assert.deepEqual(
    candidates.lost(NOW).map(({ peer }) => peer),
    ['open 0'],
  )
})

test('visits go to those never met, then to those not met for longest, not to those met lately', () => {
  const { book, sampler, candidates } = made(0, 6)
  book.met('open 1', NOW + 2)
  book.met('open 2', NOW + 1)
  book.met('open 3', NOW + 9)
  const later = NOW + 5 + candidates.trustMs
  const named = candidates.toVisit(later, true).map(({ peer }) => peer)
  const sampled = (peer: string) => sampler.distinct().some(({ holder }) => holder.peer === peer)
  assert.deepEqual(named.slice(-2), ['open 2', 'open 1'].filter(sampled))
  assert.ok(!named.includes('open 3'))
})

test('whom we have met is seen again at once when its record has run out', () => {
  const { book, sampler, candidates } = made(0, 20)
  const [first = '', ...others] = sampler.distinct().map(({ holder }) => holder.peer)
  const { expiresAt = 0 } = book.get(first) ?? {}
  const later = NOW + 600_000
  for (const { peer } of book.all()) {
    if (peer !== first) book.put(learnt(peer, { issuedAt: later, seq: 2 }), later)
  }
  for (const [i, peer] of others.entries()) book.met(peer, later + i)
  book.met(first, later + 100)
  assert.deepEqual(book.expire(expiresAt).over, [first])
  const named = candidates.toVisit(expiresAt, true).map(({ peer }) => peer)
  assert.deepEqual(named.slice(0, 3), [first, ...others.slice(0, 2)])
})

test('those that did not answer are looked for as those that were given up', () => {
  const { book, candidates } = made(0, 4)
  book.missed('open 2', NOW)
  assert.deepEqual(
    candidates.lost(NOW).map(({ peer }) => peer),
    ['open 2'],
  )
})

test('a relay can be depended on wherever it is', () => {
  const relay = { slotsTotal: 1, slotsFree: 1, unlimited: false }
  const { record } = learnt('r', { issuedAt: 0, reachability: 'private', relay })
  assert.equal(isDependable({ record }), true)
  assert.equal(isDependable(learnt('r', { issuedAt: 0, reachability: 'unknown' })), false)
})

test('peers whose address is contested are chosen and visited last', () => {
  const { book, candidates } = made(0, 20)
  const liars = [...book.all()].slice(0, 10).map(({ peer }) => peer)
  const addresses = [{ address: '/ip4/9.9.9.9/tcp/80', kind: 'direct' as const }]
  for (const peer of liars) book.put(learnt(peer, { issuedAt: NOW, seq: 2, addresses }), NOW)
  for (const order of [candidates.toVisit(NOW, true), [...candidates.ofSample(() => true)]]) {
    const first = order.findIndex(({ peer }) => liars.includes(peer))
    assert.ok(first > 0 && order.slice(first).every(({ peer }) => liars.includes(peer)))
  }
  assert.ok(candidates.toVisit(NOW, false).every(({ peer }) => !liars.includes(peer)))
})
