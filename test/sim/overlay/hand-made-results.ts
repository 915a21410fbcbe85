/** Results as scenarios give them, made by hand, for the tests of the report. */
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { pictureOf, random } from './hand-made.ts'
import { measure } from './measure/index.ts'
import { optionsOf, USUAL, type AnyResult, type PlayName, type Run } from './report/plays.ts'
import type { Byzantine, Churn, Massfail, Measured, Moment, Partition, Steady } from './results.ts'
import type { ScenarioOptions, Traffic } from './results.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

export function run(
  play: PlayName,
  result: AnyResult,
  options: Partial<ScenarioOptions> = {},
): Run {
  const usual = optionsOf(play, USUAL, 1)
  return { play, options: { ...usual, ...options }, node: 'v26.0.0', tookMs: 1_000, result }
}

export function moment(atMs: number, changes: Partial<Moment> = {}): Moment {
  return {
    atMs,
    alive: 1_000,
    links: 5_000,
    component: 1,
    crossSide: 0,
    hostileSlots: 0,
    hostileChosen: 0,
    hostileAccepted: 0,
    eclipsed: 0,
    sentPerSecond: 150,
    receivedPerSecond: 150,
    ...changes,
  }
}

/** A moment every minute. */
export const minutes = (
  count: number,
  read: (minute: number) => Partial<Moment> = () => ({}),
): Moment[] => Array.from({ length: count }, (_, i) => moment(i * MINUTE_MS, read(i)))

const rng = seededRng(11)
const slotsById = random(300, 32, rng)
const usualMeasured = measure(pictureOf(random(300, 5, rng), { slotsById }))

export const measured = (changes: Partial<Measured> = {}): Measured => ({
  ...usualMeasured,
  ...changes,
})

export const checkAt = (hours: number, changes: Partial<Measured> = {}): Measured =>
  measured({ atMs: hours * HOUR_MS, ...changes })

const rates = { mean: 150, p1: 100, p50: 140, p95: 190, p99: 300, max: 900 }
const traffic: Traffic = {
  fromMs: HOUR_MS,
  toMs: 2 * HOUR_MS,
  sent: rates,
  received: { ...rates, mean: 160 },
  histogram: { step: 20, counts: [0, 0, 0, 0, 3, 30, 90, 60, 40, 20, 8, 2] },
}

const flood = { atMs: 2 * HOUR_MS, reach: 1, hops: 6, tookMs: 400 }

const common = { series: minutes(120), stateHash: 'a1b2', events: 1_000_000, endedMs: 2 * HOUR_MS }

export const steady = (changes: Partial<Steady> = {}): Steady => ({
  ...common,
  formedMs: 20 * MINUTE_MS,
  worstComponent: 1,
  checks: [checkAt(2, { clustering: 0.003, averagePath: 4.3 })],
  floods: [flood],
  traffic,
  heapPerNode: 2 ** 20,
  ...changes,
})

export const massfail = (changes: Partial<Massfail> = {}): Massfail => ({
  ...common,
  failedMs: 60 * MINUTE_MS,
  before: measured(),
  firstFlood: { ...flood, reach: 0.9 },
  component: { after1min: 0.9995, after2min: 1, after5min: 1, after20min: 1 },
  healedAfterMs: 50_000,
  end: measured(),
  ...changes,
})

export const churn = (changes: Partial<Churn> = {}): Churn => ({
  ...common,
  worstComponent: 0.9998,
  meanComponent: 1,
  floods: [flood, { ...flood, reach: 0.9996 }],
  dials: 1_000,
  dialsFailed: 140,
  end: measured({ staleSlots: 0.15 }),
  ...changes,
})

export const partition = (changes: Partial<Partition> = {}): Partition => ({
  ...common,
  splitMs: 60 * MINUTE_MS,
  healedMs: 90 * MINUTE_MS,
  mergedAfterMs: 70_000,
  crossSideAfter60min: 0.45,
  before: measured(),
  end: measured(),
  ...changes,
})

export const byzantine = (changes: Partial<Byzantine> = {}): Byzantine => ({
  ...common,
  attackedMs: 30 * MINUTE_MS,
  end: measured({ hostileSlots: 0.15, hostileChosen: 0.12, eclipsed: 0 }),
  ...changes,
})
