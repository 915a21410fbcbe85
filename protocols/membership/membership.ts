import { Alarms } from '../kernel/alarms.ts'
import type { Due } from '../kernel/alarms.ts'
import type { Instant, Machine } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { groupOfAddress } from '../peer-exchange/groups.ts'
import type { BookEntry } from '../peer-exchange/address-book.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import { Bootstraps } from './bootstraps.ts'
import { Candidates } from './candidates.ts'
import type { Acquaintances } from './candidates.ts'
import { Choices } from './choices.ts'
import { Contacts } from './contacts.ts'
import type { Contact } from './contacts.ts'
import { Dials } from './dials.ts'
import { Errands } from './errands.ts'
import type { Input, Request } from './inputs.ts'
import { limits } from './limits.ts'
import { Mixing } from './mixing.ts'
import { Neighbours } from './neighbours.ts'
import type { Output, Purpose, Role } from './outputs.ts'
import { Requests } from './requests.ts'
import { Rests } from './rests.ts'
import { Visits } from './visits.ts'

export type { Input, Output, Purpose, Request, Role }

export interface MembershipOptions {
  self: PeerKey
  rng: Rng
  known: Acquaintances
  /** Numbers for streams, shared with whoever else opens some. */
  nextExchange: () => number
  /** Members of a network with a key: no limits by address group. */
  trusted: boolean
}

type Alarm = 'fill' | 'alone' | 'visit' | 'rotate' | 'healed' | 'silent' | 'errand' | 'direct'

type Linked = Extract<Input, { type: 'linked' }>

/**
 * Decides who this node's neighbours are: whom it chooses, whom it accepts, whom it visits to see the rest of the
 * overlay, and when it tries its bootstraps again. See SPEC.md.
 */
export class Membership implements Machine<Input, Output> {
  readonly #self: PeerKey
  readonly #known: Acquaintances
  readonly #timers = new Alarms<Alarm>()
  readonly #rests: Rests
  readonly #candidates: Candidates
  readonly #bootstraps: Bootstraps
  readonly #contacts: Contacts
  readonly #neighbours: Neighbours
  readonly #requests: Requests
  readonly #errands: Errands
  readonly #dials: Dials
  readonly #choices: Choices
  readonly #mixing: Mixing
  readonly #visits: Visits
  #dependable = false
  #started = false
  #left = false
  #alone = false

