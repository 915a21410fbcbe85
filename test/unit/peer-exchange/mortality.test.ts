import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
import { Mortality } from '../../../protocols/peer-exchange/mortality.ts'

const HOUR = 3_600_000

/** Somebody with a life of `meanMs` on average is looked at again after a while. */
function learnt(meanMs: number, looks: number, seed = 1): Mortality {
  const rng = seededRng(seed)
  const one = new Mortality()
  for (let i = 0; i < looks; i++) {
    const ms = rng() * 0.5 * HOUR
    if (-Math.log(1 - rng()) * meanMs > ms) one.survived(ms)
    else one.died(ms)
  }
  return one
}

for (const hours of [1.5, 5, 50]) {
  test(`peers that live for ${hours} hours on average are found to`, (t) => {
    const found = Array.from({ length: 50 }, (_, seed) => learnt(hours * HOUR, 800, seed).perMs)
    const mean = 1 / (found.reduce((sum, one) => sum + one, 0) / found.length) / HOUR
    t.diagnostic(`${mean.toFixed(2)} h`)
    assert.ok(mean > hours * 0.75 && mean < hours * 1.25, `${mean} h`)
  })
}

test('without deaths it falls for ever, and with nothing but deaths it stays below its limit', () => {
  assert.ok(learnt(Infinity, 10_000).perMs < 1 / (1_000 * HOUR))
  assert.equal(learnt(1, 10_000).perMs, limits.mortality.mostPerMs)
})

test('what happened long ago is forgotten', () => {
  const one = learnt(HOUR, 200)
  const bad = one.perMs
  for (let i = 0; i < 300; i++) one.survived(HOUR)
  assert.ok(one.perMs < bad / 50)
})

test('who comes back was no death, and nobody comes back who did not go', () => {
  const one = new Mortality()
  const before = one.perMs
  one.died(0)
  assert.ok(one.perMs > before)
  one.revived()
  assert.equal(one.perMs, before)
  for (let i = 0; i < 3; i++) one.revived()
  assert.ok(one.perMs >= 0)
})

test('a clock that is set back does no harm', () => {
  const one = new Mortality()
  const before = one.perMs
  for (let i = 0; i < 10; i++) one.survived(-24 * HOUR)
  assert.equal(one.perMs, before)
  one.died(-24 * HOUR)
  assert.equal(one.perMs, before * 2)
})

test('the time within which peers are gone with a chance', () => {
  const one = new Mortality()
  assert.ok(Math.abs(1 - Math.exp(-one.perMs * one.gives(0.25)) - 0.25) < 1e-9)
})
