import type { Instant } from '../kernel/machine.ts'
import type { AddressBook, Removal } from './address-book.ts'
import type { Contact } from './contact.ts'
import type { Contacts } from './contacts.ts'
import type { Output } from './outputs.ts'
import type { Places } from './places.ts'
import type { PeerKey } from './record.ts'
import type { Job } from './verification.ts'

interface Collaborators {
  book: AddressBook
  places: Places
  contacts: Contacts
}

/** Changes of the book, with what each means for the sample and for whoever drives the machine. */
export class Knowledge {
  readonly #book: AddressBook
  readonly #places: Places
  readonly #contacts: Contacts

  constructor({ book, places, contacts }: Collaborators) {
    this.#book = book
    this.#places = places
    this.#contacts = contacts
  }

  /** Takes a record that is verified and news. */
  learn(job: Job, now: Instant, out: Output[]): void {
    const { id, record, envelope, source, seenAt: lastSeenAt, recalled, namedFor } = job
    const { peer } = record
    const groupBefore = this.#book.get(peer)?.group
    const evicted = this.#book.put({ record, envelope, id, source, lastSeenAt, namedFor }, now)
    if (recalled !== undefined) this.#book.recall(peer, recalled)
    const contact = this.#contacts.get(peer)
    if (contact !== undefined) this.meet(contact, now, out)
    if (evicted !== undefined) this.#lose(evicted, 'evicted', now, out)
    // One identity that claims another address every minute must not collect the slots of all address groups.
    const isNew = groupBefore === undefined
    const hasMoved = !isNew && groupBefore !== this.#book.get(peer)?.group
    if (hasMoved) this.#places.vacate(peer, now)
    else if (isVisitor(job)) this.#places.enterVisitor(peer, now)
    else this.#places.enter(peer)
    if (isNew) out.push({ type: 'found', peer, from: source })
    else out.push({ type: 'changed', peer })
  }

  /** We deal with the peer itself; only a dial of our own proves that it can be reached. */
  meet({ peer, dialled, greeting }: Contact, now: Instant, out: Output[]): void {
    const isReached = dialled && greeting === 'done'
    const wasMissed = (this.#book.get(peer)?.misses ?? 0) > 0
    const evicted = isReached ? this.#book.reached(peer, now) : this.#book.met(peer, now)
    if (wasMissed) this.#places.enter(peer)
    if (evicted !== undefined) this.#lose(evicted, 'evicted', now, out)
  }

  /** One dial in vain costs the places in the sample, unless it is our own network that does not work; more cost the rest. */
  missed(peer: PeerKey, now: Instant, out: Output[]): void {
    const { isGivenUp, evicted } = this.#book.missed(peer, now)
    if (isGivenUp) this.#lose(peer, 'unreachable', now, out)
    else if (this.#contacts.size > 0) this.#places.vacate(peer, now)
    if (evicted !== undefined) this.#places.vacate(evicted, now)
  }

  /** The peer says that it is leaving. */
  bury({ record }: Job, now: Instant, out: Output[]): void {
    if (this.#book.bury(record, now)) this.#lose(record.peer, 'left', now, out)
  }

  /** Whoever is linked is there; whoever was not heard of for too long is not. */
  sweep(now: Instant, out: Output[]): void {
    for (const contact of this.#contacts.all()) this.meet(contact, now, out)
    const { over, forgotten } = this.#book.expire(now)
    for (const peer of over) {
      // Whom we have met is likely still there though we have not heard of it: a visit will tell. Whoever is named most would else stay most.
      const isMet = (this.#book.get(peer)?.metAt ?? 0) > 0
      if (!isMet) this.#places.vacate(peer, now)
      out.push({ type: 'gone', peer, reason: 'expired' })
    }
    // They were gone already; without their addresses no visit can tell about them.
    for (const peer of forgotten) this.#places.vacate(peer, now)
  }

  #lose(peer: PeerKey, reason: Removal, now: Instant, out: Output[]): void {
    this.#places.vacate(peer, now)
    out.push({ type: 'gone', peer, reason })
  }
}

/** A stranger who came to us, and told us of itself. */
function isVisitor({ record, carrier, source }: Job): boolean {
  return source === 'inbound' && carrier === record.peer
}
