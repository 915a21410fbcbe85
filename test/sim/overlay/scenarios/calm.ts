import { joins, trafficFrom } from '../measure/index.ts'
import type { Formation, Measured, Report, ScenarioOptions, Steady } from '../results.ts'
import { form } from './growth.ts'
import { HOUR, MINUTE, Session } from './session.ts'

/** When figures are taken, in hours since the start. */
const CHECK_HOURS = [1, 2, 4, 6, 8, 24, 48]
const FLOODS = 10
const AFTER_FORMATION_MS = 10 * MINUTE

/** Grows, and is looked at ten minutes later. */
export function formation(options: ScenarioOptions, report: Report): Formation {
  const session = new Session(options, report)
  const formedMs = form(session)
  session.phase = 'settling'
  session.untilMs = formedMs + AFTER_FORMATION_MS
  session.watchUntil(session.untilMs)
  const end = session.measure()
  const floods = session.floods(FLOODS)
  const picture = session.world.picture()
  return {
    ...session.common(),
    formedMs,
    end,
    floods,
    public: joins(picture, { hidden: false }),
    hidden: joins(picture, { hidden: true }),
  }
}

/** Grows, then nothing happens for hours. */
export function steady(options: ScenarioOptions, report: Report): Steady {
  const session = new Session(options, report)
  const formedMs = form(session)
  const endMs = formedMs + options.hours * HOUR
  const halfMs = (formedMs + endMs) / 2
  session.phase = 'steady'
  session.untilMs = endMs
  const checks: Measured[] = []
  const stops = CHECK_HOURS.map((hours) => hours * HOUR).filter((at) => at < endMs)
  const watchTo = (end: number): void => {
    for (; stops[0] !== undefined && stops[0] <= end; stops.shift()) {
      session.watchUntil(stops[0])
      checks.push(session.measure())
    }
    session.watchUntil(end)
  }
  watchTo(halfMs)
  const traffic = trafficFrom(session.world.picture())
  watchTo(endMs)
  checks.push(session.measure())
  const figures = traffic(session.world.picture())
  const floods = session.floods(FLOODS)
  return {
    ...session.common(),
    formedMs,
    worstComponent: Math.min(...session.series.moments.map(({ component }) => component)),
    checks,
    floods,
    traffic: figures,
    heapPerNode: heapPerNode(options.n),
  }
}

/** What the world itself keeps is in it, and what nodes share here is counted once. */
function heapPerNode(n: number): number {
  if (globalThis.gc === undefined) return NaN
  globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / n
}
