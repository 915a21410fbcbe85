/** What is seen while worlds run: one line that is written over on a terminal, a line now and then elsewhere. */
import type { Progress } from '../results.ts'
import { nearOne } from './goals.ts'
import type { Job } from './options.ts'

/** A log should say that it lives, not fill up. */
const LOG_EVERY_MS = 10_000
/** On a terminal, how often the line is written. */
const DRAW_EVERY_MS = 200

/** Where the lines go: `process.stderr`, or a stand-in in tests. */
export interface Screen {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

interface Seen {
  progress: Progress
  /** Events and the clock at an earlier message, to tell the present speed. */
  since: { events: number; atMs: number }
  perSecond: number
}

/** `events/s` is over at least this long: single messages make it jump. */
const SPEED_OVER_MS = 2_000

export class ProgressLines {
  readonly #screen: Screen
  readonly #now: () => number
  readonly #jobs = new Map<Job, Seen>()
  #writtenAt = -Infinity
  #drawn = false

  constructor(screen: Screen, now: () => number) {
    this.#screen = screen
    this.#now = now
  }

  update(job: Job, progress: Progress): void {
    const now = this.#now()
    const seen = this.#jobs.get(job)
    const since = seen?.since ?? { events: progress.events, atMs: now }
    const passed = now - since.atMs
    if (seen !== undefined && passed < SPEED_OVER_MS) {
      seen.progress = progress
    } else {
      const perSecond = passed === 0 ? 0 : (1_000 * (progress.events - since.events)) / passed
      this.#jobs.set(job, {
        progress,
        since: { events: progress.events, atMs: now },
        perSecond: Math.max(0, perSecond),
      })
    }
    this.#write(now)
  }

  /** A job has ended; `line` stays. */
  end(job: Job, line: string): void {
    this.#jobs.delete(job)
    this.say(line)
  }

  /** A line that stays. */
  say(line: string): void {
    this.clear()
    this.#screen.write(`${line}\n`)
  }

  /** Takes the line that is written over away. */
  clear(): void {
    if (this.#drawn) this.#screen.write('\r\u001b[K')
    this.#drawn = false
  }

  #write(now: number): void {
    const onTerminal = this.#screen.isTTY === true
    if (now - this.#writtenAt < (onTerminal ? DRAW_EVERY_MS : LOG_EVERY_MS)) return
    this.#writtenAt = now
    const texts = [...this.#jobs].map(([job, seen]) => describe(job, seen))
    if (onTerminal) {
      // A line that wraps cannot be written over.
      const line = texts.join(' │ ').slice(0, (this.#screen.columns ?? 80) - 1)
      this.#screen.write(`\r\u001b[K${line}`)
      this.#drawn = true
    } else {
      for (const text of texts) this.#screen.write(`${text}\n`)
    }
  }
}

export const nameOf = ({ play, options }: Job): string => `${play} seed ${options.seed}`

function describe(job: Job, { progress, perSecond }: Seen): string {
  const { phase, atMs, untilMs, moment } = progress
  return [
    `${nameOf(job)}: ${phase} ${clock(atMs)}${Number.isFinite(untilMs) ? ` of ${clock(untilMs)}` : ''}`,
    ...(perSecond === 0 ? [] : [`${(perSecond / 1_000).toFixed(0)}k events/s`]),
    ...(moment === undefined
      ? []
      : [`component ${nearOne(moment.component)}`, `${moment.links} links`]),
  ].join(', ')
}

const two = (value: number): string => String(value).padStart(2, '0')

/** Hours, minutes and seconds of simulated time. */
export function clock(ms: number): string {
  const total = Math.floor(ms / 1_000)
  return `${Math.floor(total / 3_600)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`
}
