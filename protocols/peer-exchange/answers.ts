import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Accounts } from './accounts.ts'
import type { AddressBook, BookEntry } from './address-book.ts'
import type { Contact } from './contact.ts'
import { fitting, lowBits, setHash, toEntry } from './entries.ts'
import { limits } from './limits.ts'
import type { Entry, Frame, FrameOf } from './messages.ts'
import type { OwnRecord } from './own-record.ts'
import type { Notation } from './record.ts'

/** Codes of Err frames. */
export const ERR_NETWORK_DIFFERENT = 1
export const ERR_BUSY = 2

/** What the answers are made from. */
export interface Sources {
  ownId: bigint
  own: OwnRecord
  book: AddressBook
  accounts: Accounts
  notation: Notation
  rng: Rng
}

/** Answers questions from what is known, within the asker's rates. Learns nothing from them. */
export class Answers {
  readonly #from: Sources

  constructor(sources: Sources) {
    this.#from = sources
  }

  /** Our own record and a few others, to begin with. */
  greeting(contact: Contact, now: Instant): Frame {
    const { own, book, rng } = this.#from
    const entries = book
      .sample(limits.helloEntries + 1, now, rng)
      .filter(({ record }) => record.peer !== contact.peer)
    return {
      type: 'helloAck',
      envelope: own.envelope ?? new Uint8Array(),
      nowS: Math.floor(now / 1000),
      seenAddr: contact.seenAddr,
      entries: this.#handOver(entries, contact, limits.helloEntries, now),
    }
  }

  /** Whom we know, ourselves included, in which version. */
  sample(contact: Contact, frame: FrameOf<'sampleReq'>, now: Instant): Frame {
    const { own, ownId, book, rng } = this.#from
    if (!this.#admits(contact, 'sample', 1, now)) return err(ERR_BUSY, 5)
    if (frame.setHash === this.setHash(now))
      return { type: 'sample', ids: [], seqLo: [], same: true }
    const most = Math.max(1, Math.min(frame.max, limits.sampleIds))
    const sampled = book.sample(most - 1, now, rng)
    const ours = own.envelope === undefined ? [] : [{ id: ownId, seq: own.seq }]
    const versions = [...ours, ...sampled.map(({ id, record }) => ({ id, seq: record.seq }))]
    return {
      type: 'sample',
      ids: versions.map(({ id }) => id),
      seqLo: versions.map(({ seq }) => lowBits(seq)),
      same: false,
    }
  }

  /** The records asked for, as many as fit. */
  records(contact: Contact, { ids }: FrameOf<'want'>, now: Instant): Frame {
    const { ownId, book } = this.#from
    if (!this.#admits(contact, 'want', ids.length, now)) return err(ERR_BUSY, 10)
    const known = ids.map((id) => book.byId(id)).filter((entry) => isFresh(entry, now))
    const unknown = ids.filter((id) => id !== ownId && !isFresh(book.byId(id), now))
    const ours = ids.includes(ownId) ? this.ownEntries() : []
    const rest = this.#handOver(known, contact, limits.wantIds - ours.length, now)
    return { type: 'records', entries: fitting([...ours, ...rest], limits.wantIds), unknown }
  }

  /** The records of these peers, if we have them. */
  resolved(contact: Contact, { peers }: FrameOf<'resolve'>, now: Instant): Frame {
    const { notation, book } = this.#from
    if (!this.#admits(contact, 'resolve', peers.length, now)) return err(ERR_BUSY, 2)
    const known = peers
      .map((bytes) => notation.peerText(bytes))
      .map((peer) => (peer === undefined ? undefined : book.get(peer)))
      .filter((entry) => isFresh(entry, now))
    const entries = this.#handOver(known, contact, limits.resolvePeers, now)
    return { type: 'records', entries, unknown: [] }
  }

  /** Our own record as others get it; none before the first signature. */
  ownEntries(): Entry[] {
    const { envelope } = this.#from.own
    return envelope === undefined ? [] : [{ envelope, observedAgeS: 0, firstHand: true }]
  }

  setHash(now: Instant): bigint {
    const { book, ownId, own } = this.#from
    return setHash(book, { id: ownId, seq: own.seq }, now)
  }

  /** Entries for a contact, noted as what it now has. */
  #handOver(entries: BookEntry[], contact: Contact, most: number, now: Instant): Entry[] {
    const chosen = fitting(
      entries.map((entry) => toEntry(entry, now)),
      most,
    )
    for (const { record } of entries.slice(0, chosen.length))
      contact.has.set(record.peer, record.seq)
    return chosen
  }

  #admits({ peer }: Contact, kind: 'sample' | 'want' | 'resolve', amount: number, now: Instant) {
    return this.#from.accounts.admits(peer, kind, amount, now)
  }
}

/** A refusal, and when to try again. */
export function err(code: number, retryS: number): Frame {
  return { type: 'err', code, retryS }
}

function isFresh(entry: BookEntry | undefined, now: Instant): entry is BookEntry {
  return entry !== undefined && entry.expiresAt > now
}
