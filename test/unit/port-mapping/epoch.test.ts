import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Epoch } from '../../../protocols/port-mapping/epoch.ts'

const read = (...readings: [seconds: number, atMs: number][]): boolean[] => {
  const epoch = new Epoch()
  return readings.map(([seconds, atMs]) => epoch.restarted(seconds, atMs))
}

test('a clock that goes on is no restart', () => {
  assert.deepEqual(read([100, 0], [105, 5_000], [705, 605_000]), [false, false, false])
})

test('a clock may go a little slow, a little fast, and one second back', () => {
  assert.deepEqual(read([100, 0], [195, 100_000], [301, 200_000], [300, 200_100]), [
    false,
    false,
    false,
    false,
  ])
})

test('a clock that starts anew tells of a restart, once', () => {
  assert.deepEqual(read([5_000, 0], [3, 10_000], [8, 15_000]), [false, true, false])
})

test('a restart shows also when the new clock has passed the old reading', () => {
  assert.deepEqual(read([10, 0], [500, 1_000_000]), [false, true])
})

test('a clock that jumps ahead lost something too', () => {
  assert.deepEqual(read([10, 0], [5_000, 10_000]), [false, true])
})
