import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered, shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { Timers } from '../kernel/timers.ts'
import { Accounts } from './accounts.ts'
import { AddressBook } from './address-book.ts'
import type { Removal, Source } from './address-book.ts'
import { Answers, ERR_BUSY, ERR_NETWORK_DIFFERENT, err } from './answers.ts'
import type { Fault } from './codec.ts'
import { newContact } from './contact.ts'
import type { Contact } from './contact.ts'
import { isAhead, seenAt, toEntry } from './entries.ts'
import type { Signed } from './envelope.ts'
import type { Scope } from './hygiene.ts'
import { limits } from './limits.ts'
import type { Entry, Frame, FrameOf } from './messages.ts'
import { News } from './news.ts'
import { OwnRecord } from './own-record.ts'
import type { Notation, PeerKey, SelfFacts } from './record.ts'
import { Verification } from './verification.ts'
import type { Job } from './verification.ts'

export type Input =
  | Tick
  | { type: 'self'; facts: SelfFacts }
  | { type: 'scope'; scope: Scope }
  /** The answer to `sign`. */
  | { type: 'signed'; seq: number; envelope: Uint8Array }
  /** A connection to a peer that speaks the protocol was opened, or the best one of a peer changed. */
  | { type: 'connected'; peer: PeerKey; limited: boolean; dialled: boolean; seenAt?: string }
  | { type: 'disconnected'; peer: PeerKey }
  /** A peer opened stream `exchange` and sent this. */
  | { type: 'request'; exchange: number; peer: PeerKey; frame: Frame }
  /** What came back on a stream that `ask` opened; undefined when nothing usable did. */
  | { type: 'answer'; exchange: number; frame: Frame | undefined }
  /** A peer sent bytes that are no frame. */
  | { type: 'garbage'; peer: PeerKey; fault: Fault }
  /** The answer to `verify`. */
  | { type: 'verified'; job: number; valid: boolean }
  | { type: 'resolve'; peer: PeerKey }
  /** What an earlier run knew. */
  | { type: 'restore'; ownSeq: number; entries: Restored[] }
  /** Say farewell; nothing is learnt or answered afterwards. */
  | { type: 'leave' }

export interface Restored {
  envelope: Uint8Array
  lastSeenAt: Instant
  linked: boolean
}

export type Output =
  | { type: 'sign'; seq: number; payload: Uint8Array }
  | { type: 'verify'; job: number; signed: Signed }
  /** Open a stream, send, and bring the one frame that answers. */
  | { type: 'ask'; exchange: number; peer: PeerKey; frame: Frame }
  /** Open a stream, send, close. */
  | { type: 'tell'; peer: PeerKey; frame: Frame }
  /** Answer a request, or close its stream when there is nothing to say. */
  | { type: 'reply'; exchange: number; frame: Frame | undefined }
  | { type: 'found'; peer: PeerKey; from: Source }
  | { type: 'changed'; peer: PeerKey }
  | { type: 'gone'; peer: PeerKey; reason: Removal }
  /** A peer says at which address it sees us. One peer's word: evidence, not a fact. */
  | { type: 'observed'; by: PeerKey; address: string }
  /** A resolve is over; whether the book now holds the peer is for the asker to see. */
  | { type: 'resolved'; peer: PeerKey }
  | { type: 'fault'; peer: PeerKey; fault: Fault }
  /** The farewell has been handed out. */
  | { type: 'left' }

export interface ExchangeOptions {
  self: PeerKey
  /** The first eight bytes, little-endian, of sha256 over the network's name. */
  networkId: bigint
  scope: Scope
  notation: Notation
  rng: Rng
}

type AskKind = 'hello' | 'sample' | 'want' | 'resolve'

interface Ask {
  kind: AskKind
  peer: PeerKey
  /** Ids still to be fetched. */
  rest: bigint[]
  target: PeerKey | undefined
}

type Alarm =
  | 'publish'
  | 'refresh'
  | 'signing'
  | 'pull'
  | 'push'
  | 'sweep'
  | `greet ${PeerKey}`
  | `ask ${number}`
  | `resolve ${PeerKey}`

