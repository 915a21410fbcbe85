import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Frame, FrameOf } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import type { Acquaintances, Candidates } from './candidates.ts'
import { roleOf } from './contacts.ts'
import type { Contact, Contacts } from './contacts.ts'
import { limits } from './limits.ts'
import type { Output } from './outputs.ts'
import type { Rests } from './rests.ts'

interface NeighboursOptions {
  rng: Rng
  known: Acquaintances
  candidates: Candidates
  contacts: Contacts
  rests: Rests
}

/** How contacts become neighbours, chosen or accepted, and how they cease to be. */
export class Neighbours {
  readonly #rng: Rng
  readonly #known: Acquaintances
  readonly #candidates: Candidates
  readonly #contacts: Contacts
  readonly #rests: Rests
  #joined = false
  /** Another one is being looked for, to take the place of an old one. */
  #rotating = false

  constructor({ rng, known, candidates, contacts, rests }: NeighboursOptions) {
    this.#rng = rng
    this.#known = known
    this.#candidates = candidates
    this.#contacts = contacts
    this.#rests = rests
  }

  /** Once there were as many of our choosing as we want. */
  get joined(): boolean {
    return this.#joined
  }

  /** How many of our choosing are missing where `most` are wanted, and one more while one is exchanged. */
  lacking(most: number): number {
    return Math.max(0, most + (this.#rotating ? 1 : 0) - this.#contacts.chosen)
  }

  /** It said that it accepts us. */
  choose(contact: Contact, now: Instant, out: Output[]): void {
    this.#candidates.linked()
    if (!contact.chosen) {
      this.#contacts.change(contact, { chosen: true })
      contact.since = now
      out.push({ type: 'neighbour', peer: contact.peer, role: 'chosen' })
    }
    // Lost peers that answer are chosen whether or not there is room: theirs must not add up.
    const isOver = this.#rotating || !this.#candidates.everybody
    if (isOver && this.#contacts.chosen > limits.chosen) this.#letOneGo(now, out, contact)
    this.#joined ||= this.#contacts.chosen >= limits.chosen
  }

  /** One of those we chose is to be exchanged. */
  rotate(now: Instant, out: Output[]): void {
    // What is left of the time when everybody knew everybody goes without being replaced.
    if (this.#contacts.chosen > limits.chosen) this.#letOneGo(now, out)
    else this.#rotating = this.#contacts.chosen === limits.chosen
  }

  /** Of those we chose one leaves, not the newcomer that takes its place. */
  #letOneGo(now: Instant, out: Output[], newcomer?: Contact): void {
    this.#rotating = false
    const others = [...this.#contacts.all()].filter((one) => one.chosen && one !== newcomer)
    const victim = others[Math.floor(this.#rng() * others.length)]
    if (victim === undefined) return
    const { peer } = victim
    this.#contacts.change(victim, { chosen: false })
    this.#rests.wait(peer, now + limits.retryMs.full)
    out.push({ type: 'tell', peer, frame: this.#farewell(peer, false, now) })
    reportRole(victim, out)
    this.#contacts.releaseIfIdle(victim, out)
  }

  accept(contact: Contact, out: Output[]): void {
    this.#contacts.change(contact, { accepted: true })
    if (!contact.chosen) reportRole(contact, out)
  }

  /** It chose us, and its place is another's now. */
  evict(peer: PeerKey, now: Instant, out: Output[]): void {
    const victim = this.#contacts.get(peer)
    if (victim === undefined) return
    out.push({ type: 'tell', peer, frame: this.#farewell(peer, true, now) })
    this.#contacts.change(victim, { accepted: false })
    out.push({ type: 'neighbour-lost', peer }, { type: 'release', peer })
  }

  /** The other side does not choose us any more, or has no place for us; what we chose or gave ourselves stays. */
  ended(peer: PeerKey, end: FrameOf<'neighbourEnd'>, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact === undefined) return
    out.push({ type: 'offered', peer, entries: end.entries })
    const before = roleOf(contact)
    this.#contacts.change(contact, end.evicted ? { chosen: false } : { accepted: false })
    if (end.evicted) this.#rests.wait(peer, now + limits.retryMs.full)
    if (roleOf(contact) === before) return
    reportRole(contact, out)
    this.#contacts.releaseIfIdle(contact, out)
  }

  /** `evicted`: it chose us, and we have no place for it any more; else we do not choose it any more. */
  #farewell(peer: PeerKey, evicted: boolean, now: Instant): Frame {
    return { type: 'neighbourEnd', entries: this.#known.alternativesFor(peer, now), evicted }
  }
}

function reportRole(contact: Contact, out: Output[]): void {
  const { peer } = contact
  const role = roleOf(contact)
  if (role === undefined) out.push({ type: 'neighbour-lost', peer })
  else out.push({ type: 'neighbour', peer, role })
}
