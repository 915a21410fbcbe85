import type { Instant } from '../kernel/machine.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { Accounts } from './accounts.ts'
import { isFresh } from './address-book.ts'
import type { AddressBook, BookEntry } from './address-book.ts'
import type { Contacts } from './contacts.ts'
import { limits } from './limits.ts'
import type { PeerKey } from './record.ts'
import type { Ranking, Sampler } from './sampler.ts'

/** One who might be worth knowing. */
interface Stranger {
  id: number
  lastSeenAt: Instant
  /** Named for its group it competes in that only. */
  namedFor: Ranking
  /** Undefined while only its id is known. */
  group: number | undefined
}

interface Collaborators {
  book: AddressBook
  sampler: Sampler<BookEntry>
  accounts: Accounts
  contacts: Contacts
}

/** Who may hold a place in the sample, who is shown to it, and who is wanted for it. */
export class Places {
  readonly #book: AddressBook
  readonly #sampler: Sampler<BookEntry>
  readonly #accounts: Accounts
  readonly #contacts: Contacts
  #strangers: TokenBucket | undefined

  constructor({ book, sampler, accounts, contacts }: Collaborators) {
    this.#book = book
    this.#sampler = sampler
    this.#accounts = accounts
    this.#contacts = contacts
  }

  /** Of a small overlay a node wants to know everybody, of a large one whom its sampler picks. */
  hasPlaceFor({ id, lastSeenAt, namedFor, group }: Stranger): boolean {
    if (this.#book.isSmall) return true
    if (namedFor === 'id' && this.#sampler.wants(id, lastSeenAt)) return true
    return group !== undefined && this.#sampler.wants(id, lastSeenAt, group)
  }

  /**
   * Whether a stranger that somebody names, for its group if one is given, is to be looked at and has a place. How many names of one
   * peer are looked at is bounded, or liars would fill the sample by naming more than others.
   */
  wants(id: number, group: number | undefined, by: PeerKey, now: Instant): boolean {
    const isYoung = this.#contacts.sinceJoin(now) < limits.youngMs
    if (group !== undefined && !isYoung) return false
    if (!this.#accounts.heeds(by, now)) return false
    const namedFor = group === undefined ? 'id' : 'group'
    return this.hasPlaceFor({ id, lastSeenAt: now, namedFor, group })
  }

  /** One that was fetched for its group is named as one of all. */
  admitToAll(entry: BookEntry, by: PeerKey, now: Instant): void {
    if (!this.wants(entry.id, undefined, by, now)) return
    entry.namedFor = 'id'
    this.enter(entry.peer)
  }

  enter(peer: PeerKey): void {
    const entry = this.#book.get(peer)
    if (entry !== undefined && isSampled(entry)) this.#sampler.offer(entry)
  }

  /** Strangers who come to us are shown to the sampler only so often: it must not be fed by who dials most. */
  enterVisitor(peer: PeerKey, now: Instant): void {
    this.#strangers ??= new TokenBucket(limits.strangers, now)
    if (this.#strangers.take(1, now)) this.enter(peer)
  }

  /** The places of a peer go to others. */
  vacate(peer: PeerKey, now: Instant): void {
    this.#sampler.drop(peer, this.#others(now))
  }

  /** One place begins anew. */
  renew(now: Instant): void {
    this.#sampler.renew(this.#others(now))
  }

  *#others(now: Instant) {
    for (const entry of this.#book.all()) {
      if (isFresh(entry, now) && isSampled(entry)) yield entry
    }
  }
}

/**
 * Who may hold a slot. Whom we cannot dial we could never find out about: such records would stay in the sample for nothing. Who
 * did not answer may again when it is met, or a new version of its record comes.
 */
function isSampled({ dialable, standing, misses }: BookEntry): boolean {
  return dialable && standing !== 'lost' && misses === 0
}
