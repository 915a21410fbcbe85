import { Alarms } from '../kernel/alarms.ts'
import type { Due } from '../kernel/alarms.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { Accounts } from './accounts.ts'
import { AddressBook } from './address-book.ts'
import type { BookEntry } from './address-book.ts'
import { Answers, ERR_BUSY, err } from './answers.ts'
import { Asks } from './asks.ts'
import type { Ask } from './asks.ts'
import { Beliefs } from './beliefs.ts'
import type { Fault } from './codec.ts'
import type { Contact } from './contact.ts'
import { Contacts } from './contacts.ts'
import type { Alarm } from './deadlines.ts'
import { fitting } from './entries.ts'
import { Errands } from './errands.ts'
import { Fetches } from './fetches.ts'
import { Finds } from './finds.ts'
import { Greetings } from './greetings.ts'
import type { Scope } from './hygiene.ts'
import { Knowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Entry, Frame, FrameOf } from './messages.ts'
import { Offers } from './offers.ts'
import type { Output } from './outputs.ts'
import { OwnRecord } from './own-record.ts'
import { Places } from './places.ts'
import { Publishing } from './publishing.ts'
import { Pulls } from './pulls.ts'
import { readEnvelope } from './read-envelope.ts'
import type { ReadEnvelope } from './read-envelope.ts'
import type { Notation, PeerKey, SelfFacts } from './record.ts'
import { Sampler } from './sampler.ts'
import type { Restored } from './snapshot.ts'
import { Telling } from './telling.ts'
import { Verification } from './verification.ts'

export type { Output } from './outputs.ts'

export type Input =
  | Tick
  | { type: 'self'; facts: SelfFacts }
  | { type: 'scope'; scope: Scope }
  /** The answer to `sign`. */
  | { type: 'signed'; seq: number; envelope: Uint8Array }
  /** A connection to a peer that speaks the protocol was opened, or the best one of a peer changed. */
  | { type: 'linked'; peer: PeerKey; limited: boolean; dialled: boolean; address?: string }
  | { type: 'unlinked'; peer: PeerKey }
  /** A contact became a neighbour, or is none any more. */
  | { type: 'neighbour'; peer: PeerKey; role: 'chosen' | 'accepted' }
  | { type: 'neighbour-lost'; peer: PeerKey }
  /** A dial of ours was not answered by the peer. */
  | { type: 'missed'; peer: PeerKey }
  /** Ask this contact whom it knows; answered by `pulled`. */
  | { type: 'pull'; peer: PeerKey }
  /** A peer gave us these with another message. */
  | { type: 'offered'; peer: PeerKey; entries: Entry[] }
  /** A peer opened stream `exchange` and sent this. */
  | { type: 'request'; exchange: number; peer: PeerKey; frame: Frame }
  /** What came back on a stream that `ask` opened; undefined when nothing usable did. */
  | { type: 'answer'; exchange: number; frame: Frame | undefined }
  /** A peer sent bytes that are no frame. */
  | { type: 'garbage'; peer: PeerKey; fault: Fault }
  /** The answer to `verify`. */
  | { type: 'verified'; job: number; valid: boolean }
  | { type: 'resolve'; peer: PeerKey }
  | { type: 'search'; search: number; service?: string; relay?: boolean }
  /** What an earlier run knew. */
  | { type: 'restore'; ownSeq: number; entries: Restored[] }
  /** Say farewell; nothing is learnt or answered afterwards. */
  | { type: 'leave' }

export interface ExchangeOptions {
  self: PeerKey
  /** The first eight bytes, little-endian, of sha256 over the network's name. */
  networkId: bigint
  scope: Scope
  notation: Notation
  rng: Rng
  /** Numbers for streams, shared with whoever else opens some. */
  nextExchange: () => number
  /** How records are read; a simulator that passes the same bytes to thousands reads them once. */
  read?: ReadEnvelope
}

/**
 * Decides whom to ask for peers, what to believe of the answers, and whom to tell. The time it is given must
 * be Unix time in milliseconds, because records carry it. See SPEC.md.
 */
