import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng, shuffle } from '../../../protocols/kernel/rng.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
import { Sampler } from '../../../protocols/peer-exchange/sampler.ts'
import type { Sampled } from '../../../protocols/peer-exchange/sampler.ts'

/** `count` peers with ids at random, each in a group of `groups`. */
function peers(count: number, groups = count, { seed = 99, name = 'p' } = {}): Sampled[] {
  const rng = seededRng(seed)
  const groupNumbers = Array.from({ length: groups }, () => Math.floor(rng() * 2 ** 32))
  return Array.from({ length: count }, (_, i) => ({
    peer: `${name}${i}`,
    id: Math.floor(rng() * 2 ** 21) * 2 ** 32 + Math.floor(rng() * 2 ** 32),
    group: groupNumbers[i % groups] as number,
    namedFor: 'id',
    lastSeenAt: 0,
  }))
}

function sampler(seed: number, offered: Iterable<Sampled>): Sampler {
  const made = new Sampler(seededRng(seed), { perMs: 0 })
  for (const one of offered) made.offer(one)
  return made
}

const slots = (one: Sampler, rankedBy?: 'id' | 'group'): Sampled[] =>
  [...one.holders()].flatMap((slot) =>
    rankedBy === undefined || slot.rankedBy === rankedBy ? [slot.holder] : [],
  )
const names = (one: Sampler): string[] => slots(one).map(({ peer }) => peer)
const share = (holders: Sampled[], name: string): number =>
  holders.filter(({ peer }) => peer.startsWith(name)).length / holders.length

for (const rankedBy of ['id', 'group'] as const) {
  test(`slots that rank by ${rankedBy} hold every peer equally often, by chi-square over 400 seeds`, (t) => {
    const all = peers(50)
    const counts = new Map(all.map(({ peer }) => [peer, 0]))
    for (let seed = 0; seed < 400; seed++) {
      for (const { peer } of slots(sampler(seed * 7919, all), rankedBy)) {
        counts.set(peer, (counts.get(peer) ?? 0) + 1)
      }
    }
    const expected = (400 * limits.slots) / 2 / all.length
    let chi = 0
    for (const count of counts.values()) chi += (count - expected) ** 2 / expected
    t.diagnostic(`chi-square ${chi.toFixed(1)} with 49 degrees of freedom`)
    assert.ok(chi < 85.35, 'one in a thousand of uniform samplers is this uneven')
  })
}

test('who holds the slots does not depend on the order in which peers are offered', () => {
  const all = peers(200, 40)
  const other = shuffle([...all], seededRng(5))
  assert.deepEqual(names(sampler(1, all)), names(sampler(1, other)))
})

test('one that is offered ten thousand times holds no more than one that is offered once', () => {
  const all = peers(100)
  const liar = all[17] as Sampled
  const flooded = sampler(1, all)
  const before = names(flooded)
  for (let i = 0; i < 10_000; i++) assert.equal(flooded.offer(liar), false)
  assert.deepEqual(names(flooded), before)
})

test('many identities hold slots by their number, and by their groups where groups are ranked', (t) => {
  const honest = peers(1_000, 200)
  const liars = peers(1_000, 4, { seed: 7, name: 'liar' })
  const [byId, byGroup]: [Sampled[], Sampled[]] = [[], []]
  for (let seed = 0; seed < 60; seed++) {
    const one = sampler(seed * 104_729, [...honest, ...liars])
    byId.push(...slots(one, 'id'))
    byGroup.push(...slots(one, 'group'))
  }
  const [ids, groups] = [share(byId, 'liar'), share(byGroup, 'liar')]
  t.diagnostic(`of slots by id ${ids.toFixed(3)}, by group ${groups.toFixed(3)}`)
  assert.ok(ids > 0.45 && ids < 0.55, 'half of the identities')
  assert.ok(groups < 0.04, '4 of 204 groups are 2 %')
})

test('its estimate of how many peers there are is right on average, and seldom far off', (t) => {
  for (const count of [10, 100, 1_000, 5_000]) {
    const all = peers(count)
    const found = Array.from(
      { length: 40 },
      (_, seed) => sampler(seed * 31 + 1, all).estimate() ?? assert.fail('no estimate'),
    )
    const mean = found.reduce((sum, one) => sum + one, 0) / found.length
    const far = found.filter((one) => Math.abs(one / count - 1) > 0.45).length
    t.diagnostic(`${count}: mean ${mean.toFixed(0)}, ${far} of 40 off by more than 45 %`)
    assert.ok(Math.abs(mean / count - 1) < 0.12)
    assert.ok(far <= 3, 'two and a half standard deviations')
  }
})