  constructor({ self, rng, known, nextExchange, trusted }: MembershipOptions) {
    this.#self = self
    this.#known = known
    const timers = this.#timers
    const rests = (this.#rests = new Rests(rng))
    const candidates = (this.#candidates = new Candidates(known, rng))
    const bootstraps = (this.#bootstraps = new Bootstraps(rng))
    const contacts = (this.#contacts = new Contacts({ bootstraps, candidates }))
    // Each takes from these what it needs.
    const base = { self, rng, known, timers, rests, candidates, bootstraps, contacts, trusted }
    const neighbours = (this.#neighbours = new Neighbours(base))
    this.#requests = new Requests({ ...base, neighbours })
    const errands = (this.#errands = new Errands({ ...base, neighbours, nextExchange }))
    const dials = (this.#dials = new Dials(base))
    this.#choices = new Choices({ ...base, neighbours, errands, dials })
    const mixing = (this.#mixing = new Mixing({ ...base, neighbours }))
    this.#visits = new Visits({ ...base, dials, mixing })
  }

  nextWake(): Instant | undefined {
    return this.#timers.next()
  }

  neighbours(): { peer: PeerKey; role: Role }[] {
    return this.#contacts.neighbours()
  }

  get contacts(): number {
    return this.#contacts.size
  }

  isHealing(now: Instant): boolean {
    return this.#mixing.isHealing(now)
  }

  step(input: Input, now: Instant): readonly Output[] {
    const out: Output[] = []
    if (this.#left) return out
    this.#take(input, now, out)
    // Answering others changes nothing about what we lack.
    if (this.#started && !this.#left && input.type !== 'request') {
      this.#choices.fill(now, out)
      this.#contacts.releaseSpared(out)
      this.#report(now, out)
    }
    return out
  }

  #take(input: Input, now: Instant, out: Output[]): void {
    switch (input.type) {
      case 'tick':
        for (const alarm of this.#timers.takeDue(now)) this.#wake(alarm, now, out)
        return
      case 'start':
        return this.#start(input.bootstraps, now)
      case 'self':
        this.#dependable = input.dependable
        return
      case 'linked':
        return this.#linked(input, now, out)
      case 'unlinked':
        return this.#unlinked(input.peer, now, out)
      case 'known':
        return this.#dials.learnt(input.peer, this.#dependable, now)
      case 'greeted':
        return this.#greeted(input.peer, now, out)
      case 'pulled':
        return this.#errands.visited(input.peer, now, out)
      case 'dial-done':
      case 'dial-failed':
        return this.#dialFailed(input.peer, now, out)
      case 'request':
        return this.#request(input, now, out)
      case 'answer':
        return this.#errands.answer(input.exchange, input.frame, now, out)
      case 'proven':
        return this.#dials.prove(input.address)
      case 'leave':
        this.#left = true
        this.#timers.takeDue(Infinity)
    }
  }

  #wake({ kind, subject }: Due<Alarm>, now: Instant, out: Output[]): void {
    const peer = String(subject)
    switch (kind) {
      case 'silent':
        return this.#dialFailed(peer, now, out)
      case 'errand':
        return this.#errands.overdue(peer, now, out)
      case 'direct':
        return this.#errands.directOrNot(peer, now, out)
      case 'visit':
        return this.#visits.visit(now, out)
      case 'rotate':
        return this.#mixing.rotate(now, out)
      case 'healed':
        return this.#mixing.healed(now, out)
      case 'alone':
        if (this.#contacts.hasMembers()) return
        this.#alone = true
        out.push({ type: 'alone', alone: true })
        return
      case 'fill': // what every step ends with
    }
  }

  #start(bootstraps: { peer: PeerKey; addresses: string[] }[], now: Instant): void {
    this.#started = true
    this.#visits.deferContested(now)
    const hasBook = this.#known.book.count('reached') >= limits.bookEnough
    const at = hasBook || this.#candidates.anchors().length >= limits.bookEnough
    this.#bootstraps.start(bootstraps, this.#self, now + (at ? limits.bookFirstMs : 0))
    this.#visits.start(now)
    this.#mixing.start(now)
  }

  // --- links --------------------------------------------------------------------------------------------

  #linked(link: Linked, now: Instant, out: Output[]): void {
    const { peer, limited, address, through } = link
    for (const proof of [address, through]) if (proof !== undefined) this.#dials.prove(proof)
    const purpose = this.#dials.linked(peer)
    const before = this.#contacts.get(peer)
    if (before !== undefined) {
      before.limited = limited
      if (address !== undefined) before.group = groupOfAddress(address)
      const isDone = purpose === 'neighbour' && before.chosen // it was quicker than our dial
      if (purpose !== undefined && before.errand === undefined && !isDone) {
        this.#errands.begin(before, purpose, now)
      }
      this.#errands.advance(before, now, out)
      return
    }
    if (this.#contacts.size >= limits.contacts) {
      if (purpose !== undefined) out.push({ type: 'release', peer })
      return
    }
    if (this.#bootstraps.linked(peer, now)) this.#sign(true, now, out)
    const contact = this.#newContact(link, now)
    this.#contacts.add(contact)
    this.#visits.linked(peer)
    if (purpose !== undefined) this.#errands.begin(contact, purpose, now)
  }

  #newContact({ peer, limited, dialled, address }: Linked, now: Instant): Contact {
    const entry = this.#known.book.get(peer)
    return {
      peer,
      group: address === undefined ? (entry?.group ?? 0) : groupOfAddress(address),
      since: now,
      rescued: false,
      limited,
      dialled,
      greeted: false,
      errand: undefined,
      chosen: false,
      accepted: false,
      wasLost: entry !== undefined && wasOutOfReach(entry, now),
    }
  }

  #unlinked(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact === undefined) return
    const { chosen, accepted, errand, since } = contact
    this.#contacts.remove(contact)
    this.#errands.unlinked(contact)
    if (this.#bootstraps.has(peer)) this.#bootstraps.unlinked(peer, this.#candidates.size, now)
    if (chosen || accepted) out.push({ type: 'neighbour-lost', peer })
    if (now - since >= limits.provenMs) this.#rests.forget(peer)
    if (chosen || (accepted && this.#candidates.isSampled(peer))) this.#visits.doubt(peer, now)
    if (chosen || errand === 'neighbour') this.#dials.rest(peer, now)
  }

  /** Both sides know each other's record now. */
  #greeted(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact === undefined) return
    contact.greeted = true
    if (contact.wasLost) {
      contact.wasLost = false
      this.#sign(false, now, out)
      // The two halves are joined by links, not by visits.
      if (contact.errand === 'visit') contact.errand = 'neighbour'
    }
    this.#errands.advance(contact, now, out)
  }

  #dialFailed(peer: PeerKey, now: Instant, out: Output[]): void {
    const purpose = this.#dials.failed(peer, now, out)
    if (purpose === 'visit') this.#visits.foundNobody(peer, now)
  }

  #request(
    { exchange, peer, frame }: Extract<Input, { type: 'request' }>,
    now: Instant,
    out: Output[],
  ): void {
    if (frame.type === 'neighbourEnd') {
      out.push({ type: 'reply', exchange, frame: undefined })
      this.#neighbours.ended(peer, frame, now, out)
      return
    }
    const places = this.#dependable ? limits.accepted.public : limits.accepted.hidden
    const ack = this.#requests.answer(peer, frame, places, now, out)
    out.push({ type: 'reply', exchange, frame: ack })
  }

  /** A sign that the overlay was split and is whole again. */
  #sign(strong: boolean, now: Instant, out: Output[]): void {
    if (this.#candidates.everybody) return
    this.#visits.lookForLost(now)
    this.#mixing.sign(strong, now, out)
  }

  // --- what to say --------------------------------------------------------------------------------------

  #report(now: Instant, out: Output[]): void {
    const unreachable = this.#bootstraps.report()
    if (unreachable !== undefined) out.push({ type: 'bootstraps-unreachable', peers: unreachable })
    if (this.#contacts.hasMembers()) {
      this.#timers.clear('alone')
      if (this.#alone) out.push({ type: 'alone', alone: false })
      this.#alone = false
    } else if (!this.#alone && !this.#timers.has('alone')) {
      this.#timers.set('alone', now + limits.aloneMs)
    }
  }
}

/**
 * Whether a peer did not answer, and not for a moment only. One whose record ran out, as those of old acquaintances do, was never out of reach.
 */
function wasOutOfReach({ standing, misses, missedAt }: BookEntry, now: Instant): boolean {
  return misses > 0 && (standing === 'lost' || now - missedAt >= limits.outOfReachMs)
}
