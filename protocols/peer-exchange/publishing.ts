import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Deadlines } from './deadlines.ts'
import { limits } from './limits.ts'
import type { Output } from './outputs.ts'
import { OwnRecord } from './own-record.ts'

interface Collaborators {
  own: OwnRecord
  timers: Deadlines
  rng: Rng
}

/** When our own record is issued. */
export class Publishing {
  readonly #own: OwnRecord
  readonly #timers: Deadlines
  readonly #rng: Rng

  constructor({ own, timers, rng }: Collaborators) {
    this.#own = own
    this.#timers = timers
    this.#rng = rng
  }

  soon(now: Instant): void {
    if (this.#timers.has('publish')) return
    const { least, spread } = limits.publishDelayMs
    // The first version is waited for by every greeting.
    const delay = this.#own.envelope === undefined ? 0 : least + spread * this.#rng()
    this.#timers.set('publish', now + delay)
  }

  /** Has the next version signed. */
  issue(leaving: boolean, now: Instant, out: Output[]): void {
    this.#timers.clear('publish')
    this.#timers.set('refresh', OwnRecord.refreshAt(now, this.#rng))
    this.#timers.set('signing', now + limits.signMs)
    out.push({ type: 'sign', ...this.#own.next(leaving, now) })
  }

  /** Takes the signed version; false when a newer one is being signed already. */
  accept(signed: { seq: number; envelope: Uint8Array }): boolean {
    if (!this.#own.accept(signed)) return false
    this.#timers.clear('signing')
    return true
  }
}
