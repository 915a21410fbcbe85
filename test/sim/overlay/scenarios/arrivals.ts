import { joins } from '../measure/index.ts'
import type { ClockSkew, FlashCrowd, Join, Report, ScenarioOptions, SmallN } from '../results.ts'
import { wholeFrom } from './blows.ts'
import { form, grow } from './growth.ts'
import { HOUR, MINUTE, SECOND, Session } from './session.ts'

/** Nodes that join an overlay that is there: enough for a percentile, few enough to change nothing. */
const JOINERS = 400
const JOINING_MS = 10 * MINUTE
const CROWD_MS = 10 * MINUTE
/** Share of the nodes whose clocks are off, and by how much at most. */
const SKEWED = 0.2
const SKEW_MS = 12 * HOUR
const SIZES = [2, 3, 10, 50]
const SMALL_MS = 5 * MINUTE

/** Single nodes come to an overlay that has been there for a while. */
export function join(options: ScenarioOptions, report: Report): Join {
  const session = new Session(options, report)
  const { world } = session
  const beginMs = form(session) + options.hours * HOUR
  session.phase = 'steady'
  session.untilMs = beginMs + JOINING_MS + 2 * MINUTE
  session.watchUntil(beginMs)
  session.phase = 'joining'
  const count = Math.min(JOINERS, options.n)
  for (let i = 0; i < count; i++) {
    world.plan(beginMs + (JOINING_MS * i) / count, () => void session.join())
  }
  session.watchUntil(session.untilMs)
  const picture = world.picture()
  return {
    ...session.common(),
    public: joins(picture, { fromMs: beginMs, hidden: false }),
    hidden: joins(picture, { fromMs: beginMs, hidden: true }),
  }
}

/** Ten times as many within ten minutes. */
export function flashcrowd(options: ScenarioOptions, report: Report): FlashCrowd {
  const session = new Session(options, report)
  const { world } = session
  const beginMs = form(session, Math.ceil(options.n / 10)) + 10 * MINUTE
  session.phase = 'steady'
  session.untilMs = beginMs + CROWD_MS + 10 * MINUTE
  session.watchUntil(beginMs)
  session.phase = 'crowded'
  grow(session, { n: options.n }, CROWD_MS)
  session.watchUntil(beginMs + CROWD_MS, 10 * SECOND)
  session.watchClosely(session.untilMs)
  const { moments } = session.series
  const lastMs = beginMs + CROWD_MS
  const wasTorn = moments.some(({ atMs, component }) => atMs >= beginMs && component < 0.999)
  return {
    ...session.common(),
    crowd: joins(world.picture(), { fromMs: beginMs }),
    wholeAfterMs: wasTorn ? Math.max(0, wholeFrom(moments, beginMs) - lastMs) : 0,
    end: session.measure(),
  }
}

/** A fifth of all clocks are wrong by up to twelve hours, either way. */
export function clockskew(options: ScenarioOptions, report: Report): ClockSkew {
  const session = new Session(options, report)
  const { world } = session
  session.found()
  const next = () => {
    const isOff = session.rng() < SKEWED
    return {
      ...session.honest(),
      skewMs: isOff ? Math.round((2 * session.rng() - 1) * SKEW_MS) : 0,
    }
  }
  const formedMs = grow(session, { n: options.n, next })
  session.runUntil(formedMs)
  session.phase = 'steady'
  session.untilMs = formedMs + options.hours * HOUR
  session.watchUntil(session.untilMs)
  const picture = world.picture()
  const { skew } = world.people
  const isOff = (node: number): boolean => skew[node] !== 0
  const counts = new Float64Array(picture.size)
  for (const slots of picture.slotsById) for (const node of slots) counts[node]!++
  const startedAt = picture.startedAt.map((at, node) => (isOff(node) ? at : NaN))
  return {
    ...session.common(),
    end: session.measure(),
    skewed: {
      joins: joins({ ...picture, startedAt }, {}),
      inSlotsComparedToOthers: mean(counts, isOff) / mean(counts, (node) => !isOff(node)),
    },
  }
}

/** Worlds in which everybody knows everybody. */
export function smalln(options: ScenarioOptions, report: Report): SmallN {
  const worlds = SIZES.filter((n) => n <= Math.max(options.n, 3)).map((n) => {
    const session = new Session({ ...options, n }, report)
    session.phase = `${n} nodes`
    session.untilMs = SMALL_MS
    session.found(1)
    for (let i = 1; i < n; i++) session.join()
    const joinedMs = untilJoined(session)
    session.watchUntil(SMALL_MS)
    return { n, session, joinedMs, joinedShare: joinedShare(session) }
  })
  const [last] = worlds.slice(-1) as [(typeof worlds)[number]]
  return {
    ...last.session.common(),
    sizes: worlds.map(({ n, session, joinedMs, joinedShare }) => {
      return {
        n,
        component: session.series.moments.at(-1)?.component ?? NaN,
        joinedShare,
        joinedMs,
      }
    }),
  }
}

/** When everybody has three neighbours, or all there are; NaN if not within the time. */
function untilJoined(session: Session): number {
  const { world } = session
  while (world.now < SMALL_MS) {
    world.runUntil(world.now + SECOND / 10)
    if (joinedShare(session) === 1) return world.now
  }
  return NaN
}

function joinedShare({ world, options }: Session): number {
  const wanted = Math.min(3, options.n - 1)
  const { size } = world.people
  let joined = 0
  for (let node = 0; node < size; node++) {
    if ((world.view(node)?.neighbours().length ?? 0) >= wanted) joined++
  }
  return joined / options.n
}

function mean(values: Float64Array, counts: (node: number) => boolean): number {
  const some = [...values].filter((_, node) => counts(node))
  return some.reduce((sum, value) => sum + value, 0) / some.length
}
