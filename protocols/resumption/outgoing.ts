import type { Instant } from '../kernel/machine.ts'
import type { Account } from './budget.ts'
import type { Frame, Position } from './codec.ts'
import { PACE } from './limits.ts'
import { ReplayBuffer } from './replay-buffer.ts'

/** What this side of a session sends: kept until the other side has it, and sent again on a new carrier. */
export class Outgoing {
  readonly #account: Account
  readonly #replay = new ReplayBuffer()
  /** Where the end is, once the application has said so. */
  #final: number | undefined
  /** What goes next on this carrier; the end counts as one byte behind the last. */
  #next = 0
  /** The furthest ever sent: nothing beyond it can have been received. */
  #sent = 0
  #acked = 0
  #limit = 0
  #hungry = false
  #askedAt = 0
  /** An acknowledgement that was asked for, to tell the round trip by. */
  #timed: { upTo: number; at: Instant } | undefined
  #rttMs = 0
  #resent = 0

  constructor(account: Account) {
    this.#account = account
  }

  /** How much may be written now. */
  get room(): number {
    if (this.#final !== undefined) return 0
    const { end } = this.#replay
    return Math.max(0, Math.min(this.#limit - end, this.#account.allowance - this.#account.held))
  }

  /** Whether something is on its way that has not been acknowledged. */
  get inFlight(): boolean {
    return this.#next > this.#acked
  }

  /** Whether the other side has everything, the end included. */
  get complete(): boolean {
    return this.#final !== undefined && this.#acked === this.#final + 1
  }

  get ended(): boolean {
    return this.#final !== undefined
  }

  /** The last round trip seen, 0 before there is one. */
  get rttMs(): number {
    return this.#rttMs
  }

  /** Bytes sent more than once because a carrier was lost or left. */
  get resent(): number {
    return this.#resent
  }

  /** Takes as much as there is room for and returns how much that was. */
  append(chunks: Iterable<Uint8Array>): number {
    const room = this.room
    let left = room
    for (const chunk of chunks) {
      const part = chunk.subarray(0, left)
      this.#replay.append(part)
      left -= part.length
      this.#hungry ||= part.length < chunk.length
    }
    this.#hungry ||= left === 0
    this.#account.hold(this.#replay.end - this.#replay.base)
    return room - left
  }

  end(): void {
    this.#final ??= this.#replay.end
  }

  /** The next frame for the carrier, if there is one. */
  next(now: Instant): Frame | undefined {
    const offset = this.#next
    if (offset < this.#replay.end) {
      const bytes = this.#replay.view(offset)
      this.#advance(offset + bytes.length)
      return { type: 'data', offset, bytes, ask: this.#asks(now) }
    }
    if (this.#final === undefined || offset > this.#final) return undefined
    this.#advance(offset + 1)
    return { type: 'fin', offset }
  }

  /** Takes what the other side says it has and allows; returns what is wrong with it. */
  acknowledge({ received, limit }: Position, now: Instant): string | undefined {
    if (received > this.#sent) return 'it acknowledges what was never sent'
    this.#limit = Math.max(this.#limit, limit)
    if (received <= this.#acked) return undefined
    this.#acked = received
    this.#next = Math.max(this.#next, received)
    this.#replay.release(Math.min(received, this.#replay.end))
    this.#account.hold(this.#replay.end - this.#replay.base)
    if (this.#timed !== undefined && received >= this.#timed.upTo) {
      this.#rttMs = now - this.#timed.at
      this.#timed = undefined
    }
    return undefined
  }

  /**
   * Goes on after what the other side has; returns what is wrong with what it says. It may have acknowledged more on the
   * carrier before, after it had written its greeting on this one.
   */
  resume(position: Position, now: Instant): string | undefined {
    this.#timed = undefined
    const wrong = this.acknowledge(position, now)
    if (wrong !== undefined) return wrong
    this.#resent += Math.min(this.#sent, this.#replay.end) - Math.min(this.#acked, this.#replay.end)
    this.#next = this.#acked
    this.#askedAt = this.#acked
    return undefined
  }

  /** Whether a writer that found no room should try again; true once for each time. */
  wakes(): boolean {
    const room = this.room
    const worth = room >= PACE.wakeBytes || (room > 0 && this.#account.held === 0)
    if (!this.#hungry || !worth) return false
    this.#hungry = false
    return true
  }

  /** Nothing is kept any more. */
  release(): void {
    this.#replay.release(this.#replay.end)
    this.#account.hold(0)
  }

  #advance(to: number): void {
    this.#next = to
    this.#sent = Math.max(this.#sent, to)
  }

  /**
   * Asks for an acknowledgement eight times in each allowance, and with the last bytes that a waiting writer left: the
   * one who has to keep the bytes knows best when they should go.
   */
  #asks(now: Instant): boolean {
    const last = this.#next === this.#replay.end && this.#hungry
    if (!last && this.#next - this.#askedAt < this.#account.allowance / 8) return false
    this.#askedAt = this.#next
    this.#timed ??= { upTo: this.#next, at: now }
    return true
  }
}
