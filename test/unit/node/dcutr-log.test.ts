import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PunchReport } from '../../../src/drivers/puncher.ts'
import { DcutrLog } from '../../../src/node/dcutr-log.ts'

const failure = (peer = 'them'): PunchReport => ({
  type: 'punch:failed',
  peer,
  method: 'punch',
  ms: 1_000,
  reason: 'no answer in time',
})
const success: PunchReport = {
  type: 'punch:succeeded',
  peer: 'them',
  method: 'punch',
  ms: 400,
  address: '/ip4/203.0.113.7/tcp/4001',
}

test('attempts of one conversation are a series, which its third failure ends', () => {
  const log = new DcutrLog()
  const told = [10_000, 11_500, 13_000].map((now) =>
    log.note(failure(), 'caller', now).map(({ type }) => type),
  )
  assert.deepEqual(told, [['attempt'], ['attempt'], ['attempt', 'series']])
  assert.deepEqual(
    log.of('them').map(({ round, at, outcome }) => [round, at, outcome]),
    [
      [1, 9_000, 'failed'],
      [2, 10_500, 'failed'],
      [3, 12_000, 'failed'],
    ],
  )
})

test('a later conversation is another series', () => {
  const log = new DcutrLog()
  log.note(failure(), 'caller', 10_000)
  log.note(failure(), 'caller', 60_000)
  assert.equal(log.of('them').at(-1)?.round, 1)
})

test('a success ends the series, and so does what the answering side sees', () => {
  const log = new DcutrLog()
  log.note(failure(), 'caller', 10_000)
  assert.deepEqual(
    log.note(success, 'caller', 11_000).map(({ type }) => type),
    ['attempt', 'series'],
  )
  assert.equal(log.of('them').at(-1)?.round, 2)
  assert.deepEqual(
    log.note(failure('other'), 'callee', 20_000).map(({ type }) => type),
    ['attempt', 'series'],
  )
})

test('the dial before a conversation is counted and not listed', () => {
  const log = new DcutrLog()
  assert.deepEqual(log.note({ ...success, method: 'dial' }, 'caller', 10_000), [
    { type: 'direct-dial', success: true },
  ])
  assert.deepEqual(
    log.note({ type: 'punch:started', peer: 'them', method: 'punch' }, 'caller', 0),
    [],
  )
  assert.deepEqual(log.of('them'), [])
})

test('of each peer the last few attempts are kept', () => {
  const log = new DcutrLog()
  for (let i = 0; i < 100; i++) log.note(failure(), 'callee', i * 60_000)
  assert.equal(log.of('them').length, 8)
})
