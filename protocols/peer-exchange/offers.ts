import type { Instant } from '../kernel/machine.ts'
import type { Accounts } from './accounts.ts'
import type { AddressBook, Source } from './address-book.ts'
import type { Missing } from './asks.ts'
import type { Contact } from './contact.ts'
import { seenAt } from './entries.ts'
import type { Errands } from './errands.ts'
import type { Finds } from './finds.ts'
import { groupOf } from './groups.ts'
import type { Entry } from './messages.ts'
import type { Output } from './outputs.ts'
import type { OwnRecord } from './own-record.ts'
import type { Places } from './places.ts'
import type { Notation, PeerKey, PeerRecord } from './record.ts'
import type { Restored } from './snapshot.ts'
import type { Job, Verification } from './verification.ts'

/** How an entry came. */
interface Circumstances {
  /** It has come this many hops by Push; undefined when it must not be passed on. */
  hops?: number | undefined
  /** It must be about the contact that gave it. */
  ownOnly?: boolean
  /** We did not ask for it. */
  unasked?: boolean
  /** We asked for these only. */
  asked?: ReadonlySet<number>
  /** Of them, these were named for their groups. */
  forGroups?: ReadonlySet<number>
}

interface Collaborators {
  own: OwnRecord
  book: AddressBook
  accounts: Accounts
  places: Places
  finds: Finds
  errands: Errands
  verification: Verification
  notation: Notation
}

/** What of the records we are handed is worth a signature check. */
export class Offers {
  readonly #own: OwnRecord
  readonly #book: AddressBook
  readonly #accounts: Accounts
  readonly #places: Places
  readonly #finds: Finds
  readonly #errands: Errands
  readonly #verification: Verification
  readonly #notation: Notation

  constructor(collaborators: Collaborators) {
    this.#own = collaborators.own
    this.#book = collaborators.book
    this.#accounts = collaborators.accounts
    this.#places = collaborators.places
    this.#finds = collaborators.finds
    this.#errands = collaborators.errands
    this.#verification = collaborators.verification
    this.#notation = collaborators.notation
  }

  /** The record a greeting carries; it must be about the peer that sent it. */
  greeted(envelope: Uint8Array, contact: Contact, now: Instant, out: Output[]): void {
    if (envelope.length === 0) return // not signed yet; it will be pushed
    const entry = { envelope, observedAgeS: 0, firstHand: true }
    // In a large overlay a newcomer is learnt of by pulls; passing on every visitor would be most of the traffic.
    const hops = this.#book.isSmall ? 1 : undefined
    this.#consider(entry, contact, { hops, ownOnly: true }, now, out)
  }

  /** What a contact gives us of its own accord, within its rate. */
  pushed(
    entries: Entry[],
    contact: Contact,
    hops: number | undefined,
    now: Instant,
    out: Output[],
  ): void {
    if (!this.#accounts.admits(contact.peer, 'push', entries.length, now)) return
    this.#considerAll(entries, contact, { hops, unasked: true }, now, out)
  }

  /** What answers bring that was not asked for by id. */
  enclosed(entries: Entry[], contact: Contact, now: Instant, out: Output[]): void {
    this.#considerAll(entries, contact, { unasked: true }, now, out)
  }

  /** What was asked for. Returns the ids of those that could be read. */
  fetched(
    entries: Entry[],
    contact: Contact,
    { rest, forGroups }: Missing,
    now: Instant,
    out: Output[],
  ): Set<number> {
    return this.#considerAll(entries, contact, { asked: new Set(rest), forGroups }, now, out)
  }

  /** What an earlier run knew. */
  restored(entry: Restored, now: Instant, out: Output[]): void {
    const read = this.#verification.read(entry.envelope)
    if (!read.ok || !this.#isNews(read.value.record, now)) return
    const { envelope, lastSeenAt } = entry
    const job: Job = {
      ...read.value,
      id: this.#notation.idOf(read.value.record.peer),
      envelope,
      recalled: entry,
      carrier: undefined,
      source: 'book',
      hops: undefined,
      forOthers: false,
      seenAt: Math.min(lastSeenAt, now),
      namedFor: 'id',
    }
    this.#verify(job, now, out)
  }

  #considerAll(
    entries: Entry[],
    contact: Contact,
    circumstances: Circumstances,
    now: Instant,
    out: Output[],
  ): Set<number> {
    const read = new Set<number>()
    for (const entry of entries) {
      const subject = this.#consider(entry, contact, circumstances, now, out)
      if (subject === undefined) break // one bad entry makes the rest not worth reading
      read.add(this.#notation.idOf(subject))
    }
    return read
  }

  /** Reads an entry and has its signature checked if it is news we want. Returns whom it is about. */
  #consider(
    entry: Entry,
    contact: Contact,
    { hops, ownOnly = false, unasked = false, asked, forGroups }: Circumstances,
    now: Instant,
    out: Output[],
  ): PeerKey | undefined {
    const read = this.#verification.read(entry.envelope)
    if (!read.ok) {
      this.#accounts.fault(contact.peer, read.fault, now, out)
      return undefined
    }
    const { record } = read.value
    if (ownOnly && record.peer !== contact.peer) {
      this.#accounts.fault(contact.peer, 'signer-wrong', now, out)
      return undefined
    }
    const id = this.#notation.idOf(record.peer)
    contact.sent.add(id, record.seq)
    if (!this.#isNews(record, now)) return record.peer
    const namedFor = forGroups?.has(id) === true ? 'group' : 'id'
    const lastSeenAt = record.peer === contact.peer ? now : seenAt(entry, now)
    // Fetched for a group it is not in, or too late: a book must not fill up with those.
    const isPlaced =
      asked?.has(id) !== true ||
      this.#book.byId(id) !== undefined ||
      this.#places.hasPlaceFor({ id, lastSeenAt, namedFor, group: groupOf(record) })
    if (!isPlaced) return record.peer
    const isAsked = asked === undefined ? !unasked : asked.has(id)
    const isWelcome = isAsked || this.#isWelcome(record, id, contact, now)
    if (!isWelcome && !this.#errands.isOwed(record, contact.peer, now)) return record.peer
    this.#verify(
      {
        record,
        signed: read.value.signed,
        id,
        envelope: entry.envelope,
        carrier: contact.peer,
        hops,
        forOthers: !isWelcome,
        seenAt: lastSeenAt,
        namedFor,
        recalled: undefined,
        source: sourceOf(record.peer, contact),
      },
      now,
      out,
    )
    return record.peer
  }

  /** Of what we did not ask for: news of whom we know, what a peer says of itself, whom we look for or have a place for. */
  #isWelcome(record: PeerRecord, id: number, contact: Contact, now: Instant): boolean {
    return (
      record.peer === contact.peer ||
      this.#book.byId(id) !== undefined ||
      this.#finds.isAnsweredBy(record) ||
      this.#places.wants(id, undefined, contact.peer, now)
    )
  }

  /** What is not news is dropped before it costs anything, a signature check above all. */
  #isNews({ peer, seq }: PeerRecord, now: Instant): boolean {
    return peer === this.#own.peer ? seq > this.#own.seq : this.#book.isNews(peer, seq, now)
  }

  #verify(job: Job, now: Instant, out: Output[]): void {
    const number = this.#verification.begin(job, now)
    if (number !== undefined) out.push({ type: 'verify', job: number, signed: job.signed })
  }
}

function sourceOf(subject: PeerKey, contact: Contact): Source {
  if (subject !== contact.peer) return contact.peer
  return contact.dialled ? 'config' : 'inbound'
}
