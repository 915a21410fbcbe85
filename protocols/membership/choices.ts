import type { Alarms } from '../kernel/alarms.ts'
import type { Instant } from '../kernel/machine.ts'
import type { BookEntry } from '../peer-exchange/address-book.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import type { Bootstraps } from './bootstraps.ts'
import type { Acquaintances, Candidates } from './candidates.ts'
import type { Contacts } from './contacts.ts'
import type { Dials } from './dials.ts'
import type { Errands } from './errands.ts'
import { limits } from './limits.ts'
import type { Neighbours } from './neighbours.ts'
import type { Output } from './outputs.ts'
import type { Rests } from './rests.ts'

interface ChoicesOptions {
  self: PeerKey
  known: Acquaintances
  candidates: Candidates
  bootstraps: Bootstraps
  contacts: Contacts
  neighbours: Neighbours
  errands: Errands
  dials: Dials
  rests: Rests
  timers: Pick<Alarms<'fill'>, 'set' | 'clear'>
  trusted: boolean
}

/** Whom to choose next while neighbours lack, and when to call the bootstraps. */
export class Choices {
  readonly #self: PeerKey
  readonly #known: Acquaintances
  readonly #candidates: Candidates
  readonly #bootstraps: Bootstraps
  readonly #contacts: Contacts
  readonly #neighbours: Neighbours
  readonly #errands: Errands
  readonly #dials: Dials
  readonly #rests: Rests
  readonly #timers: ChoicesOptions['timers']
  readonly #trusted: boolean

  constructor(options: ChoicesOptions) {
    this.#self = options.self
    this.#known = options.known
    this.#candidates = options.candidates
    this.#bootstraps = options.bootstraps
    this.#contacts = options.contacts
    this.#neighbours = options.neighbours
    this.#errands = options.errands
    this.#dials = options.dials
    this.#rests = options.rests
    this.#timers = options.timers
    this.#trusted = options.trusted
  }

  fill(now: Instant, out: Output[]): void {
    this.#callBootstraps(now, out)
    const called = this.#bootstraps.nextAt(this.#contacts.needy)
    const everybody = this.#candidates.everybody
    const more = everybody || this.#missing() > 0
    const again = more ? this.#chooseMore(everybody, now, out) : Infinity
    // What is over already waits for something else to happen.
    const at = Math.min(called > now ? called : Infinity, again > now ? again : Infinity)
    if (at < Infinity) this.#timers.set('fill', at)
    else this.#timers.clear('fill')
  }

  /** How many more neighbours of our choosing we want, those on the way counted. */
  #missing(most: number = limits.chosen): number {
    const lacking = this.#neighbours.lacking(most)
    if (lacking === 0) return 0
    return lacking - this.#dials.forNeighbours - this.#contacts.courted
  }

  #callBootstraps(now: Instant, out: Output[]): void {
    const due = this.#bootstraps.due(this.#contacts.needy, now)
    if (due.length === 0) return
    const waiting = this.#known.book.valid > 0 && this.#missing() > 0
    const most = waiting ? limits.bootstrapDials : limits.dials
    for (const peer of due.slice(0, most)) {
      if (this.#dials.areFull) return
      if (this.#contacts.has(peer) || this.#dials.has(peer)) continue
      // In a large overlay they only show the way: neighbours of everybody would be what the overlay hangs on.
      const purpose = this.#candidates.isSmall && this.#missing() > 0 ? 'neighbour' : 'visit'
      this.#dials.dial(peer, purpose, now, out)
    }
  }

  /** Returns when to look again. */
  #chooseMore(everybody: boolean, now: Instant, out: Output[]): Instant {
    if (this.#dials.areFull) return Infinity
    let soonest = now + limits.idleMs
    const fits = (entry: BookEntry): boolean => {
      if (!this.#mayChoose(entry)) return false
      const until = this.#rests.until(entry.peer)
      if (until > now) soonest = Math.min(soonest, until)
      return until <= now && (everybody || this.#isApart(entry))
    }
    let missing = this.#missing(everybody ? limits.everybody : limits.chosen)
    if (missing <= 0) return Infinity
    for (const contact of this.#contacts.needy ? this.#contacts.all() : []) {
      if (missing <= 0) break
      if (!this.#errands.isAtHand(contact, now)) continue
      this.#errands.court(contact, now, out)
      missing--
    }
    if (missing <= 0) return Infinity
    for (const entry of this.#inOrder(everybody, fits)) {
      const contact = this.#contacts.get(entry.peer)
      if (contact !== undefined) this.#errands.court(contact, now, out)
      else if (!this.#dials.dial(entry.peer, 'neighbour', now, out)) continue
      if (--missing <= 0 || this.#dials.areFull) return Infinity
    }
    return soonest
  }

  #mayChoose({ peer }: BookEntry): boolean {
    const contact = this.#contacts.get(peer)
    if (contact?.chosen || contact?.errand === 'neighbour') return false
    // Bootstraps have times of their own when they are dialled; one that is linked is a peer like any other.
    if (contact === undefined && this.#bootstraps.has(peer)) return false
    return peer !== this.#self && !this.#dials.has(peer)
  }

  /** Everybody in a small overlay; else old acquaintances to begin with, then the sample; others only in need. */
  *#inOrder(everybody: boolean, fits: (entry: BookEntry) => boolean): Generator<BookEntry> {
    if (everybody) {
      yield* this.#candidates.all().filter(fits)
      return
    }
    const { joined } = this.#neighbours
    if (!joined) yield* this.#candidates.anchors().slice(0, limits.enough).filter(fits)
    yield* this.#candidates.ofSample(fits)
    const short = this.#candidates.isSmall || this.#contacts.needy || !joined
    // What was taken before this has changed what fits.
    if (short) for (const one of this.#candidates.others()) if (fits(one)) yield one
  }

  /** One neighbour of an address group, unless there are few to choose from. */
  #isApart({ group }: BookEntry): boolean {
    if (this.#trusted || this.#candidates.isSmall || this.#contacts.needy) return true
    for (const one of this.#contacts.all()) if (one.chosen && one.group === group) return false
    return true
  }
}
