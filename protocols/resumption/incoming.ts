import type { Instant } from '../kernel/machine.ts'
import type { Account } from './budget.ts'
import type { Position } from './codec.ts'
import { MEMORY, PACE } from './limits.ts'

/** What this side of a session receives: every byte once, and no more than was promised room for. */
export class Incoming {
  readonly #account: Account
  #received = 0
  #consumed = 0
  #limit = 0
  #final: number | undefined
  #ended = false
  #window: number = PACE.firstWindowBytes
  /** When the window was last full, to see how fast it is used up. */
  #epoch: { consumed: number; at: Instant }
  /** What the other side was told last. */
  #told: Position = { received: 0, limit: 0 }
  #asked = false

  constructor(account: Account, now: Instant) {
    this.#account = account
    this.#epoch = { consumed: 0, at: now }
  }

  /** Whether everything has arrived, the end included. */
  get complete(): boolean {
    return this.#ended
  }

  /** Bytes that have arrived, each counted once. */
  get received(): number {
    return this.#received
  }

  /** Bytes that the application has not taken yet. */
  get waiting(): number {
    return this.#received - this.#consumed
  }

  /** What to tell the other side; it counts as told. */
  position(): Position {
    this.#extend()
    this.#asked = false
    this.#told = { received: this.#received + (this.#ended ? 1 : 0), limit: this.#limit }
    return this.#told
  }

  /** Whether the other side should be told at once. */
  get urgent(): boolean {
    const gain = this.#reach() - this.#told.limit
    return this.#asked || (!this.#ended && gain >= this.#size() / 8)
  }

  /** Whether there is anything it has not been told. */
  get owed(): boolean {
    return this.#told.received < this.#received + (this.#ended ? 1 : 0) || this.urgent
  }

  /** The part of the bytes that is new, a reason why they are wrong, or nothing when all is known. */
  take(offset: number, bytes: Uint8Array, ask: boolean): Uint8Array | string | undefined {
    const end = offset + bytes.length
    if (offset > this.#received) return 'it left bytes out'
    if (end > this.#limit) return 'it sent more than it was allowed'
    if (this.#final !== undefined && end > this.#final) return 'it sent bytes behind the end'
    this.#asked ||= ask
    if (end <= this.#received) return undefined
    const fresh = bytes.subarray(this.#received - offset)
    this.#received = end
    return fresh
  }

  /** Takes the end; returns true when it is news, or a reason why it is wrong. */
  end(offset: number): boolean | string {
    if (this.#final !== undefined && offset !== this.#final) return 'it moved the end'
    if (offset !== this.#received) return 'it ended where it had not got to'
    this.#asked = true
    if (this.#ended) return false
    this.#final = offset
    this.#ended = true
    // Nothing follows, so nothing more has to be kept free.
    this.#limit = offset
    this.#account.hold(this.waiting)
    return true
  }

  /** The application has taken everything before `offset`. */
  consume(offset: number, now: Instant): void {
    if (offset <= this.#consumed) return
    this.#consumed = offset
    this.#account.hold(this.#limit - offset)
    if (offset - this.#epoch.consumed < this.#window) return
    if (now - this.#epoch.at < PACE.growWithinMs) {
      this.#window = Math.min(this.#window * 2, MEMORY.ceilingBytes)
    }
    this.#epoch = { consumed: offset, at: now }
  }

  /** Nothing more is awaited; what waits is still to be consumed unless it is thrown away. */
  release(thrownAway: boolean): void {
    this.#limit = this.#received
    if (thrownAway) this.#consumed = this.#received
    this.#account.hold(this.waiting)
  }

  #extend(): void {
    if (this.#ended) return
    this.#limit = Math.max(this.#limit, this.#reach())
    this.#account.hold(this.#limit - this.#consumed)
  }

  #size(): number {
    return Math.min(this.#window, this.#account.allowance)
  }

  /** Up to where the other side could be allowed to send now. */
  #reach(): number {
    return this.#consumed + this.#size()
  }
}
