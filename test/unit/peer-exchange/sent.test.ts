import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sent } from '../../../protocols/peer-exchange/sent.ts'

test('a version is remembered, and another version of the same record is another', () => {
  const sent = new Sent()
  sent.add(2 ** 53 - 1, 5)
  assert.ok(sent.has(2 ** 53 - 1, 5))
  assert.ok(!sent.has(2 ** 53 - 1, 6) && !sent.has(2 ** 53 - 1, 5 + 2 ** 32))
  assert.ok(!sent.has(2 ** 53 - 2, 5) && !sent.has((2 ** 53 - 1) % 2 ** 32, 5))
})

test('the last 512 versions are remembered, whatever was added how often before', () => {
  const sent = new Sent()
  for (let i = 0; i < 3_000; i++) {
    sent.add(i, 1)
    sent.add(i, 1)
    for (const back of [0, 1, 15, 16, 17, 255, 511]) {
      if (back <= i) assert.ok(sent.has(i - back, 1), `${back} before ${i}`)
    }
    if (i >= 512) assert.ok(!sent.has(i - 512, 1), `512 before ${i}`)
  }
})

test('nothing is remembered of what was never added', () => {
  const sent = new Sent()
  assert.ok(!sent.has(0, 0) && !sent.has(1, 0))
  for (let i = 0; i < 512; i++) sent.add(i, 1)
  let mistaken = 0
  for (let i = 0; i < 20_000; i++) if (sent.has(i, 2)) mistaken++
  assert.ok(mistaken <= 1, 'two in 2^32 look alike')
})
