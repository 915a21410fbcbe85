import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { LIMITS } from '../../protocols/hole-punching/limits.ts'
import type { Attempt } from '../../protocols/hole-punching/outputs.ts'
import type { PunchReport } from '../drivers/puncher.ts'
import type { PunchNews } from '../observe/punch-metrics.ts'

/** The stock service asks for as many attempts in a row. */
const MAX_ROUNDS = 3

/** Attempts of one series follow each other within a relayed round trip or two. */
const SERIES_GAP_MS = 5_000

type Ended = Exclude<PunchReport, { type: 'punch:started' }>

/** What came of DCUtR conversations, in the form that our own protocol's attempts have. */
export class DcutrLog {
  readonly #attempts = new BoundedMap<string, Attempt[]>(LIMITS.attemptPeers)

  /** Oldest first. */
  of(peer: string): readonly Attempt[] {
    return this.#attempts.get(peer) ?? []
  }

  /** Takes a report in and returns what there is to count. */
  note(report: PunchReport, side: Attempt['side'], now: number): PunchNews[] {
    if (report.type === 'punch:started') return []
    // What comes before CONNECT is a plain dial, and no attempt to punch.
    if (report.method === 'dial') {
      return [{ type: 'direct-dial', success: report.type === 'punch:succeeded' }]
    }
    const attempt = this.#attemptOf(report, side, now)
    const before = this.#attempts.get(report.peer) ?? []
    this.#attempts.set(report.peer, [...before, attempt].slice(-LIMITS.attemptsPerPeer))
    const ended: PunchNews = { type: 'attempt', attempt, method: 'punch', carrier: 'dcutr' }
    // Whoever answers does not know whether the other side goes on to ask.
    const last = report.type === 'punch:succeeded' || side === 'callee'
    const over = last || attempt.round >= MAX_ROUNDS
    return over ? [ended, { type: 'series', attempt }] : [ended]
  }

  #attemptOf(report: Ended, side: Attempt['side'], now: number): Attempt {
    const at = now - report.ms
    const previous = this.#attempts.get(report.peer)?.at(-1)
    const goesOn =
      side === 'caller' &&
      previous?.outcome === 'failed' &&
      at - (previous.at + previous.ms) < SERIES_GAP_MS
    const common = {
      peer: report.peer,
      at,
      side,
      round: goesOn ? previous.round + 1 : 1,
      method: 'meet' as const,
      carrier: 'circuit' as const,
      candidates: [],
      ms: report.ms,
      steps: [],
    }
    return report.type === 'punch:succeeded'
      ? { ...common, outcome: 'success', address: report.address }
      : { ...common, outcome: 'failed', reason: report.reason }
  }
}
