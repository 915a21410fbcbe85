import type { Alarms } from '../kernel/alarms.ts'
import type { Instant } from '../kernel/machine.ts'
import type { BookEntry } from '../peer-exchange/address-book.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import type { Bootstraps } from './bootstraps.ts'
import { isDependable } from './candidates.ts'
import type { Acquaintances, Candidates } from './candidates.ts'
import type { Contacts } from './contacts.ts'
import { limits } from './limits.ts'
import type { Output, Purpose } from './outputs.ts'
import type { Rests } from './rests.ts'
import { Targets } from './targets.ts'
import type { Need } from './targets.ts'

interface DialsOptions {
  self: PeerKey
  known: Acquaintances
  candidates: Candidates
  bootstraps: Bootstraps
  contacts: Contacts
  rests: Rests
  timers: Pick<Alarms<'silent'>, 'set' | 'clear'>
}

/** The dials under way, and what keeps others from being made: their number, what their targets bear, and rest. */
export class Dials {
  readonly #self: PeerKey
  readonly #known: Acquaintances
  readonly #candidates: Candidates
  readonly #bootstraps: Bootstraps
  readonly #contacts: Contacts
  readonly #rests: Rests
  readonly #timers: DialsOptions['timers']
  readonly #targets = new Targets()
  readonly #dials = new Map<PeerKey, Purpose>()

  constructor({ self, known, candidates, bootstraps, contacts, rests, timers }: DialsOptions) {
    this.#self = self
    this.#known = known
    this.#candidates = candidates
    this.#bootstraps = bootstraps
    this.#contacts = contacts
    this.#rests = rests
    this.#timers = timers
  }

  get size(): number {
    return this.#dials.size
  }

  /** As many as there may be; looked at again when one ends. */
  get areFull(): boolean {
    return this.#dials.size >= (this.#contacts.needy ? limits.urgentDials : limits.dials)
  }

  /** How many are for neighbours. */
  get forNeighbours(): number {
    let count = 0
    for (const purpose of this.#dials.values()) if (purpose === 'neighbour') count++
    return count
  }

  has(peer: PeerKey): boolean {
    return this.#dials.has(peer)
  }

  /** Whether there is neither a link to the peer, nor one on the way, nor a reason to wait. */
  isFree(peer: PeerKey, now: Instant): boolean {
    const busy = peer === this.#self || this.#contacts.has(peer) || this.#dials.has(peer)
    return !busy && this.#rests.until(peer) <= now
  }

  /** A peer has answered there. */
  prove(address: string): void {
    this.#targets.prove(address)
  }

  /** A peer became known or its record changed. */
  learnt(peer: PeerKey, dependable: boolean, now: Instant): void {
    const entry = this.#known.book.get(peer)
    if (entry === undefined || this.#contacts.has(peer)) return
    if (this.#rests.tries(peer) > 0) {
      // A new version is a new chance: once at once, then as before.
      if (entry.standing !== 'lost') this.#rests.forget(peer)
      return
    }
    const isNew = this.#rests.until(peer) === 0 && entry.metAt === 0
    if (isNew && !this.#goesFirst(entry, dependable)) this.#rests.wait(peer, now + limits.yieldMs)
  }

  /** Two hidden or two public peers go by their names; of different ones the hidden one knows the way. */
  #goesFirst(entry: BookEntry, dependable: boolean): boolean {
    const other = isDependable(entry)
    return other === dependable ? this.#self < entry.peer : other
  }

  /** False when none of its addresses may be dialled now: then it rests until one may. */
  dial(peer: PeerKey, purpose: Purpose, now: Instant, out: Output[]): boolean {
    const configured = this.#bootstraps.addresses(peer)
    const hearsay = this.#known.book
      .addresses(peer)
      .map(({ address }) => address)
      .filter((one) => !configured.includes(one))
    const addresses = [...configured, ...this.#targets.take(hearsay, now, this.#need)]
    if (addresses.length === 0) {
      const free = this.#targets.freeAt(hearsay, now, this.#need)
      this.#rests.wait(peer, Number.isFinite(free) ? free : now + limits.retryMs.refused)
      return false
    }
    this.#dials.set(peer, purpose)
    this.#timers.set('silent', now + limits.silentMs, peer)
    out.push({ type: 'dial', peer, addresses, purpose })
    return true
  }

  /** There is a link to the peer. Returns what it was dialled for, if it was. */
  linked(peer: PeerKey): Purpose | undefined {
    const purpose = this.#dials.get(peer)
    this.#dials.delete(peer)
    this.#timers.clear('silent', peer)
    return purpose
  }

  /** Nobody was reached. Returns what the peer was dialled for, if it was. */
  failed(peer: PeerKey, now: Instant, out: Output[]): Purpose | undefined {
    const purpose = this.#dials.get(peer)
    if (purpose === undefined) return undefined
    this.#dials.delete(peer)
    this.#timers.clear('silent', peer)
    const entry = this.#known.book.get(peer)
    if (purpose === 'neighbour') this.#candidates.failed(entry)
    if (this.#bootstraps.has(peer)) this.#bootstraps.failed(peer, this.#candidates.size, now)
    if (entry?.standing === 'lost' && !this.#candidates.everybody) this.#rests.lost(peer, now)
    else this.rest(peer, now)
    out.push({ type: 'missed', peer })
    return purpose
  }

  /** There was no link to the peer, or not for long. */
  rest(peer: PeerKey, now: Instant): void {
    this.#rests.fail(peer, this.#contacts.needy ? limits.urgentBackoff : limits.backoff, now)
  }

  get #need(): Need {
    if (this.#contacts.needy) return 'urgent'
    return this.#candidates.isSmall ? 'some' : 'little'
  }
}
