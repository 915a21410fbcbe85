import { backoffMs } from '../kernel/backoff.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { Timers } from '../kernel/timers.ts'
import { PACE, RESUMPTION_LIMITS } from './limits.ts'

/** What the opener does about its carriers. */
export type SeekOutput =
  /** Open a carrier on the best connection that is not `avoid`; make a connection only if told to. */
  | { type: 'open'; carrier: number; connect: boolean; avoid: string | undefined }
  | { type: 'drop'; carrier: number }

interface Try {
  carrier: number
  /** The connection chosen for it, as soon as that is known. */
  path: string | undefined
}

/** Decides when the opener of a session opens a carrier: to follow the best path, and to replace what broke or stalled. */
export class Seeker {
  readonly timers = new Timers<'attempt' | 'retry' | 'give-up'>()
  readonly #rng: Rng
  #opened = 0
  #failures = 0
  #attempt: Try | undefined
  #current: Try | undefined
  #best: string | undefined
  #shunned: { path: string; until: Instant } | undefined
  #gaveUp = false
  /** Whether a connection may be made if there is none; a session that only says goodbye makes none. */
  connects = true

  constructor(rng: Rng) {
    this.#rng = rng
  }

  /** Whether the time to find a way back is over. */
  get gaveUp(): boolean {
    return this.#gaveUp
  }

  isAttempt(carrier: number): boolean {
    return this.#attempt?.carrier === carrier
  }

  /** Opens a carrier now, instead of the one being opened. */
  attempt(now: Instant): SeekOutput[] {
    const before = this.#attempt
    this.timers.clear('retry')
    this.timers.clear('attempt')
    this.#opened += 1
    this.#attempt = { carrier: this.#opened, path: undefined }
    const open: SeekOutput = {
      type: 'open',
      carrier: this.#opened,
      connect: this.connects && this.#current === undefined,
      avoid: this.#avoided(now),
    }
    return before === undefined ? [open] : [{ type: 'drop', carrier: before.carrier }, open]
  }

  /** A connection was chosen for the attempt; from now on it has to get on. */
  trying(carrier: number, path: string, now: Instant): void {
    if (this.#attempt?.carrier !== carrier) return
    this.#attempt.path = path
    this.timers.set('attempt', now + PACE.attemptMs)
  }

  /** The attempt is answered: it is the carrier now. */
  taken(now: Instant): SeekOutput[] {
    const before = this.#current
    this.#current = this.#attempt
    this.#attempt = undefined
    this.#failures = 0
    for (const name of ['attempt', 'retry', 'give-up'] as const) this.timers.clear(name)
    const out: SeekOutput[] =
      before === undefined ? [] : [{ type: 'drop', carrier: before.carrier }]
    // A better one may have come up while this one was being opened.
    if (this.#wants(now)) out.push(...this.attempt(now))
    return out
  }

  /** The attempt came to nothing. */
  failed(now: Instant): void {
    this.#attempt = undefined
    this.#failures += 1
    this.timers.clear('attempt')
    this.timers.set('retry', now + backoffMs(this.#failures, PACE.retry, this.#rng))
  }

  /** The carrier is gone. */
  lost(now: Instant): SeekOutput[] {
    this.#current = undefined
    if (!this.timers.has('give-up')) this.timers.set('give-up', now + RESUMPTION_LIMITS.seekMs)
    return this.#attempt === undefined ? this.attempt(now) : []
  }

  /** Which connection to the peer is the best now. */
  pathIs(best: string | undefined, now: Instant): SeekOutput[] {
    const news = best !== this.#best
    this.#best = best
    // What has just failed on the same connection is tried again when its time comes.
    if (!news && this.timers.has('retry')) return []
    return this.#wants(now) ? this.attempt(now) : []
  }

  /** The carrier carries nothing although it should: another connection may. */
  stalled(now: Instant): SeekOutput[] {
    const path = this.#current?.path
    if (path !== undefined) this.#shunned = { path, until: now + PACE.shunMs }
    return this.#attempt === undefined ? this.attempt(now) : []
  }

  /** What is due now. */
  tick(now: Instant): SeekOutput[] {
    const out: SeekOutput[] = []
    for (const name of this.timers.takeDue(now)) {
      if (name === 'give-up') this.#gaveUp = true
      else if (name === 'attempt') out.push(...this.#expire(now))
      else if (this.#current === undefined || this.#wants(now)) out.push(...this.attempt(now))
    }
    return out
  }

  #expire(now: Instant): SeekOutput[] {
    const late = this.#attempt
    if (late === undefined) return []
    // With a carrier in use there is no hurry; without, whatever else there is comes first.
    if (late.path !== undefined) this.#shunned = { path: late.path, until: now + PACE.shunMs }
    this.failed(now)
    return [{ type: 'drop', carrier: late.carrier }]
  }

  /** Whether the best connection is one that is neither in use nor being tried nor to be avoided. */
  #wants(now: Instant): boolean {
    const best = this.#best
    if (best === undefined || best === this.#avoided(now)) return false
    // For a last goodbye any carrier will do.
    if (!this.connects && this.#current !== undefined) return false
    if (this.#attempt !== undefined) {
      return this.#attempt.path !== undefined && this.#attempt.path !== best
    }
    return this.#current?.path !== best
  }

  #avoided(now: Instant): string | undefined {
    if (this.#shunned !== undefined && this.#shunned.until <= now) this.#shunned = undefined
    return this.#shunned?.path
  }
}
