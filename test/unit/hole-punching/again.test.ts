import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Again } from '../../../protocols/hole-punching/again.ts'
import { LIMITS } from '../../../protocols/hole-punching/limits.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'

const ROUTERS_REMEMBER_MS = 10_000

test('pauses grow to the last of the list and stay there', () => {
  const again = new Again(() => 0.5)
  const pauses = Array.from({ length: 8 }, () => again.failed('A', 0, 'caller'))
  const last = LIMITS.againMs.at(-1)
  assert.deepEqual(pauses, [...LIMITS.againMs, last, last, last].slice(0, 8))
})

test('no pause ends before routers have forgotten what they refused', () => {
  const again = new Again(() => 0)
  assert.ok((again.failed('A', 0, 'caller') ?? 0) >= ROUTERS_REMEMBER_MS * 0.95)
})

test('a callee waits longer than the caller, and leaves it the first word', () => {
  const again = new Again(() => 0.5)
  const caller = again.failed('A', 0, 'caller') ?? Infinity
  assert.ok((again.failed('B', 0, 'callee') ?? 0) > caller)
})

test('a peer is due once, until its campaign has ended', () => {
  const again = new Again(seededRng(1))
  const at = again.failed('A', 0, 'caller') ?? Infinity
  assert.deepEqual(again.due(at - 1), [])
  assert.deepEqual(again.due(at), ['A'])
  assert.deepEqual(again.due(at + 1e9), [])
  assert.equal(again.next(), Infinity)
})

test('news bring everybody forward, and the count begins anew', () => {
  const again = new Again(() => 0.5)
  for (let i = 0; i < 4; i++) again.failed('A', 0, 'caller')
  again.news(1_000)
  assert.ok((again.at('A') ?? Infinity) <= 1_000 + 2 * LIMITS.newsMs)
  again.due(5_000)
  assert.equal(again.failed('A', 5_000, 'caller'), 5_000 + LIMITS.againMs[0])
})

test('a postponed peer keeps its count', () => {
  const again = new Again(() => 0.5)
  for (let i = 0; i < 3; i++) again.failed('A', 0, 'caller')
  again.postpone('A', 0)
  assert.equal(again.at('A'), LIMITS.againMs[0])
  assert.equal(again.failed('A', 0, 'caller'), LIMITS.againMs[3])
})

test('no more peers wait than the limit says', () => {
  const again = new Again(() => 0.5)
  for (let i = 0; i < LIMITS.waiting; i++)
    assert.ok(again.failed(`P${i}`, 0, 'caller') !== undefined)
  assert.equal(again.failed('late', 0, 'caller'), undefined)
  again.soon('late', 0)
  again.postpone('late', 0)
  assert.equal(again.at('late'), undefined)
  again.forget('P0')
  assert.ok(again.failed('late', 0, 'caller') !== undefined)
})
