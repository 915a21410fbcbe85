import { BoundedMap } from '../kernel/bounded.ts'
import { LIMITS } from './limits.ts'
import type { Attempt } from './outputs.ts'

/** The last attempts with each peer, for `explain`. */
export class Journal {
  readonly #attempts = new BoundedMap<string, Attempt[]>(LIMITS.attemptPeers)

  note(attempt: Attempt): void {
    const before = this.#attempts.get(attempt.peer) ?? []
    this.#attempts.set(attempt.peer, [...before, attempt].slice(-LIMITS.attemptsPerPeer))
  }

  /** Oldest first. */
  of(peer: string): readonly Attempt[] {
    return this.#attempts.get(peer) ?? []
  }
}
