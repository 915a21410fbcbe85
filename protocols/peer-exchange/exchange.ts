import { Alarms } from '../kernel/alarms.ts'
import type { Due } from '../kernel/alarms.ts'
import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered, shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import { Accounts } from './accounts.ts'
import { AddressBook, isFresh } from './address-book.ts'
import type { BookEntry, Removal, Source } from './address-book.ts'
import { Answers, ERR_BUSY, ERR_NETWORK_DIFFERENT, err } from './answers.ts'
import type { Fault } from './codec.ts'
import { newContact } from './contact.ts'
import type { Contact } from './contact.ts'
import { fitting, seenAt, toEntry } from './entries.ts'
import type { Signed } from './envelope.ts'
import { Errands } from './errands.ts'
import { Finds, findFrame, peerKeyOf, searchKeyOf } from './finds.ts'
import type { Wanted } from './finds.ts'
import { groupOf } from './groups.ts'
import type { Scope } from './hygiene.ts'
import { isAhead } from './ids.ts'
import { limits } from './limits.ts'
import type { Entry, Frame, FrameOf } from './messages.ts'
import { framesFor, News } from './news.ts'
import type { Version } from './news.ts'
import { OwnRecord } from './own-record.ts'
import { readEnvelope } from './read-envelope.ts'
import type { ReadEnvelope } from './read-envelope.ts'
import type { Notation, PeerKey, SelfFacts } from './record.ts'
import { Sampler } from './sampler.ts'
import type { Ranking } from './sampler.ts'
import { Sent } from './sent.ts'
import type { Restored } from './snapshot.ts'
import { Verification } from './verification.ts'
import type { Job } from './verification.ts'

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
  /** Both sides have each other's record. */
  | { type: 'greeted'; peer: PeerKey }
  /** A pull is over, whatever it brought. */
  | { type: 'pulled'; peer: PeerKey }
  /** A peer says at which address it sees us. One peer's word: evidence, not a fact. */
  | { type: 'observed'; by: PeerKey; address: string }
  /** A resolve is over; whether the book now holds the peer is for the asker to see. */
  | { type: 'resolved'; peer: PeerKey }
  | { type: 'searched'; search: number; peers: PeerKey[] }
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
  /** Numbers for streams, shared with whoever else opens some. */
  nextExchange: () => number
  /** How records are read; a simulator that passes the same bytes to thousands reads them once. */
  read?: ReadEnvelope
}

type AskKind = 'hello' | 'sample' | 'want' | 'find'

interface Ask {
  kind: AskKind
  peer: PeerKey
  /** Ids still to be fetched, those asked for now included. */
  rest: number[]
  /** Of them, those that were named for their groups. */
  forGroups: ReadonlySet<number>
  /** The question it belongs to, or who asked us it. */
  about: string | undefined
}

type Alarm =
  | 'publish'
  | 'refresh'
  | 'signing'
  | 'pull'
  | 'push'
  | 'sweep'
  | 'renew'
  /** About a peer, a question of ours and a search. */
  | 'greet'
  | 'ask'
  | 'find'

/**
 * Decides whom to ask for peers, what to believe of the answers, and whom to tell. The time it is given must
 * be Unix time in milliseconds, because records carry it. See SPEC.md.
 */
export class PeerExchange implements Machine<Input, Output> {
  readonly book: AddressBook
  readonly sampler: Sampler<BookEntry>
  readonly #self: PeerKey
  readonly #ownId: number
  readonly #networkId: bigint
  readonly #notation: Notation
  readonly #rng: Rng
  readonly #nextExchange: () => number
  readonly #own: OwnRecord
  readonly #accounts = new Accounts()
  readonly #contacts = new Map<PeerKey, Contact>()
  /** What contacts of the past have had of us. */
  readonly #remembered = new BoundedMap<PeerKey, Sent>(limits.remembered)
  readonly #asks = new Map<number, Ask>()
  readonly #finds = new Finds()
  readonly #errands = new Errands()
  readonly #news = new News()
  readonly #verification: Verification
  readonly #answers: Answers
  readonly #timers = new Alarms<Alarm>()
  #strangers: TokenBucket | undefined
  #joinedAt: Instant | undefined
  #pulls = 0
  #last: Instant = 0
  #phase: 'running' | 'leaving' | 'left' = 'running'

