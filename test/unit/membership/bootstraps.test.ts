import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { Bootstraps } from '../../../protocols/membership/bootstraps.ts'
import { limits } from '../../../protocols/membership/limits.ts'

function started(...peers: string[]): Bootstraps {
  const one = new Bootstraps(seededRng(1))
  const named = peers.map((peer) => ({ peer, addresses: [`/to/${peer}`] }))
  one.start(named, 'self', 0)
  return one
}

test('the needy call them at once, others after about ten minutes', () => {
  const one = started('a', 'b')
  assert.deepEqual(one.due(true, 0), ['a', 'b'])
  assert.deepEqual(one.due(false, 0), [])
  const at = one.nextAt(false)
  assert.ok(at >= limits.recontactMs * 0.5 && at <= limits.recontactMs * 1.5)
})

test('this node is none of its own bootstraps, and only so many are taken', () => {
  assert.deepEqual(started('self', 'a').due(true, 0), ['a'])
  const many = started(...Array.from({ length: 100 }, (_, i) => `b${i}`))
  assert.equal(many.due(true, 0).length, limits.bootstraps)
})

test('a linked one is not called, and one that was silent for five minutes is a sign when it answers', () => {
  const one = started('a')
  one.failed('a', 0, 1_000)
  assert.equal(one.linked('a', 1_000 + limits.outOfReachMs), true)
  assert.deepEqual([one.due(true, 1e9), one.nextAt(true)], [[], Infinity])
  one.unlinked('a', 0, 2e9)
  one.failed('a', 0, 2e9)
  assert.equal(one.linked('a', 2e9 + limits.outOfReachMs - 1), false)
  assert.equal(one.linked('stranger', 0), false)
})

test('after four failures it is reported, once, and no more when it is linked', () => {
  const one = started('a', 'b')
  for (let i = 1; i < limits.bootstrapTries; i++) one.failed('a', 0, i)
  assert.equal(one.report(), undefined)
  one.failed('a', 0, 9)
  assert.deepEqual(one.report(), ['a'])
  assert.equal(one.report(), undefined)
  one.linked('a', 10)
  assert.deepEqual(one.report(), [])
})

test('the larger the overlay the more rarely each node calls: five calls a second for all', () => {
  const one = started('a')
  for (let i = 0; i < limits.bootstrapTries; i++) one.failed('a', 100_000, 0)
  const mean = (100_000 / limits.recontactsPerS) * 1_000
  const at = one.nextAt(false)
  assert.ok(at >= mean * 0.5 && at <= mean * 1.5, `${at / 60_000} minutes`)
  assert.ok(one.nextAt(true) < 10_000, 'but the needy need not wait')
})
