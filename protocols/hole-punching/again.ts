import type { Instant } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { LIMITS } from './limits.ts'

interface Plan {
  failures: number
  at: Instant
}

/** When relayed links are punched again: soon at first, rarely later, at once when something has changed. */
export class Again {
  readonly #rng: Rng
  readonly #plans = new Map<string, Plan>()

  constructor(rng: Rng) {
    this.#rng = rng
  }

  /** A campaign has failed. Returns when the next one is due: a callee leaves the first word to the caller. */
  failed(peer: string, now: Instant, side: 'caller' | 'callee'): Instant | undefined {
    const failures = (this.#plans.get(peer)?.failures ?? 0) + 1
    if (!this.#plans.has(peer) && this.#plans.size >= LIMITS.waiting) return undefined
    const last = LIMITS.againMs.length - 1
    const step = side === 'caller' ? failures - 1 : failures
    const pause = LIMITS.againMs[Math.min(step, last)] as number
    const at = now + jittered(pause, 0.2, this.#rng)
    this.#plans.set(peer, { failures, at })
    return at
  }

  /** There was no room for its campaign. */
  postpone(peer: string, now: Instant): void {
    const { failures = 0 } = this.#plans.get(peer) ?? {}
    if (!this.#plans.has(peer) && this.#plans.size >= LIMITS.waiting) return
    this.#plans.set(peer, { failures, at: now + jittered(LIMITS.againMs[0], 0.2, this.#rng) })
  }

  forget(peer: string): void {
    this.#plans.delete(peer)
  }

  /** What is known of the network has changed: everybody's turn comes soon, and the count starts anew. */
  news(now: Instant): void {
    for (const peer of this.#plans.keys()) this.soon(peer, now)
  }

  /** The peer's turn comes soon. */
  soon(peer: string, now: Instant): void {
    if (!this.#plans.has(peer) && this.#plans.size >= LIMITS.waiting) return
    this.#plans.set(peer, { failures: 0, at: now + LIMITS.newsMs * (1 + this.#rng()) })
  }

  at(peer: string): Instant | undefined {
    return this.#plans.get(peer)?.at
  }

  next(): Instant | undefined {
    const times = [...this.#plans.values()].map(({ at }) => at)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** Peers whose turn has come; each stays planned far ahead until its campaign has ended. */
  due(now: Instant): string[] {
    const due = [...this.#plans].filter(([, { at }]) => at <= now)
    for (const [, plan] of due) plan.at = Infinity
    return due.map(([peer]) => peer)
  }
}
