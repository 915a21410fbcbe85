import type { Instant } from '../kernel/machine.ts'
import { limits } from './limits.ts'

/** Notices that an overlay that was split has met again: then its links are mixed faster for a while. */
export class Healing {
  #signs: Instant[] = []
  #until: Instant = 0
  #size: number | undefined

  isOn(now: Instant): boolean {
    return now < this.#until
  }

  /** A peer that was lost has answered, or a bootstrap that was silent. Returns whether healing begins with it. */
  sign(now: Instant, strong = false): boolean {
    this.#signs = [...this.#signs.filter((at) => now - at < limits.signsMs), now]
    return strong || this.#signs.length >= limits.signs ? this.#begin(now) : false
  }

  /** A new estimate of the overlay's size. Returns whether healing begins with it. */
  size(estimate: number, now: Instant): boolean {
    const before = this.#size
    this.#size = before === undefined ? estimate : before + (estimate - before) / 8
    return before !== undefined && estimate > before * limits.growth && this.#begin(now)
  }

  #begin(now: Instant): boolean {
    const begins = !this.isOn(now)
    this.#until = now + limits.healingMs
    this.#signs = []
    return begins
  }
}
