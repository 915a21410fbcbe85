import type {
  Churn,
  Flood,
  Massfail,
  Moment,
  Partition,
  RelayCrash,
  Report,
  ScenarioOptions,
} from '../results.ts'
import { shuffle } from '../../../../protocols/kernel/rng.ts'
import { form } from './growth.ts'
import { BOOTSTRAPS, HOUR, MINUTE, SECOND, Session } from './session.ts'

const WHOLE = 0.999
/** Two halves that grow apart become whole within a minute or not for long: looked at this often. */
const MERGE_EVERY_MS = 5 * SECOND

/** A share of all nodes stops at one instant; one founder is spared, for an overlay whose founders are all gone forms no more. */
export function massfail(options: ScenarioOptions, report: Report): Massfail {
  const { hours, failShare = 0.8, healingMs = 20 * MINUTE } = options
  const session = new Session(options, report)
  const { world } = session
  session.untilMs = form(session) + hours * HOUR + healingMs
  session.phase = 'steady'
  session.watchUntil(session.untilMs - healingMs)
  const before = session.measure()
  const failedMs = world.now
  session.phase = 'healing'
  const others = shuffle(aliveNodes(session).slice(1), session.rng)
  for (const node of others.slice(0, Math.round(others.length * failShare)))
    world.stop(node, 'kill')
  const flood = session.flood(session.anybody())
  session.watchClosely(failedMs + healingMs)
  const { moments } = session.series
  const at = (minutes: number): number => componentAt(moments, failedMs + minutes * MINUTE)
  return {
    ...session.common(),
    failedMs,
    before,
    firstFlood: session.floodFigures(flood),
    component: {
      after1min: at(1),
      after2min: at(2),
      after5min: at(5),
      after20min: at(20),
    },
    healedAfterMs: wholeFrom(moments, failedMs) - failedMs,
    end: session.measure(),
  }
}

/** So many leave without a word and as many come, all the time. Founders stay: they are somebody's servers. */
export function churn(options: ScenarioOptions, report: Report): Churn {
  const { hours, churnPerMinute = 0.01, n } = options
  const session = new Session(options, report)
  const { world } = session
  const formedMs = form(session)
  const endMs = formedMs + hours * HOUR
  session.phase = 'churning'
  session.untilMs = endMs
  const pauseMs = MINUTE / (churnPerMinute * n)
  const replace = (): void => {
    const node = session.anybody()
    if (node >= BOOTSTRAPS) world.stop(node, 'kill')
    if (node >= BOOTSTRAPS) session.join()
    if (world.now < endMs) world.plan(world.now + 2 * pauseMs * session.rng(), replace)
  }
  world.plan(world.now, replace)
  const { dials, failed } = world.dialling
  const floods: Flood[] = []
  while (world.now < endMs) {
    session.watchUntil(Math.min(endMs, world.now + 10 * MINUTE))
    floods.push(...session.floods(1))
  }
  const components = session.series.moments.map(({ component }) => component)
  return {
    ...session.common(),
    worstComponent: Math.min(...components),
    meanComponent: components.reduce((sum, one) => sum + one, 0) / components.length,
    floods,
    dials: world.dialling.dials - dials,
    dialsFailed: world.dialling.failed - failed,
    end: session.measure(),
  }
}

/** Two halves that cannot reach each other for a while, each with founders of its own. */
export function partition(options: ScenarioOptions, report: Report): Partition {
  const { hours, partitionMs = 30 * MINUTE } = options
  const session = new Session(options, report)
  const { world } = session
  const splitMs = form(session) + hours * HOUR
  const healedMs = splitMs + partitionMs
  session.phase = 'steady'
  session.untilMs = healedMs + HOUR
  session.watchUntil(splitMs)
  const before = session.measure()
  for (let node = 0; node < world.people.size; node++) {
    world.people.side[node] = node < BOOTSTRAPS ? node % 2 : Math.floor(session.rng() * 2)
  }
  world.split()
  session.phase = 'split'
  session.watchUntil(healedMs)
  world.heal()
  session.phase = 'healing'
  session.watchUntil(healedMs + 10 * MINUTE, MERGE_EVERY_MS)
  session.watchUntil(healedMs + HOUR)
  const { moments } = session.series
  return {
    ...session.common(),
    splitMs,
    healedMs,
    mergedAfterMs: wholeFrom(moments, healedMs) - healedMs,
    crossSideAfter60min: moments.at(-1)?.crossSide ?? NaN,
    before,
    end: session.measure(),
  }
}

/** A share of those who relay for others stops at one instant. */
export function relaycrash(options: ScenarioOptions, report: Report): RelayCrash {
  const { hours, failShare = 0.5 } = options
  const session = new Session(options, report)
  const { world } = session
  const crashedMs = form(session) + hours * HOUR
  session.phase = 'steady'
  session.untilMs = crashedMs + 20 * MINUTE
  session.watchUntil(crashedMs)
  const nodes = aliveNodes(session)
  const relays = new Set(nodes.flatMap((node) => [...world.relays.held(node)]))
  const doomed = shuffle([...relays], session.rng).slice(0, Math.round(relays.size * failShare))
  for (const relay of doomed) world.stop(relay, 'kill')
  session.phase = 'healing'
  session.watchUntil(crashedMs + MINUTE, 2 * SECOND)
  const hidden = nodes.filter((node) => world.people.hidden[node] === 1)
  const { alive } = world.people
  const isolated = hidden.filter((node) => (world.view(node)?.neighbours().length ?? 0) === 0)
  const unreachable = hidden.filter((node) =>
    world.relays.held(node).every((relay) => alive[relay] === 0),
  )
  session.watchUntil(session.untilMs)
  return {
    ...session.common(),
    crashedMs,
    isolatedAfter1min: isolated.length / hidden.length,
    unreachableAfter1min: unreachable.length / hidden.length,
    end: session.measure(),
  }
}

function aliveNodes({ world }: Session): number[] {
  const nodes = Array.from({ length: world.people.size }, (_, node) => node)
  return nodes.filter((node) => world.people.alive[node] === 1)
}

function componentAt(moments: readonly Moment[], at: number): number {
  return moments.find(({ atMs }) => atMs >= at)?.component ?? NaN
}

/** From when on, not before `from`, all that is left is one component; NaN if it is not at the end. */
export function wholeFrom(moments: readonly Moment[], from: number): number {
  const after = moments.filter(({ atMs }) => atMs > from)
  const lastTorn = after.findLastIndex(({ component }) => component < WHOLE)
  return after[lastTorn + 1]?.atMs ?? NaN
}
