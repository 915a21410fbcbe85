import type { Instant } from './machine.ts'

/** Refuses what was let in before, for as long as its time would still be accepted. */
export class ReplayGuard {
  /** Until when something could be replayed, by what names it. */
  readonly #until = new Map<string, Instant>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#until.size
  }

  /** Notes a genuine one; false when it is not the first of that name, or too many are remembered to tell. */
  admit(key: string, until: Instant, now: Instant): boolean {
    if (this.#until.has(key)) return false
    if (this.#until.size >= this.#limit) this.#forget(now)
    // Forgetting a live one would let it in again.
    if (this.#until.size >= this.#limit) return false
    this.#until.set(key, until)
    return true
  }

  #forget(now: Instant): void {
    for (const [key, until] of this.#until) if (until < now) this.#until.delete(key)
  }
}
