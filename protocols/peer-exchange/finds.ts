import type { Instant } from '../kernel/machine.ts'
import type { AddressBook, BookEntry } from './address-book.ts'
import { offers } from './answers.ts'
import type { Asks } from './asks.ts'
import type { Contacts } from './contacts.ts'
import type { Deadlines } from './deadlines.ts'
import { limits } from './limits.ts'
import type { FrameOf } from './messages.ts'
import type { Output } from './outputs.ts'
import type { Notation, PeerKey, PeerRecord } from './record.ts'
import type { Verification } from './verification.ts'

/** What is looked for: one peer, or whoever offers something. */
type Wanted =
  | { peer: PeerKey }
  | { search: number; service: string; relay: boolean; found: Set<PeerKey> }

interface Question {
  wanted: Wanted
  /** Answers still to come from those we asked directly. */
  left: number
  /** Whether those we asked pass it on: then the answer may come from anybody, until the time is over. */
  passedOn: boolean
}

interface Collaborators {
  book: AddressBook
  contacts: Contacts
  asks: Asks
  verification: Verification
  timers: Deadlines
  notation: Notation
}

/** Our own questions for peers that are under way, by a key of their own. */
export class Finds {
  readonly #book: AddressBook
  readonly #contacts: Contacts
  readonly #asks: Asks
  readonly #verification: Verification
  readonly #timers: Deadlines
  readonly #notation: Notation
  readonly #questions = new Map<string, Question>()

  constructor({ book, contacts, asks, verification, timers, notation }: Collaborators) {
    this.#book = book
    this.#contacts = contacts
    this.#asks = asks
    this.#verification = verification
    this.#timers = timers
    this.#notation = notation
  }

  resolve(peer: PeerKey, now: Instant, out: Output[]): void {
    const key = peerKeyOf(peer)
    const bytes = this.#notation.peerBytes(peer)
    if (this.#questions.has(key)) return
    if (bytes === undefined || this.#isFull) out.push({ type: 'resolved', peer })
    else this.#ask(key, { peer }, [bytes], now, out)
  }

  /** What we know ourselves is enough if it is some; else others are asked. */
  search(
    { search, service = '', relay = false }: { search: number; service?: string; relay?: boolean },
    now: Instant,
    out: Output[],
  ): void {
    const wanted: Wanted = { search, service, relay, found: new Set() }
    const key = searchKeyOf(search)
    if (this.#isFull || this.#questions.has(key)) {
      out.push({ type: 'searched', search, peers: [] })
      return
    }
    this.#begin(key, wanted, false)
    for (const entry of this.#book.fresh(now)) this.#note(entry)
    if (wanted.found.size >= limits.alternatives) this.end(key, out)
    else this.#ask(key, wanted, [], now, out)
  }

  /** Whether a peer we have only been told of answers a question. */
  isAnsweredBy(record: PeerRecord): boolean {
    for (const { wanted } of this.#questions.values()) {
      if ('peer' in wanted ? wanted.peer === record.peer : offers({ record }, wanted)) return true
    }
    return false
  }

  /** The book holds a peer, or another version of its record. */
  learnt(entry: BookEntry, out: Output[]): void {
    for (const key of this.#note(entry)) this.end(key, out)
  }

  /** Another one asked has answered; what it brought may still have to be verified. */
  answered(key: string, out: Output[]): void {
    const question = this.#questions.get(key)
    if (question === undefined) return
    question.left--
    this.#endIfAnswered(key, question, out)
  }

  /** A record has been verified that an answer may have brought. */
  verified(out: Output[]): void {
    for (const [key, question] of this.#questions) this.#endIfAnswered(key, question, out)
  }

  end(key: string, out: Output[]): void {
    this.#timers.clear('find', key)
    const wanted = this.#questions.get(key)?.wanted
    this.#questions.delete(key)
    if (wanted === undefined) return
    if ('peer' in wanted) out.push({ type: 'resolved', peer: wanted.peer })
    else out.push({ type: 'searched', search: wanted.search, peers: [...wanted.found] })
  }

  get #isFull(): boolean {
    return this.#questions.size >= limits.finds
  }

  #begin(key: string, wanted: Wanted, passedOn: boolean): Question {
    const question = { wanted, left: 0, passedOn }
    this.#questions.set(key, question)
    return question
  }

  #ask(key: string, wanted: Wanted, peer: Uint8Array[], now: Instant, out: Output[]): void {
    // Of a small overlay those we are linked to know everybody.
    const hops = this.#book.isSmall ? 0 : limits.findHops
    const question = this.#begin(key, wanted, hops > 0)
    this.#timers.set('find', now + limits.searchMs, key)
    const frame = frameFor(wanted, peer, hops)
    for (const contact of this.#contacts.audience(now).slice(0, limits.findFanout)) {
      const isAsked = this.#asks.begin(contact, { kind: 'find', about: key }, frame, now, out)
      if (isAsked) question.left++
    }
    if (question.left === 0) this.end(key, out)
  }

  /** Searches note who answers them. Returns the questions that have enough now. */
  #note(entry: BookEntry): string[] {
    const enough: string[] = []
    for (const [key, { wanted }] of this.#questions) {
      if ('peer' in wanted) {
        if (wanted.peer === entry.peer) enough.push(key)
      } else if (offers(entry, wanted)) {
        wanted.found.add(entry.peer)
        if (wanted.found.size >= limits.searchPeers) enough.push(key)
      }
    }
    return enough
  }

  #endIfAnswered(key: string, { wanted, left, passedOn }: Question, out: Output[]): void {
    if (left > 0 || passedOn) return
    const waits =
      'peer' in wanted ? this.#verification.isUnderWay(wanted.peer) : this.#verification.isBusy
    if (!waits) this.end(key, out)
  }
}

/** The key of a question for one peer. */
function peerKeyOf(peer: PeerKey): string {
  return `peer:${peer}`
}

/** The key of a search. */
function searchKeyOf(search: number): string {
  return `search:${search}`
}

/** The question as it is put to others. */
function frameFor(wanted: Wanted, peers: Uint8Array[], hops: number): FrameOf<'find'> {
  if ('peer' in wanted) return { type: 'find', peers, service: '', relay: false, hops }
  return { type: 'find', peers: [], service: wanted.service, relay: wanted.relay, hops }
}
