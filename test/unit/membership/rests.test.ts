import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { limits } from '../../../protocols/membership/limits.ts'
import { Rests } from '../../../protocols/membership/rests.ts'

const rests = () => new Rests(seededRng(1))

test('every failure makes the rest longer, up to ten minutes and a quarter', () => {
  const one = rests()
  assert.deepEqual([one.until('p'), one.tries('p')], [0, 0])
  const waits = Array.from({ length: 16 }, () => {
    one.fail('p', limits.backoff, 1_000)
    return one.until('p') - 1_000
  })
  assert.ok((waits[0] ?? 0) >= 750 && (waits[0] ?? 0) <= 1_250)
  assert.ok((waits[5] ?? 0) > 10 * (waits[0] ?? 0))
  assert.ok(waits.every((ms) => ms <= limits.backoff.maxMs * 1.25))
  assert.equal(one.tries('p'), 16)
  one.forget('p')
  assert.deepEqual([one.until('p'), one.tries('p')], [0, 0])
})

test('waiting is no failure, and never shortens a rest', () => {
  const one = rests()
  one.wait('p', 5_000)
  one.wait('p', 3_000)
  assert.deepEqual([one.until('p'), one.tries('p')], [5_000, 0])
})

test('a lost peer is visited after 2, 10 and 30 minutes, 2 hours, and then every 6', () => {
  const one = rests()
  const waits = Array.from({ length: 7 }, () => {
    one.lost('p', 0)
    return one.until('p') / 60_000
  })
  assert.deepEqual(waits, [2, 10, 30, 120, 360, 360, 360])
})

test('only so many rest; those that began longest ago are tried again first', () => {
  const one = rests()
  for (let i = 0; i <= limits.rests; i++) one.wait(`p${i}`, 9)
  assert.deepEqual([one.until('p0'), one.until('p1'), one.until(`p${limits.rests}`)], [0, 9, 9])
})
