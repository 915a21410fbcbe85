import type { Instant } from '../kernel/machine.ts'
import type { AddressBook } from './address-book.ts'
import type { Contacts } from './contacts.ts'
import type { Deadlines } from './deadlines.ts'
import { toEntry } from './entries.ts'
import { limits } from './limits.ts'
import { framesFor, News } from './news.ts'
import type { Version } from './news.ts'
import type { Output } from './outputs.ts'
import type { OwnRecord } from './own-record.ts'
import type { PeerKey } from './record.ts'
import type { Job } from './verification.ts'

interface Collaborators {
  own: OwnRecord
  book: AddressBook
  contacts: Contacts
  timers: Deadlines
}

/** Tells contacts what is new, unasked. */
export class Telling {
  readonly #own: OwnRecord
  readonly #book: AddressBook
  readonly #contacts: Contacts
  readonly #timers: Deadlines
  readonly #news = new News()

  constructor({ own, book, contacts, timers }: Collaborators) {
    this.#own = own
    this.#book = book
    this.#contacts = contacts
    this.#timers = timers
  }

  /** Has the record of a peer passed on soon, together with others; `hops` is what it will have come. */
  soon(peer: PeerKey, hops: number, now: Instant): void {
    this.#news.add(peer, hops)
    if (!this.#timers.has('push')) this.#timers.set('push', now + limits.pushDelayMs)
  }

  push(now: Instant, out: Output[]): void {
    const most = this.#news.has(this.#own.peer) ? limits.ownFanout : this.#forwardFanout
    const news = this.#news.take((peer) => this.#version(peer, now))
    for (const contact of this.#contacts.audience(now).slice(0, most)) {
      for (const frame of framesFor(contact, news)) {
        out.push({ type: 'tell', peer: contact.peer, frame })
      }
    }
  }

  /** Departures do not wait: their record leaves the book in this very step. */
  forward({ id, record, envelope, hops }: Job, now: Instant, out: Output[]): void {
    if (hops === undefined || hops >= limits.pushHops) return
    const entry = { envelope, observedAgeS: 0, firstHand: false }
    for (const { peer, sent } of this.#contacts.audience(now).slice(0, this.#forwardFanout)) {
      if (sent.has(id, record.seq) || peer === record.peer) continue
      sent.add(id, record.seq)
      out.push({ type: 'tell', peer, frame: { type: 'push', entries: [entry], hops: hops + 1 } })
    }
  }

  #version(peer: PeerKey, now: Instant): Version | undefined {
    if (peer === this.#own.peer) {
      const [own] = this.#own.entries()
      return own && { id: this.#own.id, seq: this.#own.seq, entry: own }
    }
    const known = this.#book.get(peer)
    return known && { id: known.id, seq: known.record.seq, entry: toEntry(known, now) }
  }

  get #forwardFanout(): number {
    return this.#book.isSmall ? limits.forwardFanout : limits.forwardFanoutLarge
  }
}
