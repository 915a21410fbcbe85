import type { Instant } from '../kernel/machine.ts'
import type { Contact } from './contact.ts'
import type { Deadlines } from './deadlines.ts'
import { limits } from './limits.ts'
import type { Frame } from './messages.ts'
import type { Output } from './outputs.ts'
import type { PeerKey } from './record.ts'

/** What is to be fetched from a contact. */
export interface Missing {
  /** Ids still to be fetched, those asked for now included. */
  rest: number[]
  /** Of them, those that were named for their groups. */
  forGroups: ReadonlySet<number>
}

/** What a question is for. */
export type Purpose =
  | { kind: 'hello' | 'sample' }
  | { kind: 'want'; missing: Missing }
  /** `about`: the key of our own question that it belongs to; undefined when we ask for somebody else. */
  | { kind: 'find'; about?: string }

export type Ask = Purpose & { peer: PeerKey }

/** Streams on which an answer is waited for, and what it will be the answer to. */
export class Asks {
  readonly #nextExchange: () => number
  readonly #timers: Deadlines
  readonly #asks = new Map<number, Ask>()

  constructor({ nextExchange, timers }: { nextExchange: () => number; timers: Deadlines }) {
    this.#nextExchange = nextExchange
    this.#timers = timers
  }

  /** False when as many as may be are under way. */
  begin({ peer }: Contact, purpose: Purpose, frame: Frame, now: Instant, out: Output[]): boolean {
    if (this.#asks.size >= limits.asks) return false
    const exchange = this.#nextExchange()
    this.#asks.set(exchange, { ...purpose, peer })
    // The driver has the same deadline; ours only counts if it forgets.
    this.#timers.set('ask', now + limits.answerMs * 2, exchange)
    out.push({ type: 'ask', exchange, peer, frame })
    return true
  }

  /** What an answer is the answer to; undefined when it comes too late. */
  end(exchange: number): Ask | undefined {
    const ask = this.#asks.get(exchange)
    if (ask === undefined) return undefined
    this.#asks.delete(exchange)
    this.#timers.clear('ask', exchange)
    return ask
  }
}