/**
 * Decides whom to ask for peers, what to believe of the answers, and whom to tell. The time it is given must
 * be Unix time in milliseconds, because records carry it. See SPEC.md.
 */
export class PeerExchange implements Machine<Input, Output> {
  readonly book: AddressBook
  readonly #self: PeerKey
  readonly #ownId: bigint
  readonly #networkId: bigint
  readonly #notation: Notation
  readonly #rng: Rng
  readonly #own: OwnRecord
  readonly #accounts = new Accounts()
  readonly #contacts = new Map<PeerKey, Contact>()
  readonly #asks = new Map<number, Ask>()
  readonly #resolving = new Map<PeerKey, number>()
  readonly #news = new News()
  readonly #verification: Verification
  readonly #answers: Answers
  readonly #timers = new Timers<Alarm>()
  #joinedAt: Instant | undefined
  #pulls = 0
  #numbers = 0
  #last: Instant = 0
  #phase: 'running' | 'leaving' | 'left' = 'running'

  constructor({ self, networkId, scope, notation, rng }: ExchangeOptions) {
    this.#self = self
    this.#networkId = networkId
    this.#notation = notation
    this.#rng = rng
    this.#ownId = notation.idOf(self)
    this.#own = new OwnRecord(self, networkId, notation)
    this.book = new AddressBook(self, scope)
    this.#verification = new Verification(networkId, notation)
    const { book } = this
    const [own, ownId, accounts] = [this.#own, this.#ownId, this.#accounts]
    this.#answers = new Answers({ own, ownId, book, accounts, notation, rng })
  }

  get ownSeq(): number {
    return this.#own.seq
  }

  nextWake(): Instant | undefined {
    return this.#timers.next()
  }

  step(input: Input, now: Instant): readonly Output[] {
    const out: Output[] = []
    if (this.#phase === 'left') return out
    if (now < this.#last) this.#clockSetBack(now)
    this.#last = now
    switch (input.type) {
      case 'tick':
        for (const alarm of this.#timers.takeDue(now)) this.#wake(alarm, now, out)
        break
      case 'self':
        this.#own.facts = input.facts
        this.#publishSoon(now)
        break
      case 'scope':
        this.book.setScope(input.scope)
        break
      case 'signed':
        this.#signed(input, now, out)
        break
      case 'connected':
        this.#connected(input, now, out)
        break
      case 'disconnected':
        this.#disconnected(input.peer)
        break
      case 'request':
        this.#request(input.exchange, input.peer, input.frame, now, out)
        break
      case 'answer':
        this.#answer(input.exchange, input.frame, now, out)
        break
      case 'garbage':
        this.#fault(input.peer, input.fault, now, out)
        break
      case 'verified':
        this.#verified(input.job, input.valid, now, out)
        break
      case 'resolve':
        this.#resolve(input.peer, now, out)
        break
      case 'restore':
        this.#own.outgrow(input.ownSeq)
        for (const entry of input.entries) this.#restore(entry, now, out)
        break
      case 'leave':
        this.#leave(now, out)
        break
    }
    return out
  }

  /** Deadlines were set on a clock that has been put back since: all of them are due again now. */
  #clockSetBack(now: Instant): void {
    const alarms: Alarm[] = this.#timers.takeDue(Infinity)
    for (const alarm of alarms) this.#timers.set(alarm, now)
  }

  #wake(alarm: Alarm, now: Instant, out: Output[]): void {
    const [name, subject = ''] = alarm.split(' ')
    if (name === 'publish' || name === 'refresh' || name === 'signing') this.#publish(now, out)
    else if (name === 'pull') this.#pull(now, out)
    else if (name === 'push') this.#push(now, out)
    else if (name === 'sweep') this.#sweep(now, out)
    else if (name === 'greet') this.#greet(subject, now, out)
    else if (name === 'ask') this.#answer(Number(subject), undefined, now, out)
    else this.#resolved(subject, out)
  }

  // --- our own record -----------------------------------------------------------------------------------

  #publishSoon(now: Instant): void {
    if (this.#timers.has('publish')) return
    const { least, spread } = limits.publishDelayMs
    // The first version is waited for by every greeting.
    const delay = this.#own.envelope === undefined ? 0 : least + spread * this.#rng()
    this.#timers.set('publish', now + delay)
  }

  #publish(now: Instant, out: Output[]): void {
    if (!this.#timers.has('sweep')) this.#timers.set('sweep', now + limits.sweepMs)
    this.#timers.clear('publish')
    this.#timers.set('refresh', OwnRecord.refreshAt(now, this.#rng))
    this.#timers.set('signing', now + limits.signMs)
    out.push({ type: 'sign', ...this.#own.next(this.#phase === 'leaving', now) })
  }

  #signed(signed: { seq: number; envelope: Uint8Array }, now: Instant, out: Output[]): void {
    if (!this.#own.accept(signed)) return
    this.#timers.clear('signing')
    this.#news.add(this.#self, 1)
    if (this.#phase === 'leaving') {
      this.#sayFarewell(now, out)
      return
    }
    this.#pushSoon(now)
    for (const { peer } of this.#contacts.values()) {
      if (!this.#timers.has(`greet ${peer}`)) this.#greet(peer, now, out)
    }
  }

  #leave(now: Instant, out: Output[]): void {
    this.#phase = 'leaving'
    this.#publish(now, out)
  }

  #sayFarewell(now: Instant, out: Output[]): void {
    this.#push(now, out)
    this.#phase = 'left'
    this.#timers.takeDue(Infinity)
    out.push({ type: 'left' })
  }

  // --- contacts -----------------------------------------------------------------------------------------

  #connected(
    { peer, limited, dialled, seenAt }: Extract<Input, { type: 'connected' }>,
    now: Instant,
    out: Output[],
  ): void {
    const before = this.#contacts.get(peer)
    if (before !== undefined) {
      before.limited = limited
      return
    }
    if (this.#contacts.size >= limits.contacts) return // the connection limit of any sane node is lower
    if (this.#contacts.size === 0) this.#join(now)
    const contact = newContact(peer, limited, dialled)
    if (seenAt !== undefined)
      contact.seenAddr = this.#notation.addressBytes(seenAt) ?? contact.seenAddr
    this.#contacts.set(peer, contact)
    this.book.touch(peer, now)
    // One of both greets: the dialler at once, the other side if nothing came.
    if (dialled) this.#greet(peer, now, out)
    else this.#timers.set(`greet ${peer}`, now + limits.greetAfterMs)
  }

  #join(now: Instant): void {
    this.#joinedAt = now
    this.#pulls = 0
    this.#timers.set('pull', now + limits.firstPullsMs[0])
  }

  #disconnected(peer: PeerKey): void {
    this.#contacts.delete(peer)
    this.#timers.clear(`greet ${peer}`)
    if (this.#contacts.size === 0) this.#timers.clear('pull')
  }

  #greet(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    const envelope = this.#own.envelope
    if (contact?.greeting !== 'waiting' || this.#accounts.isShunned(peer, now)) return
    if (envelope === undefined) return // greeted as soon as the first record is signed
    contact.greeting = 'asked'
    contact.has.set(this.#self, this.#own.seq)
    const frame: Frame = {
      type: 'hello',
      v: 1,
      networkId: this.#networkId,
      envelope,
      nowS: Math.floor(now / 1000),
      caps: 0,
      seenAddr: contact.seenAddr,
    }
    this.#ask('hello', contact, frame, now, out)
  }

  #sweep(now: Instant, out: Output[]): void {
    this.#timers.set('sweep', now + limits.sweepMs)
    for (const peer of this.#contacts.keys()) this.book.touch(peer, now)
    for (const peer of this.book.expire(now)) out.push({ type: 'gone', peer, reason: 'expired' })
  }

  // --- asking -------------------------------------------------------------------------------------------

  #ask(
    kind: AskKind,
    { peer }: Contact,
    frame: Frame,
    now: Instant,
    out: Output[],
    more: { rest?: bigint[]; target?: PeerKey } = {},
  ): boolean {
    if (this.#asks.size >= limits.asks) return false
    const exchange = ++this.#numbers
    this.#asks.set(exchange, { kind, peer, rest: more.rest ?? [], target: more.target })
    // The driver has the same deadline; ours only counts if it forgets.
    this.#timers.set(`ask ${exchange}`, now + limits.answerMs * 2)
    out.push({ type: 'ask', exchange, peer, frame })
    return true
  }

  #pull(now: Instant, out: Output[]): void {
    const contact = this.#whomToPull(now)
    const sinceJoin = now - (this.#joinedAt ?? now)
    const steady = sinceJoin < limits.eagerForMs ? limits.eagerPullMs : limits.calmPullMs
    const next = limits.firstPullsMs[++this.#pulls]
    const wait = next === undefined ? jittered(steady, 0.25, this.#rng) : next - sinceJoin
    this.#timers.set('pull', now + Math.max(wait, 0))
    if (contact === undefined) return
    contact.pulledAt = now
    const max = contact.limited ? limits.sampleIdsOverRelay : limits.sampleIds
    this.#ask(
      'sample',
      contact,
      { type: 'sampleReq', max, setHash: this.#answers.setHash(now) },
      now,
      out,
    )
  }

  /** Somebody never pulled from, else anybody; over limited connections only if there are no others. */
  #whomToPull(now: Instant): Contact | undefined {
    const usable = this.#audience(now).filter(({ greeting }) => greeting === 'done')
    const free = usable.filter(({ limited }) => !limited)
    const pool = free.length > 0 ? free : usable
    return pool.find(({ pulledAt }) => pulledAt === undefined) ?? pool[0]
  }

  /** Contacts in good standing, in random order. */
  #audience(now: Instant): Contact[] {
    const standing = [...this.#contacts.values()].filter(
      ({ peer }) => !this.#accounts.isShunned(peer, now),
    )
    return shuffle(standing, this.#rng)
  }

  #want(contact: Contact, ids: bigint[], now: Instant, out: Output[]): void {
    if (ids.length === 0) return
    const rest = ids.slice(limits.wantIds)
    this.#ask('want', contact, { type: 'want', ids: ids.slice(0, limits.wantIds) }, now, out, {
      rest,
    })
  }

  #answer(exchange: number, frame: Frame | undefined, now: Instant, out: Output[]): void {
    const ask = this.#asks.get(exchange)
    if (ask === undefined) return
    this.#asks.delete(exchange)
    this.#timers.clear(`ask ${exchange}`)
    const contact = this.#contacts.get(ask.peer)
    if (contact !== undefined && ask.kind === 'hello') this.#greetedOrNot(contact, frame, now)
    if (contact !== undefined) this.#heed(ask, contact, frame, now, out)
    if (ask.target !== undefined) this.#oneFewer(ask.target, out)
  }

  /** A greeting without an answer is repeated, for as long as the connection lasts. */
  #greetedOrNot(contact: Contact, frame: Frame | undefined, now: Instant): void {
    if (contact.greeting !== 'asked') return
    if (frame?.type === 'helloAck') contact.greeting = 'done'
    else if (frame?.type !== 'err' || frame.code !== ERR_NETWORK_DIFFERENT) {
      contact.greeting = 'waiting'
      this.#timers.set(`greet ${contact.peer}`, now + limits.greetAgainMs)
    }
  }

