import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { Rates } from '../kernel/rates.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { RefusalCode } from './codec.ts'
import { SIGNAL_LIMITS } from './limits.ts'

/** What the relay knows beyond its streams. */
export interface RelayFacts {
  /** Whether it relays for others now. */
  serving(): boolean
  holdsReservation(peer: string): boolean
}

/** Whether a peer may hold a stream, and who has to give one up for it. */
export type Admission = { admitted: false } | { admitted: true; instead: string | undefined }

/** What to do with a message: `hang-up` ends the sender's stream without an answer. */
export type Verdict = 'pass' | 'hang-up' | RefusalCode

/** The relay's rules: who may hold a stream, and who may pass what to whom. */
export class Switchboard {
  readonly #facts: RelayFacts
  /** Peers with a stream; the one that was silent longest comes first. */
  readonly #clients = new Set<string>()
  /** When a peer last wrote to another: `from to`. */
  readonly #wrote = new BoundedMap<string, Instant>(SIGNAL_LIMITS.pairs)
  readonly #senders = new Rates(SIGNAL_LIMITS.sender, SIGNAL_LIMITS.accounts)
  readonly #targets = new Rates(SIGNAL_LIMITS.target, SIGNAL_LIMITS.accounts)
  readonly #patience = new Rates(SIGNAL_LIMITS.patience, SIGNAL_LIMITS.accounts)
  readonly #all: TokenBucket

  constructor(facts: RelayFacts, now: Instant) {
    this.#facts = facts
    this.#all = new TokenBucket(SIGNAL_LIMITS.all, now)
  }

  get clients(): number {
    return this.#clients.size
  }

  /** A peer opened a stream. When there are too many, the visitor that was silent longest makes room. */
  join(peer: string): Admission {
    if (!this.#facts.serving()) return { admitted: false }
    let instead: string | undefined
    if (!this.#clients.has(peer) && this.#clients.size >= SIGNAL_LIMITS.clients) {
      instead = [...this.#clients].find((each) => !this.#facts.holdsReservation(each))
      if (instead === undefined) return { admitted: false }
      this.#clients.delete(instead)
    }
    this.#heardOf(peer)
    return { admitted: true, instead }
  }

  /** A peer's stream is gone. */
  leave(peer: string): void {
    this.#clients.delete(peer)
  }

  /** Judges a message that `from` wants handed to `to`. */
  judge(from: string, to: string, sealedBytes: number, now: Instant): Verdict {
    this.#heardOf(from)
    const verdict = this.#rule(from, to, sealedBytes, now)
    if (verdict === 'pass') this.#wrote.set(pair(from, to), now)
    else if (!this.#patience.take(from, now)) return 'hang-up'
    return verdict
  }

  #rule(from: string, to: string, sealedBytes: number, now: Instant): Verdict {
    if (!this.#facts.serving()) return 'not-served'
    if (sealedBytes > SIGNAL_LIMITS.sealedBytes) return 'too-big'
    // The sender pays first: looking for targets, or emptying another's bucket, costs it its own.
    if (!this.#senders.take(from, now)) return 'too-fast'
    if (to === from || !this.#clients.has(to) || !this.#mayReach(from, to, now)) {
      return 'unknown-target'
    }
    return this.#targets.take(to, now) && this.#all.take(1, now) ? 'pass' : 'too-fast'
  }

  /** Reservations are for being reached; anybody else is only answered. */
  #mayReach(from: string, to: string, now: Instant): boolean {
    if (this.#facts.holdsReservation(to)) return true
    const asked = this.#wrote.get(pair(to, from))
    return asked !== undefined && now - asked <= SIGNAL_LIMITS.replyMs
  }

  #heardOf(peer: string): void {
    this.#clients.delete(peer)
    this.#clients.add(peer)
  }
}

function pair(from: string, to: string): string {
  return `${from} ${to}`
}
