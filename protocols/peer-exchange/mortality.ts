import { limits } from './limits.ts'

/**
 * How soon peers are gone, learnt from those this node has reached itself: what others say of when they saw somebody
 * does not count, nor do strangers who come and go. One number, deaths by the time for which peers were watched; what was
 * seen long ago counts less and less.
 */
export class Mortality {
  #deaths: number = limits.mortality.first.deaths
  #watchedMs: number = limits.mortality.first.watchedMs

  /** Deaths in a millisecond: the chance that somebody is gone who was seen `t` ago is 1 - exp(-perMs * t). */
  get perMs(): number {
    return Math.min(this.#deaths / this.#watchedMs, limits.mortality.mostPerMs)
  }

  /** How long ago a peer may have been seen so that it is gone with this chance. */
  gives(chance: number): number {
    return -Math.log1p(-chance) / this.perMs
  }

  /** Somebody is there who was seen that long ago. */
  survived(ms: number): void {
    this.#watch(ms)
  }

  /** Somebody is gone who was seen that long ago; on average half of that time was lived. */
  died(ms: number): void {
    this.#deaths++
    this.#watch(ms / 2)
  }

  /** Who was taken for dead is back. */
  revived(): void {
    this.#deaths = Math.max(0, this.#deaths - 1)
  }

  #watch(ms: number): void {
    this.#watchedMs += Math.max(0, ms) // less is a clock that was set back
    const rest = Math.min(1, limits.mortality.remembersMs / this.#watchedMs)
    this.#watchedMs *= rest
    this.#deaths *= rest
  }
}
