import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVING_LIMITS } from '../../../protocols/relaying/limits.ts'
import { Circuits } from '../../../src/drivers/relay-circuits.ts'
import { expirySignal } from '../../../src/drivers/relay-expiry.ts'

test('circuits of one peer are bounded while others still get theirs', () => {
  const circuits = new Circuits()
  for (let i = 0; i < SERVING_LIMITS.maxCircuitsPerPeer; i++) {
    assert.equal(typeof circuits.begin('greedy', `target-${i}`), 'object')
  }
  assert.equal(circuits.begin('greedy', 'another'), 'too-many-circuits')
  assert.equal(circuits.begin('another', 'greedy'), 'too-many-circuits')
  assert.equal(typeof circuits.begin('modest', 'target-1'), 'object')
})

test('circuits of all peers together are bounded, and an ended one makes room', () => {
  const circuits = new Circuits()
  const all = Array.from({ length: SERVING_LIMITS.maxCircuits }, (_, i) =>
    circuits.begin(`source-${i}`, `target-${i}`),
  )
  assert.equal(circuits.begin('one', 'more'), 'full')
  const [first] = all
  assert.ok(typeof first === 'object')
  first.bytes = 7
  circuits.end(first)
  circuits.end(first)
  assert.equal(circuits.bytesRelayed, 7, 'its bytes still count, once')
  assert.equal(typeof circuits.begin('one', 'more'), 'object')
})

test('an expiry that was moved twice fires once, at the last time', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  let expired = 0
  const signal = expirySignal(100, () => expired++)
  context.mock.timers.tick(90)
  signal.reset()
  context.mock.timers.tick(90)
  signal.reset()
  context.mock.timers.tick(90)
  assert.equal(expired, 0)
  assert.ok(!signal.aborted)
  context.mock.timers.tick(10)
  assert.equal(expired, 1)
  assert.ok(signal.aborted)
})

test('a cleared expiry never fires', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const signal = expirySignal(100, () => assert.fail('fired'))
  signal.reset(50)
  signal.clear()
  context.mock.timers.tick(1_000)
  assert.ok(!signal.aborted)
})
