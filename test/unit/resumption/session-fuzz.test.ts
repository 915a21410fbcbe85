import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { World } from './world.ts'
import type { Side } from './world.ts'

type Step = (world: World) => void

const side = fc.constantFrom<Side>('opener', 'answerer')

/** Mostly a little, sometimes much: frames are cut in the middle, windows and replay buffers are filled. */
const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 400 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 90_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 700_000 }) },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(side, size).map(
      ([who, n]) =>
        (w: World) =>
          w.write(who, n),
    ),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(side, fc.nat(3), size).map(
      ([who, which, n]) =>
        (w: World) =>
          w.deliver(who, which, n),
    ),
  },
  { weight: 3, arbitrary: fc.boolean().map((works) => (w: World) => w.connect(works)) },
  {
    weight: 2,
    arbitrary: fc.tuple(side, fc.boolean()).map(
      ([who, on]) =>
        (w: World) =>
          w.read(who, on),
    ),
  },
  { weight: 2, arbitrary: fc.constant((w: World) => w.cut()) },
  { weight: 2, arbitrary: fc.constant((w: World) => w.move()) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 900 }).map((ms) => (w: World) => w.pass(ms)) },
  { weight: 1, arbitrary: side.map((who) => (w: World) => w.finish(who)) },
)

test('whatever happens to carriers, every byte arrives once and in order, and both ends finish', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 120 }), (steps) => {
      const world = new World()
      world.begin()
      let passed = world.now
      for (const each of steps) {
        each(world)
        // Longer without a carrier than this, and the session may rightly be given up.
        if (world.now - passed > 20_000) break
        if (world.carriers.size > 0) passed = world.now
      }
      world.endWell()
      for (const [mine, others] of [
        [world.ends.opener, world.ends.answerer],
        [world.ends.answerer, world.ends.opener],
      ] as const) {
        assert.deepEqual(mine.outcome, { type: 'complete' }, `the ${mine.side} ends well`)
        assert.equal(mine.delivered, others.written, `the ${mine.side} has every byte`)
        assert.ok(mine.ended && mine.flushed)
        assert.equal(mine.budget.used, 0, 'nothing stays promised or kept')
      }
    }),
    { numRuns: 400 },
  )
})