  constructor({ self, networkId, scope, notation, rng, nextExchange, read }: ExchangeOptions) {
    this.#self = self
    this.#networkId = networkId
    this.#notation = notation
    this.#rng = rng
    this.#nextExchange = nextExchange
    this.#ownId = notation.idOf(self)
    this.#own = new OwnRecord(self, networkId, notation)
    this.book = new AddressBook(self, scope)
    this.sampler = new Sampler(rng, this.book.mortality)
    this.#verification = new Verification(networkId, notation, read ?? readEnvelope)
    const { book, sampler } = this
    const [own, ownId, accounts] = [this.#own, this.#ownId, this.#accounts]
    this.#answers = new Answers({ own, ownId, book, sampler, accounts, notation, rng })
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
        this.#publishSoon(now)
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
        this.#missed(input.peer, now, out)
        break
      case 'pull':
        this.#pull(input.peer, now, out)
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
        this.#fault(input.peer, input.fault, now, out)
        break
      case 'verified':
        this.#verified(input.job, input.valid, now, out)
        break
      case 'resolve':
        this.#resolve(input.peer, now, out)
        break
      case 'search':
        this.#search(input, now, out)
        break
      case 'restore':
        this.#own.outgrow(input.ownSeq)
        for (const entry of input.entries) this.#restore(entry, now, out)
        break
      case 'leave':
        this.#leave(now, out)
        break
    }
  }

