import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newsOf, untilKnown } from '../../../src/node/doctor-wait.ts'
import type { DoctorCheck } from '../../../src/types.ts'

const check = (pending?: string, text = 'known'): DoctorCheck => ({
  code: 'nat.mapping',
  title: 'NAT',
  result: pending === undefined ? 'ok' : 'unknown',
  text,
  ...(pending !== undefined && { pending }),
})

test('what is known is told at once, without a word of progress', async () => {
  const said: string[] = []
  const look = async () => [check()]
  const checks = await untilKnown(look, { waitMs: 60_000, progress: (text) => said.push(text) })
  assert.deepEqual(checks, [check()])
  assert.deepEqual(said, [])
})

test('without time to wait what is open stays open', async () => {
  assert.deepEqual(await untilKnown(async () => [check('asking')], { waitMs: 0 }), [
    check('asking'),
  ])
})

test('progress is told when something begins, goes on and ends', () => {
  assert.deepEqual(newsOf([], [check('asking')]), ['NAT: asking'])
  assert.deepEqual(newsOf([check('asking')], [check('asking')]), [])
  assert.deepEqual(newsOf([check('asking')], [check('asking more')]), ['NAT: asking more'])
  assert.deepEqual(newsOf([check('asking')], [check()]), ['NAT: known'])
})

test('whoever waits can be called off', async () => {
  const controller = new AbortController()
  const waiting = untilKnown(async () => [check('asking')], {
    waitMs: 60_000,
    signal: controller.signal,
    progress: () => controller.abort(),
  })
  await assert.rejects(waiting, { name: 'AbortError' })
})
