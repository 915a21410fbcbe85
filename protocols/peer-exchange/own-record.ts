import type { Instant } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { limits } from './limits.ts'
import type { Entry } from './messages.ts'
import { buildPayload } from './record.ts'
import type { Notation, PeerKey, SelfFacts } from './record.ts'

/** What a node that knows nothing of itself yet says. */
const NOTHING: SelfFacts = {
  addresses: [],
  reachability: 'unknown',
  mapping: 'unknown',
  filtering: 'unknown',
  services: [],
}

/** This node's own record: what it should say, and what was signed last. */
export class OwnRecord {
  readonly peer: PeerKey
  readonly id: number
  readonly networkId: bigint
  readonly #notation: Notation
  #facts: SelfFacts = NOTHING
  #seq = 0
  /** What others may be shown; undefined until the first signature. */
  envelope: Uint8Array | undefined
  /** The version whose signature is under way. */
  #signing = 0

  constructor(self: PeerKey, networkId: bigint, notation: Notation) {
    this.peer = self
    this.id = notation.idOf(self)
    this.networkId = networkId
    this.#notation = notation
  }

  get seq(): number {
    return this.#seq
  }

  set facts(facts: SelfFacts) {
    this.#facts = facts
  }

  /** As others get it; none before the first signature. */
  entries(): Entry[] {
    const { envelope } = this
    return envelope === undefined ? [] : [{ envelope, observedAgeS: 0, firstHand: true }]
  }

  /** Makes sure that the next version is newer than `seq`, which others have seen of us. */
  outgrow(seq: number): void {
    this.#seq = Math.max(this.#seq, seq)
  }

  /** The payload of the next version, to be signed; takes the place of one still being signed. */
  next(leaving: boolean, now: Instant): { seq: number; payload: Uint8Array } {
    // Unix time, so that a node that lost its book is still newer than before.
    const seq = Math.max(this.#seq + 1, this.#signing + 1, Math.floor(now))
    this.#signing = seq
    const issue = { self: this.peer, networkId: this.networkId, seq, now, leaving }
    return { seq, payload: buildPayload(this.#facts, issue, this.#notation) }
  }

  /** Takes the signed version; false when a newer one is being signed already. */
  accept({ seq, envelope }: { seq: number; envelope: Uint8Array }): boolean {
    if (seq !== this.#signing) return false
    this.#seq = Math.max(this.#seq, seq)
    this.envelope = envelope
    return true
  }

  /** When the record must be issued anew though nothing changed. */
  static refreshAt(now: Instant, rng: Rng): Instant {
    return now + jittered((limits.ownTtlS * 1000) / 2, 0.1, rng)
  }
}
