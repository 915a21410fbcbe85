import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { LIMITS } from './limits.ts'

/** Evidence by what it is about, until it is too old. Bounded; the oldest makes room. */
export class Remembered<T extends { at: Instant }> {
  readonly #entries = new BoundedMap<string, T>(LIMITS.maxEvidence)

  /** The newest word on one thing replaces the older one. */
  protected put(key: string, entry: T): void {
    this.#entries.set(key, entry)
  }

  protected get(key: string): T | undefined {
    return this.#entries.get(key)
  }

  protected all(): T[] {
    return [...this.#entries.values()]
  }

  protected drop(unwanted: (entry: T) => boolean): void {
    for (const [key, entry] of this.#entries) if (unwanted(entry)) this.#entries.delete(key)
  }

  expire(now: Instant): void {
    this.drop(({ at }) => now >= at + LIMITS.evidenceMs)
  }

  nextExpiry(): Instant | undefined {
    const times = this.all().map(({ at }) => at)
    return times.length === 0 ? undefined : Math.min(...times) + LIMITS.evidenceMs
  }

  clear(): void {
    this.#entries.clear()
  }
}
