import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Healing } from '../../../protocols/membership/healing.ts'
import { limits } from '../../../protocols/membership/limits.ts'

test('one sign is none, two within ten minutes are, and a strong one is enough', () => {
  const one = new Healing()
  assert.equal(one.sign(1_000), false)
  assert.equal(one.sign(1_000 + limits.signsMs), false, 'the first is forgotten')
  assert.equal(one.sign(1_000 + limits.signsMs + 1), true)
  assert.equal(new Healing().sign(1_000, true), true)
})

test('healing lasts an hour from the last pair of signs, and begins once', () => {
  const one = new Healing()
  assert.equal(one.isOn(0), false)
  assert.equal(one.sign(0, true), true)
  assert.equal(one.sign(limits.healingMs / 2, true), false, 'it is on already')
  assert.equal(one.isOn(limits.healingMs), true)
  assert.equal(one.until, limits.healingMs * 1.5)
  assert.equal(one.isOn(one.until), false)
  assert.equal(one.sign(one.until, true), true)
})

test('an overlay that seems half as large again at once has met another half; slow growth is none', () => {
  const slow = new Healing()
  for (let size = 100, i = 0; size < 1_000; size *= 1.05, i++) {
    assert.equal(slow.size(size, i), false, `at ${size}`)
  }
  const met = new Healing()
  for (let i = 0; i < 20; i++) assert.equal(met.size(i % 2 === 0 ? 90 : 120, i), false)
  assert.equal(met.size(210, 30), true)
})
