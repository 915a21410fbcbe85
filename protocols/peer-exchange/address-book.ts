import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import { usableAddresses } from './hygiene.ts'
import type { Scope } from './hygiene.ts'
import { limits } from './limits.ts'
import { expiryOf } from './record.ts'
import type { PeerKey, PeerRecord, RecordAddress } from './record.ts'

/** Who told us: a peer id, or `inbound` (it came to us), `config` (we dialled an address we were given), `book`. */
export type Source = string

/** What the book holds of one peer. */
export interface BookEntry {
  record: PeerRecord
  /** The signed bytes, passed on as they came. */
  envelope: Uint8Array
  id: bigint
  source: Source
  /** When somebody on the way to us last dealt with the peer itself. */
  lastSeenAt: Instant
  expiresAt: Instant
  /** Whether we ever were linked to it: such a peer exists for certain, and is worth trying after a restart. */
  linked: boolean
  /** The addresses of the record that this node may dial. */
  addresses: RecordAddress[]
  /** How often versions of this record are passed on. */
  forwarding: TokenBucket
}

export interface Learnt {
  record: PeerRecord
  envelope: Uint8Array
  id: bigint
  source: Source
  lastSeenAt: Instant
}

export type Removal = 'left' | 'expired' | 'evicted'

/**
 * Everybody this node knows of, at most `limits.known`. When it is full the source with the most never-linked
 * peers loses its oldest one, so that a peer that tells without end only pushes out what it told itself.
 */
export class AddressBook {
  readonly #self: PeerKey
  readonly #entries = new Map<PeerKey, BookEntry>()
  readonly #byId = new Map<bigint, PeerKey>()
  /** Departures, by peer: a copy of an older record must not bring the peer back. */
  readonly #tombstones = new BoundedMap<PeerKey, { seq: number; until: Instant }>(limits.tombstones)
  #scope: Scope

  constructor(self: PeerKey, scope: Scope) {
    this.#self = self
    this.#scope = scope
  }

  get size(): number {
    return this.#entries.size
  }

  get(peer: PeerKey): BookEntry | undefined {
    return this.#entries.get(peer)
  }

  byId(id: bigint): BookEntry | undefined {
    const peer = this.#byId.get(id)
    return peer === undefined ? undefined : this.#entries.get(peer)
  }

  /** Everybody in the book, the expired ones that were linked once included. */
  all(): MapIterator<BookEntry> {
    return this.#entries.values()
  }

  /** Those who may be told to others. */
  fresh(now: Instant): BookEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.expiresAt > now)
  }

  /** Up to `count` fresh ones, chosen at random. */
  sample(count: number, now: Instant, rng: Rng): BookEntry[] {
    return shuffle(this.fresh(now), rng).slice(0, count)
  }

  /** Whether a record of that age would change anything. */
  isNews(peer: PeerKey, seq: number, now: Instant): boolean {
    const grave = this.#tombstones.get(peer)
    if (grave !== undefined && grave.until > now && seq <= grave.seq) return false
    return seq > (this.#entries.get(peer)?.record.seq ?? 0)
  }

  /** Takes a verified record that is news. Returns who had to leave for it. */
  put(learnt: Learnt, now: Instant): PeerKey | undefined {
    const { record } = learnt
    const before = this.#entries.get(record.peer)
    const evicted = before === undefined ? this.#makeRoom() : undefined
    this.#entries.set(record.peer, {
      ...learnt,
      source: before?.source ?? learnt.source,
      lastSeenAt: Math.max(before?.lastSeenAt ?? 0, learnt.lastSeenAt),
      expiresAt: expiryOf(record, now),
      linked: before?.linked ?? false,
      addresses: this.#usable(record),
      forwarding: before?.forwarding ?? new TokenBucket(limits.forwardPerOrigin, now),
    })
    this.#byId.set(learnt.id, record.peer)
    return evicted
  }

  /** Forgets a peer that said it is leaving. Returns whether it was known. */
  bury(record: PeerRecord, now: Instant): boolean {
    this.#tombstones.set(record.peer, { seq: record.seq, until: now + limits.tombstoneMs })
    return this.remove(record.peer)
  }

  remove(peer: PeerKey): boolean {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return false
    if (this.#byId.get(entry.id) === peer) this.#byId.delete(entry.id)
    return this.#entries.delete(peer)
  }

  /** Notes that we deal with the peer itself. */
  touch(peer: PeerKey, now: Instant): void {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return
    entry.linked = true
    entry.lastSeenAt = Math.max(entry.lastSeenAt, now)
  }

  setScope(scope: Scope): void {
    this.#scope = scope
    for (const entry of this.#entries.values()) entry.addresses = this.#usable(entry.record)
  }

  /** Removes and returns those whose time is over. */
  expire(now: Instant): PeerKey[] {
    const over = [...this.#entries.values()].filter(
      ({ expiresAt, linked }) => expiresAt + (linked ? limits.anchorMs : 0) <= now,
    )
    for (const { record } of over) this.remove(record.peer)
    return over.map(({ record }) => record.peer)
  }

  #usable(record: PeerRecord): RecordAddress[] {
    return usableAddresses(record.peer, record.addresses, { self: this.#self, scope: this.#scope })
  }

  #makeRoom(): PeerKey | undefined {
    if (this.#entries.size < limits.known) return undefined
    const victim = oldest(this.#mostTold()) ?? oldest([...this.#entries.values()])
    if (victim !== undefined) this.remove(victim.record.peer)
    return victim?.record.peer
  }

  /** The never-linked peers of the source that told the most of them. */
  #mostTold(): BookEntry[] {
    const never = [...this.#entries.values()].filter(({ linked }) => !linked)
    const bySource = Map.groupBy(never, ({ source }) => source)
    return [...bySource.values()].reduce(
      (most, told) => (told.length > most.length ? told : most),
      [],
    )
  }
}

function oldest(entries: BookEntry[]): BookEntry | undefined {
  if (entries.length === 0) return undefined
  return entries.reduce((old, entry) => (entry.lastSeenAt < old.lastSeenAt ? entry : old))
}
