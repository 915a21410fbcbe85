import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { BucketLimits } from '../kernel/token-bucket.ts'
import { SERVING_LIMITS } from './limits.ts'

/** One budget a name: bytes of a peer, requests of an address. Used-up ones are remembered, within bounds. */
export class Accounts {
  readonly #limits: BucketLimits
  /** The longest unused leaves; by the time it is pushed out it has refilled somewhat. */
  readonly #buckets = new BoundedMap<string, TokenBucket>(SERVING_LIMITS.maxAccounts)

  constructor(limits: BucketLimits) {
    this.#limits = limits
  }

  left(name: string, now: Instant): number {
    return this.#buckets.get(name)?.left(now) ?? this.#limits.burst
  }

  take(name: string, amount: number, now: Instant): boolean {
    const bucket = this.#buckets.get(name) ?? new TokenBucket(this.#limits, now)
    this.#buckets.set(name, bucket)
    return bucket.take(amount, now)
  }
}

/** How many of something each name has now; a name without any takes no memory. */
export class Tally {
  readonly #counts = new Map<string, number>()

  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  add(name: string): void {
    this.#counts.set(name, this.of(name) + 1)
  }

  remove(name: string): void {
    const left = this.of(name) - 1
    if (left > 0) this.#counts.set(name, left)
    else this.#counts.delete(name)
  }
}
