import { makeOverlay } from '../../../../protocols/overlay/make.ts'
import { seededRng } from '../../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../../protocols/kernel/rng.ts'
import { measure, Series } from '../measure/index.ts'
import type { Flood, Measured, Moment, Report, ScenarioOptions } from '../results.ts'
import { World } from '../world/world.ts'
import type { Running } from '../world/floods.ts'
import type { Newcomer } from '../world/population.ts'

export const SECOND = 1_000
export const MINUTE = 60_000
export const HOUR = 3_600_000

/** Public nodes known to everybody, as a network's founders run them. */
export const BOOTSTRAPS = 5
/** A message is not passed on for longer: an application's cache. */
const FLOOD_MS = 30_000

/** A world that a scenario runs, and what all scenarios do: put nodes down, let time pass, look. */
export class Session {
  readonly world: World
  readonly series = new Series()
  /** For what the scenario draws: who fails, who comes when. */
  readonly rng: Rng
  readonly options: ScenarioOptions
  phase = 'forming'
  untilMs = NaN
  readonly #report: Report

  constructor(options: ScenarioOptions, report: Report) {
    const { seed, loss, punchShare } = options
    this.options = options
    this.#report = report
    this.rng = seededRng(seed ^ 0x5ce4)
    this.world = new World({ seed, makeOverlay, loss, punchShare })
  }

  /** The founders, who are public and there from the start. */
  found(count = Math.min(BOOTSTRAPS, this.options.n)): number[] {
    const { world } = this
    const founders = Array.from({ length: count }, () =>
      world.add({ hidden: false, hostile: false }),
    )
    world.setBootstraps(founders)
    for (const node of founders) world.start(node)
    return founders
  }

  /** An honest node of the usual kinds. */
  honest(): Newcomer {
    return { hidden: this.rng() < this.options.privateShare, hostile: false }
  }

  /** Puts a node down and starts it, now. */
  join(newcomer: Newcomer = this.honest()): number {
    const node = this.world.add(newcomer)
    this.world.start(node)
    return node
  }

  /** Lets everything happen up to then, told of every minute; no picture is taken. */
  runUntil(end: number): void {
    const { world } = this
    while (world.now < end) {
      world.runUntil(Math.min(end, world.now + MINUTE))
      this.#tell()
    }
  }

  /** The same, with a picture for the series every so often and at the end. */
  watchUntil(end: number, everyMs = MINUTE): void {
    const { world } = this
    while (world.now < end) {
      world.runUntil(Math.min(end, world.now + everyMs))
      this.#tell(this.series.add(world.picture()))
    }
  }

  /** Looks closely at first, then less so: for what follows a blow. */
  watchClosely(end: number): void {
    const { now } = this.world
    this.watchUntil(Math.min(end, now + MINUTE), 2 * SECOND)
    this.watchUntil(Math.min(end, now + 5 * MINUTE), 5 * SECOND)
    this.watchUntil(end)
  }

  measure(): Measured {
    return measure(this.world.picture())
  }

  /** Messages from so many random honest nodes at once, followed to their end. */
  floods(count: number): Flood[] {
    const running = Array.from({ length: count }, () => this.flood(this.anybody()))
    this.runUntil(this.world.now + FLOOD_MS)
    return running.map((one) => this.floodFigures(one))
  }

  flood(origin: number): Running {
    return this.world.flood(origin, FLOOD_MS)
  }

  /** Of the honest nodes that were there all the time: how many it reached. */
  floodFigures({ startedAt, hops, lastAt }: Running): Flood {
    const { people } = this.world
    let [reached, there, most] = [0, 0, 0]
    for (let node = 0; node < hops.length; node++) {
      const wasThere = people.alive[node] === 1 && (people.startedAt[node] as number) <= startedAt
      if (!wasThere || people.hostile[node] === 1) continue
      there++
      const depth = hops[node] as number
      if (depth === 0) continue
      reached++
      most = Math.max(most, depth - 1)
    }
    return { atMs: startedAt, reach: reached / there, hops: most, tookMs: lastAt - startedAt }
  }

  /** A random honest node that is alive. */
  anybody(): number {
    const { people } = this.world
    for (;;) {
      const node = Math.floor(this.rng() * people.size)
      if (people.alive[node] === 1 && people.hostile[node] === 0) return node
    }
  }

  /** What every result has. */
  common() {
    const { world, series } = this
    return {
      series: series.moments,
      stateHash: world.stateHash(),
      events: world.queue.taken,
      endedMs: world.now,
    }
  }

  #tell(moment?: Moment): void {
    const { world, phase, untilMs } = this
    this.#report({
      phase,
      atMs: world.now,
      untilMs,
      events: world.queue.taken,
      ...(moment !== undefined && { moment }),
    })
  }
}
