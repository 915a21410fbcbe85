import type { Instant } from '../kernel/machine.ts'

/**
 * Tells from the clock that a gateway sends with each answer whether it has restarted, and forgotten what it had mapped
 * (RFC 6886 section 3.6, RFC 6887 section 8.5). One whose clock runs an eighth too slow or too fast passes.
 */
export class Epoch {
  #server: number | undefined
  #at: Instant = 0

  /** Takes one more reading; true when the clock did not go on from the one before. */
  restarted(seconds: number, now: Instant): boolean {
    const [before, at] = [this.#server, this.#at]
    this.#server = seconds
    this.#at = now
    if (before === undefined) return false
    const [theirs, ours] = [seconds - before, (now - at) / 1000]
    if (theirs < -1) return true // one second back is an answer that was overtaken
    return theirs + 2 < ours - ours / 16 || ours + 2 < theirs - theirs / 16
  }
}