export class PeerExchange implements Machine<Input, Output> {
  readonly book: AddressBook
  readonly sampler: Sampler<BookEntry>
  readonly #notation: Notation
  readonly #rng: Rng
  readonly #own: OwnRecord
  readonly #timers = new Alarms<Alarm>()
  readonly #accounts = new Accounts()
  readonly #contacts: Contacts
  readonly #asks: Asks
  readonly #places: Places
  readonly #knowledge: Knowledge
  readonly #answers: Answers
  readonly #publishing: Publishing
  readonly #telling: Telling
  readonly #finds: Finds
  readonly #errands: Errands
  readonly #offers: Offers
  readonly #beliefs: Beliefs
  readonly #greetings: Greetings
  readonly #pulls: Pulls
  readonly #fetches: Fetches
  #last: Instant = 0
  #phase: 'running' | 'leaving' | 'left' = 'running'

  constructor({ self, networkId, scope, notation, rng, nextExchange, read }: ExchangeOptions) {
    const [timers, accounts] = [this.#timers, this.#accounts]
    const book = new AddressBook(self, scope)
    const sampler = new Sampler<BookEntry>(rng, book.mortality)
    const own = new OwnRecord(self, networkId, notation)
    const verification = new Verification(networkId, notation, read ?? readEnvelope)
    const contacts = new Contacts({ accounts, rng })
    const asks = new Asks({ nextExchange, timers })
    const places = new Places({ book, sampler, accounts, contacts })
    const knowledge = new Knowledge({ book, places, contacts })
    const answers = new Answers({ own, book, sampler, accounts, notation, rng })
    const publishing = new Publishing({ own, timers, rng })
    const telling = new Telling({ own, book, contacts, timers })
    const finds = new Finds({ book, contacts, asks, verification, timers, notation })
    const errands = new Errands({ contacts, asks, notation })
    const believing = { own, book, accounts, verification, finds, errands }
    const offers = new Offers({ ...believing, places, notation })
    this.#beliefs = new Beliefs({ ...believing, knowledge, telling, publishing })
    const talking = { accounts, contacts, answers, asks, timers }
    this.#greetings = new Greetings({ ...talking, own, knowledge, offers, notation })
    this.#pulls = new Pulls({ ...talking, rng })
    this.#fetches = new Fetches({ own, book, places, verification, asks, offers })
    this.book = book
    this.sampler = sampler
    this.#notation = notation
    this.#rng = rng
    this.#own = own
    this.#contacts = contacts
    this.#asks = asks
    this.#places = places
    this.#knowledge = knowledge
    this.#answers = answers
    this.#publishing = publishing
    this.#telling = telling
    this.#finds = finds
    this.#errands = errands
    this.#offers = offers
  }

  get ownSeq(): number {
    return this.#own.seq
  }

  /** Whether the peer has misbehaved too often to be answered. */
  isShunned(peer: PeerKey, now: Instant): boolean {
    return this.#accounts.isShunned(peer, now)
  }

  /** A few peers for somebody who has to look elsewhere. */
  alternativesFor(peer: PeerKey, now: Instant): Entry[] {
    const contact = this.#contacts.get(peer)
    return contact === undefined
      ? []
      : fitting(this.#answers.some(contact, limits.alternatives, now), limits.alternatives)
  }

  nextWake(): Instant | undefined {
    return this.#timers.next()
  }

  step(input: Input, now: Instant): readonly Output[] {
    const out: Output[] = []
    if (this.#phase === 'left') return out
    if (now < this.#last) this.#clockSetBack(now)
    this.#last = now
    this.#take(input, now, out)
    return out
  }

  #take(input: Input, now: Instant, out: Output[]): void {
    switch (input.type) {
      case 'tick':
        for (const alarm of this.#timers.takeDue(now)) this.#wake(alarm, now, out)
        break
      case 'self':
        this.#own.facts = input.facts
        this.#publishing.soon(now)
        break
      case 'scope':
        this.book.setScope(input.scope)
        break
      case 'signed':
        this.#signed(input, now, out)
        break
      case 'linked':
        this.#linked(input, now, out)
        break
      case 'unlinked':
        this.#unlinked(input.peer)
        break
      case 'neighbour':
      case 'neighbour-lost':
        this.#neighbour(input)
        break
      case 'missed':
        this.#knowledge.missed(input.peer, now, out)
        break
      case 'pull':
        this.#pulls.pull(input.peer, now, out)
        break
      case 'offered':
        this.#offered(input.peer, input.entries, now, out)
        break
      case 'request':
        this.#request(input.exchange, input.peer, input.frame, now, out)
        break
      case 'answer':
        this.#answer(input.exchange, input.frame, now, out)
        break
      case 'garbage':
        this.#accounts.fault(input.peer, input.fault, now, out)
        break
      case 'verified':
        this.#beliefs.verified(input.job, input.valid, now, out)
        break
      case 'resolve':
        this.#finds.resolve(input.peer, now, out)
        break
      case 'search':
        this.#finds.search(input, now, out)
        break
      case 'restore':
        this.#own.outgrow(input.ownSeq)
        for (const entry of input.entries) this.#offers.restored(entry, now, out)
        break
      case 'leave':
        this.#phase = 'leaving'
        this.#publish(now, out)
        break
    }
  }

  /** Deadlines were set on a clock that has been put back since: all of them are due again now. */
  #clockSetBack(now: Instant): void {
    this.#contacts.clockSetBack(now)
    for (const { kind, subject } of this.#timers.takeDue(Infinity)) {
      this.#timers.set(kind, now, subject)
    }
  }

  #wake({ kind, subject }: Due<Alarm>, now: Instant, out: Output[]): void {
    if (kind === 'publish' || kind === 'refresh' || kind === 'signing') this.#publish(now, out)
    else if (kind === 'pull') this.#pulls.inTurn(now, out)
    else if (kind === 'push') this.#telling.push(now, out)
    else if (kind === 'sweep') this.#sweep(now, out)
    else if (kind === 'renew') this.#renew(now)
    else if (kind === 'greet') this.#greetings.greet(String(subject), now, out)
    else if (kind === 'ask') this.#answer(Number(subject), undefined, now, out)
    else this.#finds.end(String(subject), out)
  }

  // --- our own record, and the time between -------------------------------------------------------------

  #publish(now: Instant, out: Output[]): void {
    if (!this.#timers.has('sweep')) {
      this.#timers.set('sweep', now + limits.sweepMs)
      this.#setRenewal(now)
    }
    this.#publishing.issue(this.#phase === 'leaving', now, out)
  }

  #signed(signed: { seq: number; envelope: Uint8Array }, now: Instant, out: Output[]): void {
    if (!this.#publishing.accept(signed)) return
    this.#telling.soon(this.#own.peer, 1, now)
    if (this.#phase === 'leaving') this.#sayFarewell(now, out)
    else this.#greetings.greetAll(now, out)
  }

  #sayFarewell(now: Instant, out: Output[]): void {
    this.#telling.push(now, out)
    this.#phase = 'left'
    this.#timers.takeDue(Infinity)
    out.push({ type: 'left' })
  }

  #sweep(now: Instant, out: Output[]): void {
    this.#timers.set('sweep', now + limits.sweepMs)
    this.#knowledge.sweep(now, out)
  }