  /** Deadlines were set on a clock that has been put back since: all of them are due again now. */
  #clockSetBack(now: Instant): void {
    for (const { kind, subject } of this.#timers.takeDue(Infinity)) {
      this.#timers.set(kind, now, subject)
    }
  }

  #wake({ kind, subject }: Due<Alarm>, now: Instant, out: Output[]): void {
    if (kind === 'publish' || kind === 'refresh' || kind === 'signing') this.#publish(now, out)
    else if (kind === 'pull') this.#pullInTurn(now, out)
    else if (kind === 'push') this.#push(now, out)
    else if (kind === 'sweep') this.#sweep(now, out)
    else if (kind === 'renew') this.#renew(now)
    else if (kind === 'greet') this.#greet(String(subject), now, out)
    else if (kind === 'ask') this.#answer(Number(subject), undefined, now, out)
    else this.#endFind(String(subject), out)
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
    if (!this.#timers.has('sweep')) {
      this.#timers.set('sweep', now + limits.sweepMs)
      this.#timers.set('renew', now + jittered(limits.slotRenewalMs, 0.5, this.#rng))
    }
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
      if (!this.#timers.has('greet', peer)) this.#greet(peer, now, out)
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

  #linked(
    { peer, limited, dialled, address }: Extract<Input, { type: 'linked' }>,
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
    const contact = newContact(peer, { limited, dialled }, this.#sentTo(peer))
    contact.seenAddr = (address && this.#notation.addressBytes(address)) || contact.seenAddr
    this.#contacts.set(peer, contact)
    this.#meet(contact, now, out)
    // One of both greets: the dialler at once, the other side if nothing came.
    if (dialled) this.#greet(peer, now, out)
    else this.#timers.set('greet', now + limits.greetAfterMs, peer)
  }

  #sentTo(peer: PeerKey): Sent {
    const sent = this.#remembered.get(peer) ?? new Sent()
    this.#remembered.set(peer, sent)
    return sent
  }

  /** We deal with the peer itself; only a dial of our own proves that it can be reached. */
  #meet({ peer, dialled, greeting }: Contact, now: Instant, out: Output[]): void {
    const isReached = dialled && greeting === 'done'
    const wasMissed = (this.book.get(peer)?.misses ?? 0) > 0
    const evicted = isReached ? this.book.reached(peer, now) : this.book.met(peer, now)
    if (wasMissed) this.#enter(peer)
    if (evicted !== undefined) this.#lose(evicted, 'evicted', now, out)
  }

  /** One dial in vain costs the places in the sample, unless it is our own network that does not work; more cost the rest. */
  #missed(peer: PeerKey, now: Instant, out: Output[]): void {
    if (this.book.missed(peer, now)) this.#lose(peer, 'unreachable', now, out)
    else if (this.#contacts.size > 0) this.sampler.drop(peer, this.#others(now))
  }

  #join(now: Instant): void {
    this.#joinedAt = now
    this.#pulls = 0
    this.#timers.set('pull', now + limits.firstPullsMs[0])
  }

  #unlinked(peer: PeerKey): void {
    this.#contacts.delete(peer)
    this.#timers.clear('greet', peer)
    if (this.#contacts.size === 0) this.#timers.clear('pull')
  }

  #neighbour(input: Extract<Input, { type: 'neighbour' | 'neighbour-lost' }>): void {
    const contact = this.#contacts.get(input.peer)
    if (contact !== undefined) {
      contact.neighbour = input.type === 'neighbour' ? input.role : undefined
    }
  }

  #greet(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    const envelope = this.#own.envelope
    if (contact?.greeting !== 'waiting' || this.#accounts.isShunned(peer, now)) return
    if (envelope === undefined) return // greeted as soon as the first record is signed
    const frame: Frame = {
      type: 'hello',
      v: 1,
      networkId: this.#networkId,
      envelope,
      nowS: Math.floor(now / 1000),
      caps: 0,
      seenAddr: contact.seenAddr,
    }
    if (!this.#ask('hello', contact, frame, now, out)) {
      this.#timers.set('greet', now + limits.greetAgainMs, peer)
      return
    }
    contact.greeting = 'asked'
    contact.sent.add(this.#ownId, this.#own.seq)
  }

  #sweep(now: Instant, out: Output[]): void {
    this.#timers.set('sweep', now + limits.sweepMs)
    for (const contact of this.#contacts.values()) this.#meet(contact, now, out)
    for (const peer of this.book.expire(now)) this.#lose(peer, 'expired', now, out)
  }

  #renew(now: Instant): void {
    this.#timers.set('renew', now + jittered(limits.slotRenewalMs, 0.5, this.#rng))
    this.sampler.renew(this.#others(now))
  }

  // --- asking -------------------------------------------------------------------------------------------

  #ask(
    kind: AskKind,
    { peer }: Contact,
    frame: Frame,
    now: Instant,
    out: Output[],
    more: { wanted?: Missing; about?: string } = {},
  ): boolean {
    if (this.#asks.size >= limits.asks) return false
    const exchange = this.#nextExchange()
    this.#asks.set(exchange, { kind, peer, about: more.about, ...(more.wanted ?? NOTHING) })
    // The driver has the same deadline; ours only counts if it forgets.
    this.#timers.set('ask', now + limits.answerMs * 2, exchange)
    out.push({ type: 'ask', exchange, peer, frame })
    return true
  }

  #pullInTurn(now: Instant, out: Output[]): void {
    const sinceJoin = now - (this.#joinedAt ?? now)
    const eager = sinceJoin < limits.eagerForMs
    const next = limits.firstPullsMs[++this.#pulls]
    const steady = jittered(eager ? limits.eagerPullMs : limits.calmPullMs, 0.25, this.#rng)
    this.#timers.set('pull', now + (next === undefined ? steady : Math.max(next - sinceJoin, 0)))
    const contact = this.#whomToPull(eager, now)
    if (contact !== undefined) this.#pullFrom(contact, now, out)
  }

  #pull(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    const ready = contact?.greeting === 'done' && !this.#accounts.isShunned(peer, now)
    if (!ready || !this.#pullFrom(contact, now, out)) out.push({ type: 'pulled', peer })
  }

  #pullFrom(contact: Contact, now: Instant, out: Output[]): boolean {
    contact.pulls++
    const max = contact.limited ? limits.sampleIdsOverRelay : limits.sampleIds
    const frame: Frame = { type: 'sampleReq', max, setHash: this.#answers.setHash() }
    return this.#ask('sample', contact, frame, now, out)
  }

  /**
   * Of those with a connection that is not limited, if any: while joining, whoever was pulled from least; afterwards a
   * neighbour of our own choosing, since those who chose us may have done so to be asked.
   */
  #whomToPull(eager: boolean, now: Instant): Contact | undefined {
    const usable = this.#audience(now).filter(({ greeting }) => greeting === 'done')
    const free = usable.filter(({ limited }) => !limited)
    const pool = free.length > 0 ? free : usable
    const chosen = pool.find(({ neighbour }) => neighbour === 'chosen')
    if (!eager && chosen !== undefined) return chosen
    return pool.reduce<Contact | undefined>(
      (least, one) => (least === undefined || one.pulls < least.pulls ? one : least),
      undefined,
    )
  }

  /** Contacts in good standing, in random order. */
  #audience(now: Instant): Contact[] {
    const standing: Contact[] = []
    for (const contact of this.#contacts.values()) {
      if (!this.#accounts.isShunned(contact.peer, now)) standing.push(contact)
    }
    return shuffle(standing, this.#rng)
  }

  #want(contact: Contact, wanted: Missing, now: Instant, out: Output[]): void {
    const { rest } = wanted
    const frame: Frame = { type: 'want', ids: rest.slice(0, limits.wantIds) }
    if (rest.length > 0 && this.#ask('want', contact, frame, now, out, { wanted })) return
    out.push({ type: 'pulled', peer: contact.peer })
  }

  #answer(exchange: number, frame: Frame | undefined, now: Instant, out: Output[]): void {
    const ask = this.#asks.get(exchange)
    if (ask === undefined) return
    this.#asks.delete(exchange)
    this.#timers.clear('ask', exchange)
    const contact = this.#contacts.get(ask.peer)
    if (contact !== undefined && ask.kind === 'hello') this.#greetedOrNot(contact, frame, now, out)
    const heeded = contact !== undefined && this.#heed(ask, contact, frame, now, out)
    const pulling = ask.kind === 'sample' || ask.kind === 'want'
    if (pulling && !heeded) out.push({ type: 'pulled', peer: ask.peer })
    if (ask.kind === 'find' && ask.about !== undefined) this.#oneFewer(ask.about, out)
  }

  /** A greeting without an answer is repeated, for as long as the connection lasts. */
  #greetedOrNot(contact: Contact, frame: Frame | undefined, now: Instant, out: Output[]): void {
    if (contact.greeting !== 'asked') return
    if (frame?.type === 'helloAck') this.#greeted(contact, now, out)
    else if (frame?.type !== 'err' || frame.code !== ERR_NETWORK_DIFFERENT) {
      contact.greeting = 'waiting'
      this.#timers.set('greet', now + limits.greetAgainMs, contact.peer)
    }
  }

  #greeted(contact: Contact, now: Instant, out: Output[]): void {
    contact.greeting = 'done'
    this.#timers.clear('greet', contact.peer)
    this.#meet(contact, now, out)
    out.push({ type: 'greeted', peer: contact.peer })
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
      this.#observed(contact, frame, out)
      this.#offerOwn(frame.envelope, contact, now, out)
      this.#offerUnasked(frame.entries, contact, undefined, now, out)
    } else if (ask.kind === 'sample' && frame.type === 'sample') {
      this.#want(contact, this.#missing(contact, frame, now), now, out)
    } else if (ask.kind === 'want' && frame.type === 'records') {
      this.#fetched(ask, contact, frame, now, out)
    } else if (ask.kind === 'find' && frame.type === 'records') {
      // Only what was looked for, by us or by those we ask for, is taken out of such an answer.
      this.#offerUnasked(frame.entries.slice(0, limits.searchPeers), contact, undefined, now, out)
    } else {
      this.#fault(contact.peer, 'answer-unexpected', now, out)
      return false
    }
    return true
  }

  #observed({ peer }: Contact, { seenAddr }: { seenAddr: Uint8Array }, out: Output[]): void {
    const address = seenAddr.length === 0 ? undefined : this.#notation.addressText(seenAddr)
    if (address !== undefined) out.push({ type: 'observed', by: peer, address })
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
      const entry = this.book.byId(id)
      const known = id === this.#ownId ? this.#own.seq : entry?.record.seq
      const group = groups[i] || undefined
      if (known !== undefined) {
        // Our own id can be ahead: an earlier run without its book, under a clock that was.
        if (isAhead(lo, known)) missing.add(id)
        if (group === undefined && entry?.namedFor === 'group') this.#admitToAll(entry, peer, now)
      } else if (this.#verification.wasRefused(id, lo)) continue
      else if (this.#hasPlaceFor(id, group, peer, now)) {
        missing.add(id)
        if (group !== undefined) forGroups.add(id)
      }
    }
    return { rest: [...missing], forGroups }
  }

  /** One that was fetched for its group is named as one of all. */
  #admitToAll(entry: BookEntry, by: PeerKey, now: Instant): void {
    if (!this.#hasPlaceFor(entry.id, undefined, by, now)) return
    entry.namedFor = 'id'
    this.#enter(entry.peer)
  }

  /**
   * Whether a stranger that somebody names is wanted. Of a small overlay a node wants to know everybody, of a large one whom its
   * sampler picks. How many names of one peer are looked at is bounded, or liars would fill the sample by naming more than others.
   */
  #hasPlaceFor(id: number, group: number | undefined, by: PeerKey, now: Instant): boolean {
    if (!this.#accounts.heeds(by, now)) return false
    const isYoung = now - (this.#joinedAt ?? now) < limits.youngMs
    if (group !== undefined && !isYoung) return false
    return this.#isSmall || this.sampler.wants(id, now, group)
  }

  /** What did not fit into the answer is asked for again, as long as every answer brings something. */
  #fetched(
    ask: Ask,
    contact: Contact,
    { entries, unknown }: FrameOf<'records'>,
    now: Instant,
    out: Output[],
  ): void {
    const { forGroups } = ask
    const asked = new Set(ask.rest)
    const got = this.#offerAll(entries, contact, { asked, forGroups }, now, out)
    const settled = new Set([...got, ...unknown])
    const rest = ask.rest.filter((id) => !settled.has(id))
    const brought = entries.length > 0 && rest.length < ask.rest.length
    this.#want(contact, brought ? { rest, forGroups } : NOTHING, now, out)
  }

  // --- looking for peers --------------------------------------------------------------------------------

  #resolve(peer: PeerKey, now: Instant, out: Output[]): void {
    const bytes = this.#notation.peerBytes(peer)
    if (this.#finds.isLookedFor(peer)) return
    if (bytes === undefined || this.#finds.isFull) out.push({ type: 'resolved', peer })
    else this.#find(peerKeyOf(peer), { peer }, [bytes], now, out)
  }

  /** What we know ourselves is enough if it is some; else others are asked. */
  #search(
    { search, service = '', relay = false }: Extract<Input, { type: 'search' }>,
    now: Instant,
    out: Output[],
  ): void {
    const wanted: Wanted = { search, service, relay, found: new Set() }
    const key = searchKeyOf(search)
    if (this.#finds.isFull || this.#finds.get(key) !== undefined) {
      out.push({ type: 'searched', search, peers: [] })
      return
    }
    this.#finds.begin(key, wanted, false)
    for (const entry of this.book.fresh(now)) this.#finds.note(entry)
    if (wanted.found.size >= limits.alternatives) this.#endFind(key, out)
    else this.#find(key, wanted, [], now, out)
  }

  #find(key: string, wanted: Wanted, peer: Uint8Array[], now: Instant, out: Output[]): void {
    // Of a small overlay those we are linked to know everybody.
    const hops = this.#isSmall ? 0 : limits.findHops
    const question = this.#finds.begin(key, wanted, hops > 0)
    this.#timers.set('find', now + limits.searchMs, key)
    const frame = findFrame(wanted, peer, hops)
    for (const contact of this.#audience(now).slice(0, limits.findFanout)) {
      if (this.#ask('find', contact, frame, now, out, { about: key })) question.left++
    }
    if (question.left === 0) this.#endFind(key, out)
  }

  /** Another one asked has answered; what it brought may still have to be verified. */
  #oneFewer(key: string, out: Output[]): void {
    const question = this.#finds.get(key)
    if (question === undefined) return
    question.left--
    this.#endIfAnswered(key, out)
  }

  #endIfAnswered(key: string, out: Output[]): void {
    const question = this.#finds.get(key)
    if (question === undefined || question.left > 0 || question.passedOn) return
    const { wanted } = question
    const waits =
      'peer' in wanted ? this.#verification.isUnderWay(wanted.peer) : this.#verification.isBusy
    if (!waits) this.#endFind(key, out)
  }

  #endFind(key: string, out: Output[]): void {
    this.#timers.clear('find', key)
    const wanted = this.#finds.end(key)?.wanted
    if (wanted === undefined) return
    if ('peer' in wanted) out.push({ type: 'resolved', peer: wanted.peer })
    else out.push({ type: 'searched', search: wanted.search, peers: [...wanted.found] })
  }

  // --- answering ----------------------------------------------------------------------------------------

  #request(exchange: number, peer: PeerKey, frame: Frame, now: Instant, out: Output[]): void {
    const contact =
      this.#contacts.get(peer) ??
      newContact(peer, { limited: true, dialled: false }, this.#sentTo(peer))
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
      case 'find':
        return this.#onFind(contact, frame, now, out)
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
    const answer = this.#answers.greeting(contact, now)
    if (this.#own.envelope !== undefined) {
      contact.sent.add(this.#ownId, this.#own.seq)
      this.#greeted(contact, now, out)
    }
    return answer
  }

  #onPush(contact: Contact, { entries, hops }: FrameOf<'push'>, now: Instant, out: Output[]): void {
    if (!this.#accounts.admits(contact.peer, 'push', entries.length, now)) return
    // Hops are counted, not believed: 0 and large numbers alike end the journey here.
    this.#offerUnasked(entries, contact, hops >= 1 ? hops : limits.pushHops, now, out)
  }

  /** What we do not know we ask a few neighbours for, and push to the asker what they find. */
  #onFind(contact: Contact, frame: FrameOf<'find'>, now: Instant, out: Output[]): Frame {
    if (!this.#answers.mayFind(contact, frame, now)) return err(ERR_BUSY, 2)
    const found = this.#answers.found(contact, frame, now)
    const names = frame.peers.length > 0 || frame.service !== '' || frame.relay
    if (found.length === 0 && frame.hops > 0 && names) this.#passOn(contact, frame, now, out)
    return this.#answers.toRecords(contact, found, now)
  }

  #passOn({ peer }: Contact, frame: FrameOf<'find'>, now: Instant, out: Output[]): void {
    const hops = Math.min(frame.hops, limits.findHops) - 1
    const peers = frame.peers.flatMap((bytes) => this.#notation.peerText(bytes) ?? [])
    if (!this.#errands.add(peer, peers, frame, now)) return
    const neighbours = this.#audience(now).filter((one) => one.neighbour && one.peer !== peer)
    for (const one of neighbours.slice(0, limits.findForwards)) {
      this.#ask('find', one, { ...frame, hops }, now, out)
    }
  }

  // --- believing ----------------------------------------------------------------------------------------

  #offered(peer: PeerKey, entries: Entry[], now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact === undefined || entries.length === 0) return
    if (!this.#accounts.admits(peer, 'push', entries.length, now)) return
    this.#offerUnasked(entries, contact, undefined, now, out)
  }

  /** The record a greeting carries; it must be about the peer that sent it. */
  #offerOwn(envelope: Uint8Array, contact: Contact, now: Instant, out: Output[]): void {
    if (envelope.length === 0) return // not signed yet; it will be pushed
    const entry = { envelope, observedAgeS: 0, firstHand: true }
    // In a large overlay a newcomer is learnt of by pulls; passing on every visitor would be most of the traffic.
    const hops = this.#isSmall ? 1 : undefined
    const subject = this.#offer(entry, contact, { hops }, now, out)
    if (subject === undefined || subject === contact.peer) return
    this.#fault(contact.peer, 'signer-wrong', now, out)
  }

  #offerUnasked(
    entries: Entry[],
    contact: Contact,
    hops: number | undefined,
    now: Instant,
    out: Output[],
  ): void {
    this.#offerAll(entries, contact, { hops, unasked: true }, now, out)
  }

  /** Considers every entry; returns the ids of those that could be read. */
  #offerAll(
    entries: Entry[],
    contact: Contact,
    circumstances: Circumstances,
    now: Instant,
    out: Output[],
  ): Set<number> {
    const read = new Set<number>()
    for (const entry of entries) {
      const subject = this.#offer(entry, contact, circumstances, now, out)
      if (subject === undefined) break // one bad entry makes the rest not worth reading
      read.add(this.#notation.idOf(subject))
    }
    return read
  }

  /** Reads an entry and has its signature checked if it is news we want. Returns whom it is about. */
  #offer(
    entry: Entry,
    contact: Contact,
    { hops, unasked = false, asked, forGroups }: Circumstances,
    now: Instant,
    out: Output[],
  ): PeerKey | undefined {
    const read = this.#verification.read(entry.envelope)
    if (!read.ok) {
      this.#fault(contact.peer, read.fault, now, out)
      return undefined
    }
    const { record } = read.value
    const id = this.#notation.idOf(record.peer)
    contact.sent.add(id, record.seq)
    if (!this.#isNews(record, now)) return record.peer
    const namedFor = forGroups?.has(id) === true ? 'group' : 'id'
    const lastSeenAt = record.peer === contact.peer ? now : seenAt(entry, now)
    // Fetched for a group it is not in, or too late: a book must not fill up with those.
    const isPlaced =
      asked?.has(id) !== true || this.#hasPlaceStill(record, { id, namedFor, lastSeenAt })
    if (!isPlaced) return record.peer
    const isAsked = asked === undefined ? !unasked : asked.has(id)
    const isWelcome = isAsked || this.#isWelcome(record, id, contact, now)
    if (!isWelcome && this.#errands.owed(record, contact.peer, now).length === 0) return record.peer
    this.#verify(
      {
        record,
        signed: read.value.signed,
        id,
        envelope: entry.envelope,
        carrier: contact.peer,
        hops,
        forOthers: !isWelcome,
        seenAt: lastSeenAt,
        namedFor,
        recalled: undefined,
        source: sourceOf(record.peer, contact),
      },
      now,
      out,
    )
    return record.peer
  }

  #hasPlaceStill(
    record: Job['record'],
    { id, namedFor, lastSeenAt }: { id: number; namedFor: Ranking; lastSeenAt: Instant },
  ): boolean {
    if (this.#isSmall || this.book.byId(id) !== undefined) return true
    if (namedFor === 'id' && this.sampler.wants(id, lastSeenAt)) return true
    return this.sampler.wants(id, lastSeenAt, groupOf(record))
  }

  /** Of what we did not ask for: news of whom we know, what a peer says of itself, whom we look for or have a place for. */
  #isWelcome(record: Job['record'], id: number, contact: Contact, now: Instant): boolean {
    return (
      record.peer === contact.peer ||
      this.book.byId(id) !== undefined ||
      this.#finds.answers(record) ||
      this.#hasPlaceFor(id, undefined, contact.peer, now)
    )
  }

  /** What is not news is dropped before it costs anything, a signature check above all. */
  #isNews({ peer, seq }: Job['record'], now: Instant): boolean {
    return peer === this.#self ? seq > this.#own.seq : this.book.isNews(peer, seq, now)
  }

  #verify(job: Job, now: Instant, out: Output[]): void {
    const number = this.#verification.begin(job, now)
    if (number !== undefined) out.push({ type: 'verify', job: number, signed: job.signed })
  }

  #verified(number: number, valid: boolean, now: Instant, out: Output[]): void {
    const { job, fault } = this.#verification.end(number, valid, now) ?? {}
    if (job === undefined) return
    const { carrier, recalled } = job
    if (fault === undefined) this.#believe(job, now, out)
    else if (fault !== 'expired' && carrier !== undefined) this.#fault(carrier, fault, now, out)
    // From our own disk: an address worth trying, though told to nobody.
    else if (fault === 'expired' && recalled !== undefined && recalled.reachedSince > 0) {
      this.#learn(job, now, out)
    }
    for (const key of this.#finds.keys()) this.#endIfAnswered(key, out)
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
      this.#bury(job, now, out)
      return
    }
    this.#handOn(job, now, out)
    if (job.forOthers) return
    const before = this.book.get(record.peer)?.record
    this.#learn(job, now, out)
    const entry = this.book.get(record.peer)
    if (hops === undefined || hops >= limits.pushHops || isMereRenewal(before, record)) return
    if (entry === undefined || !this.book.mayForward(entry, now)) return
    this.#news.add(record.peer, hops + 1)
    this.#pushSoon(now)
  }

  #bury({ record }: Job, now: Instant, out: Output[]): void {
    if (!this.book.bury(record, now)) return
    this.#lose(record.peer, 'left', now, out)
  }

  #learn(job: Job, now: Instant, out: Output[]): void {
    const { id, record, envelope, source, seenAt: lastSeenAt, recalled, namedFor } = job
    const { peer } = record
    const groupBefore = this.book.get(peer)?.group
    const evicted = this.book.put({ record, envelope, id, source, lastSeenAt, namedFor }, now)
    if (recalled !== undefined) this.book.recall(peer, recalled)
    const contact = this.#contacts.get(peer)
    if (contact !== undefined) this.#meet(contact, now, out)
    if (evicted !== undefined) this.#lose(evicted, 'evicted', now, out)
    // One identity that claims another address every minute must not collect the slots of all address groups.
    const isNew = groupBefore === undefined
    const entry = this.book.get(peer)
    if (!isNew && groupBefore !== entry?.group) this.sampler.drop(peer, this.#others(now))
    else this.#enterIfInvited(job, now)
    if (isNew) out.push({ type: 'found', peer, from: source })
    else out.push({ type: 'changed', peer })
    for (const key of entry === undefined ? [] : this.#finds.note(entry)) this.#endFind(key, out)
  }

  /** Strangers who come to us are shown to the sampler only so often: it must not be fed by who dials most. */
  #enterIfInvited({ record, carrier, source }: Job, now: Instant): void {
    this.#strangers ??= new TokenBucket(limits.strangers, now)
    const isStranger = source === 'inbound' && carrier === record.peer
    if (!isStranger || this.#strangers.take(1, now)) this.#enter(record.peer)
  }

  #enter(peer: PeerKey): void {
    const entry = this.book.get(peer)
    if (entry !== undefined && isSampled(entry)) this.sampler.offer(entry)
  }

  #lose(peer: PeerKey, reason: Removal, now: Instant, out: Output[]): void {
    // Whom we have met is likely still there though we have not heard of it: a visit will tell. Whoever is named most would else stay most.
    const isDue = reason === 'expired' && (this.book.get(peer)?.metAt ?? 0) > 0
    if (!isDue) this.sampler.drop(peer, this.#others(now))
    out.push({ type: 'gone', peer, reason })
  }

  *#others(now: Instant) {
    for (const entry of this.book.all()) {
      if (isFresh(entry, now) && isSampled(entry)) yield entry
    }
  }

  #restore(entry: Restored, now: Instant, out: Output[]): void {
    const read = this.#verification.read(entry.envelope)
    if (!read.ok || !this.#isNews(read.value.record, now)) return
    const { envelope, lastSeenAt } = entry
    const job: Job = {
      ...read.value,
      id: this.#notation.idOf(read.value.record.peer),
      envelope,
      recalled: entry,
      carrier: undefined,
      source: 'book',
      hops: undefined,
      forOthers: false,
      seenAt: Math.min(lastSeenAt, now),
      namedFor: 'id',
    }
    this.#verify(job, now, out)
  }

  #fault(peer: PeerKey, fault: Fault, now: Instant, out: Output[]): void {
    this.#accounts.fault(peer, now)
    out.push({ type: 'fault', peer, fault })
  }

  // --- telling ------------------------------------------------------------------------------------------

  #pushSoon(now: Instant): void {
    if (!this.#timers.has('push')) this.#timers.set('push', now + limits.pushDelayMs)
  }

  /** An answer that others found goes to who asked us for it, and through them to who asked them. */
  #handOn({ id, record, envelope, carrier, seenAt: at }: Job, now: Instant, out: Output[]): void {
    for (const asker of this.#errands.owed(record, carrier ?? this.#self, now)) {
      const contact = this.#contacts.get(asker)
      if (contact === undefined || contact.sent.has(id, record.seq)) continue
      contact.sent.add(id, record.seq)
      const observedAgeS = Math.floor(Math.max(0, now - at) / 60_000) * 60
      const entries = [{ envelope, observedAgeS, firstHand: false }]
      const frame: Frame = { type: 'push', entries, hops: limits.pushHops }
      out.push({ type: 'tell', peer: asker, frame })
    }
  }

  /** Departures do not wait: their record leaves the book in this very step. */
  #forward({ id, record, envelope, hops }: Job, now: Instant, out: Output[]): void {
    if (hops === undefined || hops >= limits.pushHops) return
    const entry = { envelope, observedAgeS: 0, firstHand: false }
    for (const { peer, sent } of this.#audience(now).slice(0, this.#forwardFanout)) {
      if (sent.has(id, record.seq) || peer === record.peer) continue
      sent.add(id, record.seq)
      out.push({ type: 'tell', peer, frame: { type: 'push', entries: [entry], hops: hops + 1 } })
    }
  }

  get #isSmall(): boolean {
    return this.book.valid < limits.wantEverybody
  }

  get #forwardFanout(): number {
    return this.#isSmall ? limits.forwardFanout : limits.forwardFanoutLarge
  }

  #push(now: Instant, out: Output[]): void {
    const most = this.#news.has(this.#self) ? limits.ownFanout : this.#forwardFanout
    const news = this.#news.take((peer) => this.#version(peer, now))
    for (const contact of this.#audience(now).slice(0, most)) {
      for (const frame of framesFor(contact, news)) {
        out.push({ type: 'tell', peer: contact.peer, frame })
      }
    }
  }

  #version(peer: PeerKey, now: Instant): Version | undefined {
    if (peer === this.#self) {
      const [own] = this.#answers.ownEntries()
      return own && { id: this.#ownId, seq: this.#own.seq, entry: own }
    }
    const known = this.book.get(peer)
    return known && { id: known.id, seq: known.record.seq, entry: toEntry(known, now) }
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
}