test('there is no estimate before anybody was offered', () => {
  assert.equal(sampler(1, []).estimate(), undefined)
})

test('a peer that is dropped leaves its slots as if it had never been offered', () => {
  const all = peers(60)
  const dropped = sampler(3, all)
  for (const { peer } of all.slice(0, 30)) dropped.drop(peer, all.slice(30))
  assert.deepEqual(names(dropped), names(sampler(3, all.slice(30))))
  for (const { peer } of all) dropped.drop(peer, [])
  assert.deepEqual(names(dropped), [])
})

test('a renewal gives one slot a new secret, and after as many as there are slots all have one', () => {
  const all = peers(500)
  const renewed = sampler(4, all)
  const first = names(renewed)
  renewed.renew(all)
  const second = names(renewed)
  assert.equal(second.length, limits.slots)
  assert.ok(first.filter((peer, i) => second[i] !== peer).length <= 1)
  for (let i = 1; i < limits.slots; i++) renewed.renew(all)
  const last = names(renewed)
  assert.ok(first.filter((peer, i) => last[i] !== peer).length > limits.slots * 0.95)
})

test('whoever was seen long ago holds slots by the chance that it is still there', () => {
  const MORTALITY = 1 / 3_600_000
  const fresh = peers(500, 500, { name: 'fresh' }).map((one) => ({ ...one, lastSeenAt: 7_200_000 }))
  const old = peers(500, 500, { seed: 7, name: 'old' })
  const held: Sampled[] = []
  for (let seed = 0; seed < 40; seed++) {
    const one = new Sampler(seededRng(seed * 7919), { perMs: MORTALITY })
    for (const peer of shuffle([...fresh, ...old], seededRng(seed))) one.offer(peer)
    held.push(...slots(one, 'id'))
  }
  const expected = Math.exp(-2) / (1 + Math.exp(-2)) // seen two lifetimes earlier
  assert.ok(Math.abs(share(held, 'old') - expected) < 0.03, `${share(held, 'old')}`)
})

test('to have been seen just now counts no more than eight times as much', () => {
  const liars = peers(100, 100, { name: 'liar' }).map((one) => ({ ...one, lastSeenAt: 1e12 }))
  const honest = peers(800, 800, { seed: 7, name: 'honest' })
  const held: Sampled[] = []
  for (let seed = 0; seed < 40; seed++) {
    const one = new Sampler(seededRng(seed * 7919), { perMs: limits.mortality.mostPerMs })
    for (const peer of shuffle([...liars, ...honest], seededRng(seed))) one.offer(peer)
    held.push(...slots(one, 'id'))
  }
  assert.ok(Math.abs(share(held, 'liar') - 0.5) < 0.05, `${share(held, 'liar')}`)
})

test('a renewed slot is filled from those at hand, or stays empty', () => {
  const renewed = sampler(4, peers(500))
  renewed.renew([])
  assert.equal(names(renewed).length, limits.slots - 1)
  assert.equal(renewed.estimate(), undefined, 'the first slot ranks ids')
})

test('it wants exactly those who then win a slot: one that ranks ids, or in their group one that ranks groups', () => {
  const one = sampler(5, peers(300))
  for (const newcomer of peers(500, 500, { seed: 8, name: 'new' })) {
    const wanted = [one.wants(newcomer.id, 0), one.wants(newcomer.id, 0, newcomer.group)]
    one.offer(newcomer)
    const wins = (kind: 'id' | 'group') =>
      slots(one, kind).some(({ peer }) => peer === newcomer.peer)
    assert.deepEqual(wanted, [wins('id'), wins('group')])
  }
})

test('whoever was named for a group holds slots that rank groups only, also when slots are filled anew', () => {
  const ofGroups = peers(400, 400, { seed: 8, name: 'group' }).map((one): Sampled => ({
    ...one,
    namedFor: 'group',
  }))
  const all = [...peers(100), ...ofGroups]
  const one = sampler(6, all)
  for (let i = 0; i < limits.slots; i++) one.renew(all)
  assert.equal(share(slots(one, 'id'), 'group'), 0)
  assert.ok(share(slots(one, 'group'), 'group') > 0.6, 'four groups in five')
  for (const { holder, byId } of one.distinct()) {
    assert.equal(byId, slots(one, 'id').includes(holder))
  }
})