  #renew(now: Instant): void {
    this.#setRenewal(now)
    this.#places.renew(now)
  }

  #setRenewal(now: Instant): void {
    this.#timers.set('renew', now + jittered(limits.slotRenewalMs, 0.5, this.#rng))
  }

  // --- contacts -----------------------------------------------------------------------------------------

  #linked(
    { peer, limited, dialled, address }: Extract<Input, { type: 'linked' }>,
    now: Instant,
    out: Output[],
  ): void {
    const before = this.#contacts.get(peer)
    if (before !== undefined) {
      before.limited = limited
      before.seenAddr = this.#seenAt(address) ?? before.seenAddr
      before.dialled ||= dialled // it came to us first, and now answers a dial of ours
      this.#knowledge.meet(before, now, out)
      return
    }
    if (this.#contacts.isFull) return // the connection limit of any sane node is lower
    if (this.#contacts.size === 0) this.#pulls.start(now)
    const contact = this.#contacts.add(peer, { limited, dialled }, now)
    contact.seenAddr = this.#seenAt(address) ?? contact.seenAddr
    this.#knowledge.meet(contact, now, out)
    this.#greetings.start(contact, now, out)
  }

  #seenAt(address: string | undefined): Uint8Array | undefined {
    return address === undefined ? undefined : this.#notation.addressBytes(address)
  }

  #unlinked(peer: PeerKey): void {
    this.#contacts.remove(peer)
    this.#greetings.stop(peer)
    if (this.#contacts.size === 0) this.#pulls.stop()
  }

  #neighbour(input: Extract<Input, { type: 'neighbour' | 'neighbour-lost' }>): void {
    const contact = this.#contacts.get(input.peer)
    if (contact !== undefined) {
      contact.neighbour = input.type === 'neighbour' ? input.role : undefined
    }
  }

  #offered(peer: PeerKey, entries: Entry[], now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact === undefined || entries.length === 0) return
    this.#offers.pushed(entries, contact, undefined, now, out)
  }

  // --- answers to our questions -------------------------------------------------------------------------

  #answer(exchange: number, frame: Frame | undefined, now: Instant, out: Output[]): void {
    const ask = this.#asks.end(exchange)
    if (ask === undefined) return
    const contact = this.#contacts.get(ask.peer)
    if (contact !== undefined && ask.kind === 'hello') {
      this.#greetings.answered(contact, frame, now, out)
    }
    const heeded = contact !== undefined && this.#heed(ask, contact, frame, now, out)
    const pulling = ask.kind === 'sample' || ask.kind === 'want'
    if (pulling && !heeded) out.push({ type: 'pulled', peer: ask.peer })
    if (ask.kind === 'find' && ask.about !== undefined) this.#finds.answered(ask.about, out)
  }

  /** Whether the frame answers the question. */
  #heed(
    ask: Ask,
    contact: Contact,
    frame: Frame | undefined,
    now: Instant,
    out: Output[],
  ): boolean {
    if (frame === undefined || frame.type === 'err') return false
    if (ask.kind === 'hello' && frame.type === 'helloAck') {
      this.#greetings.heed(contact, frame, now, out)
    } else if (ask.kind === 'sample' && frame.type === 'sample') {
      this.#fetches.named(contact, frame, now, out)
    } else if (ask.kind === 'want' && frame.type === 'records') {
      this.#fetches.fetched(contact, ask.missing, frame, now, out)
    } else if (ask.kind === 'find' && frame.type === 'records') {
      // Only what was looked for, by us or by those we ask for, is taken out of such an answer.
      this.#offers.enclosed(frame.entries.slice(0, limits.searchPeers), contact, now, out)
    } else {
      this.#accounts.fault(contact.peer, 'answer-unexpected', now, out)
      return false
    }
    return true
  }

  // --- questions to us ----------------------------------------------------------------------------------

  #request(exchange: number, peer: PeerKey, frame: Frame, now: Instant, out: Output[]): void {
    const contact = this.#contacts.getOrMake(peer)
    const reply = this.#accounts.isShunned(peer, now)
      ? undefined
      : this.#replyTo(contact, frame, now, out)
    out.push({ type: 'reply', exchange, frame: reply })
  }

  #replyTo(contact: Contact, frame: Frame, now: Instant, out: Output[]): Frame | undefined {
    switch (frame.type) {
      case 'hello':
        return this.#greetings.answer(contact, frame, now, out)
      case 'sampleReq':
        return this.#answers.sample(contact, frame, now)
      case 'want':
        return this.#answers.records(contact, frame, now)
      case 'push':
        this.#onPush(contact, frame, now, out)
        return undefined
      case 'find':
        return this.#onFind(contact, frame, now, out)
      default: // an answer to nothing
        this.#accounts.fault(contact.peer, 'answer-unexpected', now, out)
        return undefined
    }
  }

  #onPush(contact: Contact, { entries, hops }: FrameOf<'push'>, now: Instant, out: Output[]): void {
    // Hops are counted, not believed: 0 and large numbers alike end the journey here.
    this.#offers.pushed(entries, contact, hops >= 1 ? hops : limits.pushHops, now, out)
  }

  /** What we do not know we ask a few neighbours for, and push to the asker what they find. */
  #onFind(contact: Contact, frame: FrameOf<'find'>, now: Instant, out: Output[]): Frame {
    if (!this.#answers.mayFind(contact, frame, now)) return err(ERR_BUSY, 2)
    const found = this.#answers.found(contact, frame, now)
    const names = frame.peers.length > 0 || frame.service !== '' || frame.relay
    if (found.length === 0 && frame.hops > 0 && names) {
      this.#errands.passOn(contact, frame, now, out)
    }
    return this.#answers.toRecords(contact, found, now)
  }
}