/**
 * Who may hold a slot. Whom we cannot dial we could never find out about: such records would stay in the sample for nothing. Who
 * did not answer may again when it is met, or a new version of its record comes.
 */
function isSampled({ dialable, standing, misses }: BookEntry): boolean {
  return dialable && standing !== 'lost' && misses === 0
}

/** How an entry came. */
interface Circumstances {
  /** It has come this many hops by Push; undefined when it must not be passed on. */
  hops?: number | undefined
  /** We did not ask for it. */
  unasked?: boolean
  /** We asked for these only. */
  asked?: Set<number>
  /** Of them, these were named for their groups. */
  forGroups?: ReadonlySet<number>
}

/** What is to be fetched from a contact. */
type Missing = Pick<Ask, 'rest' | 'forGroups'>

const NOTHING: Missing = { rest: [], forGroups: new Set() }

/** A version that says nothing but that the peer is still there: whoever wants it pulls it. */
function isMereRenewal(before: Job['record'] | undefined, after: Job['record']): boolean {
  if (before === undefined) return false
  return substance(before) === substance(after)
}

/** What others act on. */
function substance(record: Job['record']): string {
  const { addresses, services, reachability, mapping, filtering, relay } = record
  return JSON.stringify([
    addresses,
    services,
    reachability,
    mapping,
    filtering,
    relay !== undefined,
  ])
}

function sourceOf(subject: PeerKey, contact: Contact): Source {
  if (subject !== contact.peer) return contact.peer
  return contact.dialled ? 'config' : 'inbound'
}
