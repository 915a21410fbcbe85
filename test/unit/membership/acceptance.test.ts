import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { admit } from '../../../protocols/membership/acceptance.ts'
import type { Comer, Door } from '../../../protocols/membership/acceptance.ts'
import { limits } from '../../../protocols/membership/limits.ts'

const door = (more: Partial<Door> = {}): Door => ({
  places: 32,
  trusted: false,
  secret: 1,
  mayRescue: false,
  mayReplace: false,
  ...more,
})
const comer = (i: number, group = i): Comer => ({ peer: `p${i}`, group, since: i, rescued: false })
const comers = (count: number, groupOf = (i: number) => i): Comer[] =>
  Array.from({ length: count }, (_, i) => comer(i, groupOf(i)))
const same = (count: number): Comer[] => comers(count, () => 7)
const newcomer = (group: number, isolated = false) => ({ ...comer(999, group), isolated })

test('the first sixteen are taken whoever they are, then two of an address group', () => {
  const { acceptedFreely } = limits
  assert.equal(admit(newcomer(7), same(acceptedFreely - 1), door()).verdict, 'accepted')
  assert.equal(admit(newcomer(7), same(acceptedFreely), door()).verdict, 'group-full')
  assert.equal(admit(newcomer(8), same(acceptedFreely), door()).verdict, 'accepted')
  assert.equal(admit(newcomer(7), same(31), door({ trusted: true })).verdict, 'accepted')
})

test('when all places are taken who has come stays, and newcomers are told that it is full', () => {
  for (const trusted of [false, true]) {
    assert.deepEqual(admit(newcomer(99), comers(32), door({ trusted })), { verdict: 'full' })
  }
})

test('a newcomer of another group takes the place of the youngest of a group that has too many', () => {
  const accepted = comers(32, (i) => (i % 4 === 0 ? 7 : i))
  assert.deepEqual(admit(newcomer(99), accepted, door()), {
    verdict: 'accepted',
    instead: 'p28',
    by: 'group',
  })
  assert.equal(admit(newcomer(7), accepted, door()).verdict, 'group-full')
  const fair = comers(32, (i) => i >> 1)
  assert.equal(admit(newcomer(99), fair, door()).verdict, 'full', 'two are not too many')
})

test('one who is isolated takes the place of the youngest, when that has not been given lately', () => {
  const may = door({ mayRescue: true })
  assert.deepEqual(admit(newcomer(99, true), comers(32), may), {
    verdict: 'accepted',
    instead: 'p31',
    by: 'rescue',
  })
  assert.equal(admit(newcomer(99, false), comers(32), may).verdict, 'full')
  assert.equal(admit(newcomer(99, true), comers(32), door()).verdict, 'full')
})

test('the isolated have one place after each other: the next takes it from the last', () => {
  const may = door({ mayRescue: true })
  const accepted = comers(32).map((one, i) => ({ ...one, rescued: i === 3 }))
  assert.equal(admit(newcomer(99, true), accepted, may).instead, 'p3')
})

test('a luckier group takes a place of the younger half, and never one of the older', () => {
  const may = door({ mayReplace: true })
  let taken = 0
  for (let group = 1_000; group < 1_200; group++) {
    const { verdict, instead, by } = admit(newcomer(group), comers(32), may)
    if (verdict !== 'accepted') continue
    taken++
    assert.equal(by, 'luck')
    assert.ok(Number(instead?.slice(1)) >= 16, `${instead}`)
  }
  assert.ok(taken > 150 && taken < 200, `${taken} of 200 are luckier than the worst of sixteen`)
  const trusted = door({ mayReplace: true, trusted: true })
  assert.equal(admit(newcomer(1_000), comers(32), trusted).verdict, 'full')
})

test('whoever knocks however often, luck settles on the same groups: knocking again gains nothing', () => {
  const accepted = comers(32)
  const rng = seededRng(4)
  let replaced = 0
  for (let i = 0; i < 2_000; i++) {
    const group = 5_000 + Math.floor(rng() * 40)
    const { instead } = admit(
      { ...newcomer(group), peer: `k${i}` },
      accepted,
      door({ mayReplace: true }),
    )
    if (instead === undefined) continue
    replaced++
    const at = accepted.findIndex(({ peer }) => peer === instead)
    accepted[at] = { ...comer(1_000 + i, group), peer: `k${i}` }
  }
  assert.ok(replaced < 200, `${replaced} replaced by 2,000 knocks of 40 groups`)
  assert.ok(accepted.filter(({ peer }) => peer.startsWith('p')).length >= 16)
})

test('whoever comes, there are never more than places, and only somebody who is there makes room', () => {
  const knock = fc.record({ group: fc.nat(30), isolated: fc.boolean() })
  const doors = fc.record({
    places: fc.constantFrom(1, 20, 32),
    trusted: fc.boolean(),
    secret: fc.nat(),
    mayRescue: fc.boolean(),
    mayReplace: fc.boolean(),
  })
  fc.assert(
    fc.property(doors, fc.array(knock, { maxLength: 120 }), (one, knocks) => {
      let accepted: Comer[] = []
      for (const [i, { group, isolated }] of knocks.entries()) {
        const next = comer(i, group)
        const { verdict, instead } = admit({ ...next, isolated }, accepted, one)
        if (verdict !== 'accepted') assert.equal(instead, undefined)
        else {
          if (instead !== undefined) assert.ok(accepted.some(({ peer }) => peer === instead))
          accepted = [...accepted.filter(({ peer }) => peer !== instead), next]
        }
        assert.ok(accepted.length <= one.places)
      }
    }),
  )
})
