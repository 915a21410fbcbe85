import type { Instant } from '../kernel/machine.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Accounts } from './accounts.ts'
import { isFresh } from './address-book.ts'
import type { AddressBook, BookEntry } from './address-book.ts'
import type { Contact } from './contact.ts'
import { fitting, toEntry } from './entries.ts'
import { toldGroup } from './groups.ts'
import { fold, lowBits } from './ids.ts'
import { limits } from './limits.ts'
import type { Entry, Frame, FrameOf } from './messages.ts'
import type { OwnRecord } from './own-record.ts'
import type { Notation } from './record.ts'
import type { Sampler } from './sampler.ts'

/** Codes of Err frames. */
export const ERR_NETWORK_DIFFERENT = 1
export const ERR_BUSY = 2

/** What the answers are made from. */
export interface Sources {
  own: OwnRecord
  book: AddressBook
  sampler: Sampler<BookEntry>
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
    const { own } = this.#from
    return {
      type: 'helloAck',
      envelope: own.envelope ?? new Uint8Array(),
      nowS: Math.floor(now / 1000),
      seenAddr: contact.seenAddr,
      // In a large overlay whoever greets pulls at once, or has come only to see whether we are here.
      entries: this.#from.book.isSmall ? this.some(contact, limits.greetingEntries, now) : [],
    }
  }

  /** A few of those we would name to anybody. */
  some(contact: Contact, most: number, now: Instant): Entry[] {
    const others = this.#named(now).filter(({ one, byId }) => byId && one.peer !== contact.peer)
    const shuffled = shuffle(others, this.#from.rng).map(({ one }) => one)
    return this.#handOver(shuffled, contact, most, now)
  }

  /** Whom we know, ourselves included, in which version; nobody the asker has from us already. */
  sample(contact: Contact, frame: FrameOf<'sampleReq'>, now: Instant): Frame {
    const { own, rng } = this.#from
    if (!this.#admits(contact, 'sample', 1, now)) return err(ERR_BUSY, 5)
    if (frame.setHash === this.setHash())
      return { type: 'sample', ids: [], seqLo: [], same: true, groups: [] }
    const most = Math.max(1, Math.min(frame.max, limits.sampleIds))
    const sampled = this.#named(now).filter(({ one }) => !contact.sent.has(one.id, one.record.seq))
    const others = sampled.length < most ? sampled : shuffle(sampled, rng).slice(0, most - 1)
    const ids = others.map(({ one }) => one.id)
    const seqLo = others.map(({ one }) => lowBits(one.record.seq))
    const groups = this.#from.book.isSmall
      ? []
      : others.map(({ one, byId }) => (byId ? 0 : toldGroup(one.group)))
    if (own.envelope !== undefined) {
      ids.unshift(own.id)
      seqLo.unshift(lowBits(own.seq))
      if (groups.length > 0) groups.unshift(0)
    }
    return { type: 'sample', ids, seqLo, same: false, groups }
  }

  /** The records asked for, as many as fit; no version twice to one peer. */
  records(contact: Contact, { ids }: FrameOf<'want'>, now: Instant): Frame {
    const { own, book } = this.#from
    if (!this.#admits(contact, 'want', ids.length, now)) return err(ERR_BUSY, 10)
    const known = ids.map((id) => book.byId(id)).filter((entry) => isFresh(entry, now))
    const fits = known.filter(({ id, record }) => !contact.sent.has(id, record.seq))
    const unknown = ids.filter((id) => id !== own.id && !isFresh(book.byId(id), now))
    const ours = ids.includes(own.id) ? own.entries() : []
    const rest = this.#handOver(fits, contact, limits.wantIds, now, ours)
    return { type: 'records', entries: [...ours, ...rest], unknown }
  }

  /** Records of the peers that are looked for, or of such that offer what is looked for. */
  found(contact: Contact, frame: FrameOf<'find'>, now: Instant): BookEntry[] {
    const { notation, book, rng } = this.#from
    if (frame.peers.length > 0) {
      return frame.peers
        .map((bytes) => notation.peerText(bytes))
        .map((peer) => (peer === undefined ? undefined : book.get(peer)))
        .filter((entry) => isFresh(entry, now))
    }
    const fit = book
      .fresh(now)
      .filter((one) => offers(one, frame) && one.record.peer !== contact.peer)
    return shuffle(fit, rng).slice(0, limits.searchPeers)
  }

  /** The answer to a question for peers. They are handed over even if the asker had them once: it does not now. */
  toRecords(contact: Contact, found: BookEntry[], now: Instant): Frame {
    const entries = found.map((entry) => toEntry(entry, now))
    for (const { id, record } of found) contact.sent.add(id, record.seq)
    return { type: 'records', entries: fitting(entries, limits.wantIds), unknown: [] }
  }

  mayFind(contact: Contact, { peers }: FrameOf<'find'>, now: Instant): boolean {
    return this.#admits(contact, 'find', Math.max(1, peers.length), now)
  }

  setHash(): number {
    const { book, own } = this.#from
    return (book.setHash ^ fold(own.id, own.seq)) >>> 0
  }

  /**
   * Whom we tell of. Of a small overlay everybody; of a larger one the sampler's choice, since the book of a node that is
   * lied to is full of the liars' friends, and the sample is not.
   */
  #named(now: Instant): { one: BookEntry; byId: boolean }[] {
    const { book, sampler } = this.#from
    if (book.isSmall) return book.fresh(now).map((one) => ({ one, byId: true }))
    const named: { one: BookEntry; byId: boolean }[] = []
    for (const { holder, byId } of sampler.distinct()) {
      if (isFresh(holder, now)) named.push({ one: holder, byId })
    }
    return named
  }

  /** As many entries for a contact as fit beside others, noted as what it now has. */
  #handOver(
    entries: BookEntry[],
    contact: Contact,
    most: number,
    now: Instant,
    beside: Entry[] = [],
  ): Entry[] {
    const fresh: BookEntry[] = []
    for (const one of entries) {
      if (fresh.length === most) break
      if (!contact.sent.has(one.id, one.record.seq)) fresh.push(one)
    }
    const all = [...beside, ...fresh.map((entry) => toEntry(entry, now))]
    const chosen = fitting(all, most).slice(beside.length)
    for (const { id, record } of fresh.slice(0, chosen.length)) contact.sent.add(id, record.seq)
    return chosen
  }

  #admits({ peer }: Contact, kind: 'sample' | 'want' | 'find', amount: number, now: Instant) {
    return this.#from.accounts.admits(peer, kind, amount, now)
  }
}

/** A refusal, and when to try again. */
export function err(code: number, retryS: number): Frame {
  return { type: 'err', code, retryS }
}

/** Whether a peer offers what a question without names looks for. */
export function offers(
  { record }: Pick<BookEntry, 'record'>,
  { service, relay }: Pick<FrameOf<'find'>, 'service' | 'relay'>,
): boolean {
  if (relay && (record.relay === undefined || record.relay.slotsFree === 0)) return false
  if (service !== '' && !record.services.includes(service)) return false
  return relay || service !== ''
}
