import { networksOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Behaviour } from './evidence.ts'
import { LIMITS } from './limits.ts'

/** What a probe came to: a `stranger` to the port got in, somebody else did, or nobody. */
export interface FilterWord {
  result: 'stranger' | 'reached' | 'failed'
  /** `fresh` ports have sent to the helper alone, `silent` ones to nobody. */
  door: 'listening' | 'fresh' | 'silent'
  /** A third peer dialled, not the helper. */
  other: boolean
  at: Instant
}

/** What helpers found out about whom the router lets in. Bounded; the oldest makes room. */
export class FilterWords {
  readonly #words = new Map<string, FilterWord>()

  /** The newest word on one question replaces the older one of the same network. */
  add(helperIp: string, word: FilterWord): void {
    const network = networksOf(helperIp)?.narrow
    if (network === undefined) return
    const key = `${network} ${word.door} ${word.other}`
    this.#words.delete(key)
    const oldest = this.#words.keys().next().value
    if (this.#words.size >= LIMITS.maxEvidence && oldest !== undefined) this.#words.delete(oldest)
    this.#words.set(key, word)
  }

  expire(now: Instant): void {
    for (const [key, { at }] of this.#words) {
      if (now >= at + LIMITS.evidenceMs) this.#words.delete(key)
    }
  }

  nextExpiry(): Instant | undefined {
    const times = [...this.#words.values()].map(({ at }) => at)
    return times.length === 0 ? undefined : Math.min(...times) + LIMITS.evidenceMs
  }

  clear(): void {
    this.#words.clear()
  }

  /**
   * Who got in was seen by this node itself and proves something; who did not is somebody's word. So one success decides, however
   * many deny it, and the helpers that lie would all have to lie.
   */
  behaviour(): Behaviour {
    const words = [...this.#words.values()]
    if (words.some(({ result }) => result === 'stranger')) return 'endpoint-independent'
    const strangersFail = words.some(
      ({ result, other, door }) => result === 'failed' && (other || door === 'silent'),
    )
    if (words.some(({ result }) => result === 'reached')) {
      return strangersFail ? 'address-dependent' : 'unknown'
    }
    return words.some(({ result, other }) => result === 'failed' && !other)
      ? 'address-and-port-dependent'
      : 'unknown'
  }
}
