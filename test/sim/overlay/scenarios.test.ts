import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joins, measure } from './measure/index.ts'
import type { Moment, ScenarioOptions } from './results.ts'
import { wholeFrom } from './scenarios/blows.ts'
import { form, grow } from './scenarios/growth.ts'
import { scenarios } from './scenarios/index.ts'
import { MINUTE, Session } from './scenarios/session.ts'
import { DETECTION_MS } from './world/constants.ts'
import { Gang } from './world/hostile.ts'

const SMALL: ScenarioOptions = {
  n: 40,
  seed: 1,
  hours: 0.05,
  privateShare: 0.6,
  punchShare: 0.7,
  loss: 0.01,
}
const nobody = (): void => undefined

test('a small overlay forms, and everybody has joined', () => {
  const session = new Session(SMALL, nobody)
  form(session)
  const picture = session.world.picture()
  assert.equal(measure(picture).component, 1)
  assert.equal(joins(picture, {}).joined, 1)
})

test('equal seeds make equal worlds, another seed another one', () => {
  const [first, second, other] = [1, 1, 2].map(
    (seed) => scenarios.formation({ ...SMALL, seed }, nobody).stateHash,
  )
  assert.equal(first, second)
  assert.notEqual(first, other)
})

test('what is reported while a scenario runs goes forward in time, at least every minute', () => {
  const at: number[] = []
  const { events, endedMs } = scenarios.massfail(SMALL, (progress) => at.push(progress.atMs))
  assert.ok(events > 1_000)
  assert.equal(at.at(-1), endedMs)
  assert.ok(
    at.every((ms, i) => i === 0 || (ms > (at[i - 1] ?? 0) && ms - (at[i - 1] ?? 0) <= MINUTE)),
  )
})

test('a partition leaves no link across, and links across come back after it', () => {
  const partitionMs = 5 * MINUTE
  const result = scenarios.partition({ ...SMALL, partitionMs }, nobody)
  const during = result.series.filter(
    ({ atMs }) => atMs > result.splitMs + MINUTE && atMs <= result.healedMs,
  )
  assert.ok(during.length >= 4 && during.every(({ crossSide }) => crossSide === 0))
  assert.ok(result.crossSideAfter60min > 0)
})

test('hostile nodes press themselves on honest ones, and name only each other', () => {
  const session = new Session(SMALL, nobody)
  form(session)
  const gang = new Gang(session.world, { dialsPerMinute: 20 })
  for (let i = 0; i < 20; i++) gang.start(session.world.add({ hidden: false, hostile: true }))
  session.runUntil(session.world.now + 5 * MINUTE)
  const figures = session.measure()
  assert.equal(figures.hostile, 20)
  assert.ok(figures.hostileAccepted > 0.1, `${figures.hostileAccepted}`)
  assert.ok(figures.hostileSlots > 0.1, `${figures.hostileSlots}`)
})

test('dials at an address that hostile records name are counted', () => {
  const result = scenarios['ddos-victim']({ ...SMALL, hostileShare: 1 / SMALL.n }, nobody)
  assert.ok(result.dials > 0)
  assert.ok(result.mostByOne >= 1 && result.mostByOne <= result.dials)
  assert.ok(result.worstMinutePerThousand >= result.perMinuteAndThousand)
  const many = scenarios['ddos-victim']({ ...SMALL, hostileShare: 0.3 }, nobody)
  assert.ok(many.dials < result.dials, 'what many claim is nobody’s, and left alone')
})

test('growth starts the stated number of nodes, few at first and most at the end', () => {
  const session = new Session(SMALL, nobody)
  session.found()
  const endMs = grow(session, { n: 40 })
  session.runUntil(endMs / 2)
  const half = session.world.people.size
  session.runUntil(endMs)
  assert.equal(session.world.people.size, 40)
  assert.ok(half < 20, `${half}`)
})

test('the real failure detector finds silent deaths about as late as the world says they are found', () => {
  const result = scenarios.detect({ ...SMALL, n: 100, loss: 0.02, hours: 1 }, nobody)
  const [median, most] = [DETECTION_MS[5] ?? NaN, DETECTION_MS.at(-1) ?? NaN]
  assert.ok(result.deaths >= 50)
  assert.ok(Math.abs(result.detectedP50Ms / median - 1) < 0.15, `${result.detectedP50Ms}`)
  assert.ok(Math.abs(result.detectedP99Ms / most - 1) < 0.15, `${result.detectedP99Ms}`)
  assert.equal(result.falseDown, 0)
})

test('whole again is from when on nothing is torn any more', () => {
  const components = [0.5, 1, 0.9, 1, 1]
  const series = components.map((component, i) => ({ atMs: i + 1, component }) as Moment)
  assert.equal(wholeFrom(series, 0), 4)
  assert.equal(wholeFrom(series, 3), 4)
  assert.ok(Number.isNaN(wholeFrom(series.slice(0, 3), 0)))
})
