import type { Instant } from '../kernel/machine.ts'
import type { AddressBook } from './address-book.ts'
import type { Asks, Missing } from './asks.ts'
import type { Contact } from './contact.ts'
import { isAhead } from './ids.ts'
import { limits } from './limits.ts'
import type { Frame, FrameOf } from './messages.ts'
import type { Offers } from './offers.ts'
import type { Output } from './outputs.ts'
import type { OwnRecord } from './own-record.ts'
import type { Places } from './places.ts'
import type { Verification } from './verification.ts'

interface Collaborators {
  own: OwnRecord
  book: AddressBook
  places: Places
  verification: Verification
  asks: Asks
  offers: Offers
}

const NOTHING: Missing = { rest: [], forGroups: new Set() }

/** From the names that a pull brings to the records: what is missing is asked for until the pull is over. */
export class Fetches {
  readonly #own: OwnRecord
  readonly #book: AddressBook
  readonly #places: Places
  readonly #verification: Verification
  readonly #asks: Asks
  readonly #offers: Offers

  constructor({ own, book, places, verification, asks, offers }: Collaborators) {
    this.#own = own
    this.#book = book
    this.#places = places
    this.#verification = verification
    this.#asks = asks
    this.#offers = offers
  }

  /** A contact has named whom it knows. */
  named(contact: Contact, sample: FrameOf<'sample'>, now: Instant, out: Output[]): void {
    this.#want(contact, this.#missing(contact, sample, now), now, out)
  }

  /** What did not fit into the answer is asked for again, as long as every answer brings something. */
  fetched(
    contact: Contact,
    missing: Missing,
    { entries, unknown }: FrameOf<'records'>,
    now: Instant,
    out: Output[],
  ): void {
    const got = this.#offers.fetched(entries, contact, missing, now, out)
    const settled = new Set([...got, ...unknown])
    const rest = missing.rest.filter((id) => !settled.has(id))
    const brought = entries.length > 0 && rest.length < missing.rest.length
    this.#want(contact, brought ? { ...missing, rest } : NOTHING, now, out)
  }

  #want(contact: Contact, missing: Missing, now: Instant, out: Output[]): void {
    const { rest } = missing
    const frame: Frame = { type: 'want', ids: rest.slice(0, limits.wantIds) }
    const more = rest.length > 0
    if (more && this.#asks.begin(contact, { kind: 'want', missing }, frame, now, out)) return
    out.push({ type: 'pulled', peer: contact.peer })
  }

  /** What of a sample is worth fetching: newer versions, and strangers we have a place for. */
  #missing(
    { peer }: Contact,
    { ids, seqLo, same, groups }: FrameOf<'sample'>,
    now: Instant,
  ): Missing {
    if (same) return NOTHING
    const missing = new Set<number>()
    const forGroups = new Set<number>()
    for (let i = 0; i < ids.length; i++) {
      const [id, lo] = [ids[i] as number, seqLo[i] ?? 0]
      const entry = this.#book.byId(id)
      const known = id === this.#own.id ? this.#own.seq : entry?.record.seq
      const group = groups[i] || undefined
      if (known !== undefined) {
        // Our own id can be ahead: an earlier run without its book, under a clock that was.
        if (isAhead(lo, known)) missing.add(id)
        if (group === undefined && entry?.namedFor === 'group') {
          this.#places.admitToAll(entry, peer, now)
        }
      } else if (this.#verification.wasRefused(id, lo)) continue
      else if (this.#places.wants(id, group, peer, now)) {
        missing.add(id)
        if (group !== undefined) forGroups.add(id)
      }
    }
    return { rest: [...missing], forGroups }
  }
}
