import type { Instant } from './machine.ts'

export interface BucketLimits {
  /** How much may be taken at once after a long pause. */
  burst: number
  perSecond: number
}

/** Allows a burst and then a steady rate. Starts full. */
export class TokenBucket {
  readonly #limits: BucketLimits
  #tokens: number
  #at: Instant

  constructor(limits: BucketLimits, now: Instant) {
    this.#limits = limits
    this.#tokens = limits.burst
    this.#at = now
  }

  /** Takes `amount`, or nothing and returns false when there is not enough. */
  take(amount: number, now: Instant): boolean {
    this.#refill(now)
    if (this.#tokens < amount) return false
    this.#tokens -= amount
    return true
  }

  /** How much could be taken now. */
  left(now: Instant): number {
    this.#refill(now)
    return this.#tokens
  }

  #refill(now: Instant): void {
    const seconds = Math.max(0, now - this.#at) / 1000 // a clock set back must not empty the bucket
    this.#tokens = Math.min(this.#limits.burst, this.#tokens + seconds * this.#limits.perSecond)
    this.#at = now
  }
}