  #heed(ask: Ask, contact: Contact, frame: Frame | undefined, now: Instant, out: Output[]): void {
    if (frame === undefined || frame.type === 'err') return
    if (ask.kind === 'hello' && frame.type === 'helloAck') this.#greeted(contact, frame, now, out)
    else if (ask.kind === 'sample' && frame.type === 'sample') {
      this.#want(contact, this.#missing(frame), now, out)
    } else if (ask.kind === 'want' && frame.type === 'records') {
      this.#fetched(ask, contact, frame, now, out)
    } else if (ask.kind === 'resolve' && frame.type === 'records') {
      this.#offerAll(frame.entries.slice(0, limits.resolvePeers), contact, undefined, now, out)
    } else this.#fault(contact.peer, 'answer-unexpected', now, out)
  }

  #greeted(contact: Contact, frame: FrameOf<'helloAck'>, now: Instant, out: Output[]): void {
    this.#observed(contact, frame, out)
    this.#offerOwn(frame.envelope, contact, now, out)
    this.#offerAll(frame.entries, contact, undefined, now, out)
  }

  #observed({ peer }: Contact, { seenAddr }: { seenAddr: Uint8Array }, out: Output[]): void {
    const address = seenAddr.length === 0 ? undefined : this.#notation.addressText(seenAddr)
    if (address !== undefined) out.push({ type: 'observed', by: peer, address })
  }

  #missing({ ids, seqLo, same }: FrameOf<'sample'>): bigint[] {
    if (same) return []
    const missing = new Set<bigint>()
    for (const [i, id] of ids.entries()) {
      const lo = seqLo[i] ?? 0
      const known = id === this.#ownId ? this.#own.seq : this.book.byId(id)?.record.seq
      // Our own id can be ahead: an earlier run without its book, under a clock that was.
      const isNews =
        known === undefined ? !this.#verification.wasRefused(id, lo) : isAhead(lo, known)
      if (isNews) missing.add(id)
    }
    return [...missing]
  }

  /** What did not fit into the answer is asked for again, as long as every answer brings something. */
  #fetched(
    ask: Ask,
    contact: Contact,
    { entries, unknown }: FrameOf<'records'>,
    now: Instant,
    out: Output[],
  ): void {
    const got = this.#offerAll(entries, contact, undefined, now, out)
    if (got.size === 0) return
    const settled = new Set([...got, ...unknown])
    this.#want(
      contact,
      ask.rest.filter((id) => !settled.has(id)),
      now,
      out,
    )
  }

  #resolve(peer: PeerKey, now: Instant, out: Output[]): void {
    const bytes = this.#notation.peerBytes(peer)
    if (this.#resolving.has(peer)) return
    if (bytes === undefined || this.#resolving.size >= limits.resolves) {
      out.push({ type: 'resolved', peer })
      return
    }
    this.#resolving.set(peer, 0)
    this.#timers.set(`resolve ${peer}`, now + limits.answerMs)
    for (const contact of this.#audience(now).slice(0, limits.resolveFanout)) {
      const frame: Frame = { type: 'resolve', peers: [bytes] }
      const asked = this.#ask('resolve', contact, frame, now, out, { target: peer })
      if (asked) this.#resolving.set(peer, (this.#resolving.get(peer) ?? 0) + 1)
    }
    if (this.#resolving.get(peer) === 0) this.#resolved(peer, out)
  }

  /** Another one asked has answered; its record, if it had one, is still being verified. */
  #oneFewer(peer: PeerKey, out: Output[]): void {
    const left = (this.#resolving.get(peer) ?? 1) - 1
    if (left > 0 || this.#verification.isUnderWay(peer)) this.#resolving.set(peer, left)
    else this.#resolved(peer, out)
  }

  #resolved(peer: PeerKey, out: Output[]): void {
    this.#timers.clear(`resolve ${peer}`)
    if (this.#resolving.delete(peer)) out.push({ type: 'resolved', peer })
  }

  // --- answering ----------------------------------------------------------------------------------------

  #request(exchange: number, peer: PeerKey, frame: Frame, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer) ?? newContact(peer, true, false)
    const reply = this.#accounts.isShunned(peer, now)
      ? undefined
      : this.#replyTo(contact, frame, now, out)
    out.push({ type: 'reply', exchange, frame: reply })
  }

  #replyTo(contact: Contact, frame: Frame, now: Instant, out: Output[]): Frame | undefined {
    switch (frame.type) {
      case 'hello':
        return this.#onHello(contact, frame, now, out)
      case 'sampleReq':
        return this.#answers.sample(contact, frame, now)
      case 'want':
        return this.#answers.records(contact, frame, now)
      case 'push':
        this.#onPush(contact, frame, now, out)
        return undefined
      case 'resolve':
        return this.#answers.resolved(contact, frame, now)
      default: // an answer to nothing
        this.#fault(contact.peer, 'answer-unexpected', now, out)
        return undefined
    }
  }

  #onHello(contact: Contact, frame: FrameOf<'hello'>, now: Instant, out: Output[]): Frame {
    if (frame.networkId !== this.#networkId) return err(ERR_NETWORK_DIFFERENT, 3_600)
    if (!this.#accounts.admits(contact.peer, 'hello', 1, now)) return err(ERR_BUSY, 10)
    this.#observed(contact, frame, out)
    this.#offerOwn(frame.envelope, contact, now, out)
    if (this.#own.envelope !== undefined) {
      contact.greeting = 'done'
      contact.has.set(this.#self, this.#own.seq)
      this.#timers.clear(`greet ${contact.peer}`)
    }
    return this.#answers.greeting(contact, now)
  }

  #onPush(contact: Contact, { entries, hops }: FrameOf<'push'>, now: Instant, out: Output[]): void {
    if (!this.#accounts.admits(contact.peer, 'push', entries.length, now)) return
    // Hops are counted, not believed: 0 and large numbers alike end the journey here.
    this.#offerAll(entries, contact, hops >= 1 ? hops : limits.pushHops, now, out)
  }

  // --- believing ----------------------------------------------------------------------------------------

  /** The record a greeting carries; it must be about the peer that sent it. */
  #offerOwn(envelope: Uint8Array, contact: Contact, now: Instant, out: Output[]): void {
    if (envelope.length === 0) return // not signed yet; it will be pushed
    const entry = { envelope, observedAgeS: 0, firstHand: true }
    const subject = this.#offer(entry, contact, 1, now, out)
    if (subject === undefined || subject === contact.peer) return
    this.#fault(contact.peer, 'signer-wrong', now, out)
  }

  /** Considers every entry; returns the ids of those that could be read. */
  #offerAll(
    entries: Entry[],
    contact: Contact,
    hops: number | undefined,
    now: Instant,
    out: Output[],
  ): Set<bigint> {
    const read = new Set<bigint>()
    for (const entry of entries) {
      const subject = this.#offer(entry, contact, hops, now, out)
      if (subject === undefined) break // one bad entry makes the rest not worth reading
      read.add(this.#notation.idOf(subject))
    }
    return read
  }

  /** Reads an entry and has its signature checked if it is news. Returns whom it is about. */
  #offer(
    entry: Entry,
    contact: Contact,
    hops: number | undefined,
    now: Instant,
    out: Output[],
  ): PeerKey | undefined {
    const read = this.#verification.read(entry.envelope)
    if (!read.ok) {
      this.#fault(contact.peer, read.fault, now, out)
      return undefined
    }
    const { record } = read.value
    const seenAtBest = record.peer === contact.peer ? now : seenAt(entry, now)
    if (record.seq > (contact.has.get(record.peer) ?? 0)) contact.has.set(record.peer, record.seq)
    this.#submit(
      {
        ...read.value,
        envelope: entry.envelope,
        carrier: contact.peer,
        hops,
        seenAt: seenAtBest,
        linked: false,
        source: sourceOf(record.peer, contact),
      },
      now,
      out,
    )
    return record.peer
  }

  /** What is not news is dropped before it costs a signature check. */
  #submit(job: Job, now: Instant, out: Output[]): void {
    const { peer, seq } = job.record
    const isNews = peer === this.#self ? seq > this.#own.seq : this.book.isNews(peer, seq, now)
    const number = isNews ? this.#verification.begin(job, now) : undefined
    if (number !== undefined) out.push({ type: 'verify', job: number, signed: job.signed })
  }

  #verified(number: number, valid: boolean, now: Instant, out: Output[]): void {
    const { job, fault } = this.#verification.end(number, valid, now) ?? {}
    if (job === undefined) return
    const { carrier, linked } = job
    const { peer } = job.record
    if (fault === undefined) this.#believe(job, now, out)
    else if (fault !== 'expired' && carrier !== undefined) this.#fault(carrier, fault, now, out)
    // From our own disk: an address worth trying, though told to nobody.
    else if (fault === 'expired' && linked) this.#learn(job, now, out)
    if (fault === undefined || this.#resolving.get(peer) === 0) this.#resolved(peer, out)
  }

  #believe(job: Job, now: Instant, out: Output[]): void {
    const { record, hops } = job
    if (record.peer === this.#self) {
      this.#own.outgrow(record.seq)
      this.#publishSoon(now)
      return
    }
    if (!this.book.isNews(record.peer, record.seq, now)) return
    if (record.leaving) {
      this.#forward(job, now, out)
      if (this.book.bury(record, now)) out.push({ type: 'gone', peer: record.peer, reason: 'left' })
      return
    }
    this.#learn(job, now, out)
    const entry = this.book.get(record.peer)
    if (hops === undefined || hops >= limits.pushHops || !entry?.forwarding.take(1, now)) return
    this.#news.add(record.peer, hops + 1)
    this.#pushSoon(now)
  }

  #learn({ record, envelope, source, seenAt, linked }: Job, now: Instant, out: Output[]): void {
    const isNew = this.book.get(record.peer) === undefined
    const id = this.#notation.idOf(record.peer)
    const evicted = this.book.put({ record, envelope, id, source, lastSeenAt: seenAt }, now)
    if (linked || this.#contacts.has(record.peer)) this.book.touch(record.peer, seenAt)
    if (evicted !== undefined) out.push({ type: 'gone', peer: evicted, reason: 'evicted' })
    if (isNew) out.push({ type: 'found', peer: record.peer, from: source })
    else out.push({ type: 'changed', peer: record.peer })
  }

  #restore(entry: Restored, now: Instant, out: Output[]): void {
    const read = this.#verification.read(entry.envelope)
    if (!read.ok) return
    const { envelope, linked, lastSeenAt } = entry
    const job: Job = {
      ...read.value,
      envelope,
      linked,
      carrier: undefined,
      source: 'book',
      hops: undefined,
      seenAt: Math.min(lastSeenAt, now),
    }
    this.#submit(job, now, out)
  }

  #fault(peer: PeerKey, fault: Fault, now: Instant, out: Output[]): void {
    this.#accounts.fault(peer, now)
    out.push({ type: 'fault', peer, fault })
  }

  // --- telling ------------------------------------------------------------------------------------------

  #pushSoon(now: Instant): void {
    if (!this.#timers.has('push')) this.#timers.set('push', now + limits.pushDelayMs)
  }

  /** Departures do not wait: their record leaves the book in this very step. */
  #forward({ record, envelope, hops }: Job, now: Instant, out: Output[]): void {
    if (hops === undefined || hops >= limits.pushHops) return
    const entry = { envelope, observedAgeS: 0, firstHand: false }
    for (const { peer, has } of this.#audience(now).slice(0, limits.forwardFanout)) {
      if ((has.get(record.peer) ?? 0) >= record.seq || peer === record.peer) continue
      has.set(record.peer, record.seq)
      out.push({ type: 'tell', peer, frame: { type: 'push', entries: [entry], hops: hops + 1 } })
    }
  }

  #push(now: Instant, out: Output[]): void {
    const most = this.#news.has(this.#self) ? limits.ownFanout : limits.forwardFanout
    for (const contact of this.#audience(now).slice(0, most)) {
      const frames = this.#news.framesFor(contact, (peer) => this.#version(peer, now))
      for (const frame of frames) out.push({ type: 'tell', peer: contact.peer, frame })
    }
    this.#news.clear()
  }

  #version(peer: PeerKey, now: Instant): { seq: number; entry: Entry } | undefined {
    const [own] = this.#answers.ownEntries()
    if (peer === this.#self) return own && { seq: this.#own.seq, entry: own }
    const known = this.book.get(peer)
    return known && { seq: known.record.seq, entry: toEntry(known, now) }
  }
}

function sourceOf(subject: PeerKey, contact: Contact): Source {
  if (subject !== contact.peer) return contact.peer
  return contact.dialled ? 'config' : 'inbound'
}
