import { backoffMs } from '../kernel/backoff.ts'
import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import { limits } from './limits.ts'

interface Rest {
  tries: number
  until: Instant
}

/** Who is not to be tried before when. */
export class Rests {
  readonly #rests = new BoundedMap<PeerKey, Rest>(limits.rests)
  readonly #rng: Rng

  constructor(rng: Rng) {
    this.#rng = rng
  }

  /** When the peer may be tried; 0 if at any time. */
  until(peer: PeerKey): Instant {
    return this.#rests.get(peer)?.until ?? 0
  }

  tries(peer: PeerKey): number {
    return this.#rests.get(peer)?.tries ?? 0
  }

  /** Another failure: longer than after the last one. */
  fail(peer: PeerKey, plan: { firstMs: number; maxMs: number }, now: Instant): void {
    const tries = this.tries(peer) + 1
    this.#rests.set(peer, { tries, until: now + backoffMs(tries, plan, this.#rng) })
  }

  /** Not before a time of somebody else's choosing. */
  wait(peer: PeerKey, until: Instant): void {
    this.#rests.set(peer, { tries: this.tries(peer), until: Math.max(until, this.until(peer)) })
  }

  /** A lost peer was visited in vain. */
  lost(peer: PeerKey, now: Instant): void {
    const tries = this.tries(peer) + 1
    const ms = limits.lostVisitsMs[Math.min(tries, limits.lostVisitsMs.length) - 1] ?? 0
    this.#rests.set(peer, { tries, until: now + ms })
  }

  forget(peer: PeerKey): void {
    this.#rests.delete(peer)
  }
}
