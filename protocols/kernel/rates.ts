import { BoundedMap } from './bounded.ts'
import type { Instant } from './machine.ts'
import { TokenBucket } from './token-bucket.ts'
import type { BucketLimits } from './token-bucket.ts'

/** One bucket for each of many, kept beyond its connection so that reconnecting buys nothing. */
export class Rates {
  readonly #limits: BucketLimits
  readonly #buckets: BoundedMap<string, TokenBucket>

  /** `most`: of whom are remembered; who was heard of longest ago makes room. */
  constructor(limits: BucketLimits, most: number) {
    this.#limits = limits
    this.#buckets = new BoundedMap(most)
  }

  take(of: string, now: Instant): boolean {
    const bucket = this.#buckets.get(of) ?? new TokenBucket(this.#limits, now)
    this.#buckets.set(of, bucket)
    return bucket.take(1, now)
  }
}
