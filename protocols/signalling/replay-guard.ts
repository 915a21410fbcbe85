import type { Instant } from '../kernel/machine.ts'
import { SIGNAL_LIMITS } from './limits.ts'

/** Refuses a box that was opened before, for as long as its time would still be accepted. */
export class ReplayGuard {
  /** Until when a box could be replayed, by its ephemeral key. */
  readonly #until = new Map<string, Instant>()
  readonly #limit: number

  constructor(limit: number = SIGNAL_LIMITS.replayEntries) {
    this.#limit = limit
  }

  get size(): number {
    return this.#until.size
  }

  /** Notes a genuine box; false when it is not the first of that key, or too many are remembered to tell. */
  admit(key: string, until: Instant, now: Instant): boolean {
    if (this.#until.has(key)) return false
    if (this.#until.size >= this.#limit) this.#forget(now)
    // Forgetting a live one would let it in again; a peer that is not heard here is still heard over a relayed link.
    if (this.#until.size >= this.#limit) return false
    this.#until.set(key, until)
    return true
  }

  #forget(now: Instant): void {
    for (const [key, until] of this.#until) if (until < now) this.#until.delete(key)
  }
}
