import { Alarms } from '../kernel/alarms.ts'
import type { Due } from '../kernel/alarms.ts'
import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { BookEntry } from '../peer-exchange/address-book.ts'
import { groupOfAddress } from '../peer-exchange/groups.ts'
import type { Entry, Frame, FrameOf, NeighbourVerdict } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import { admit } from './acceptance.ts'
import type { Admission, Comer } from './acceptance.ts'
import { Bootstraps } from './bootstraps.ts'
import { Candidates, isDependable } from './candidates.ts'
import type { Acquaintances } from './candidates.ts'
import { Healing } from './healing.ts'
import { limits } from './limits.ts'
import { Rests } from './rests.ts'
import { Targets } from './targets.ts'
import type { Need } from './targets.ts'

export type Purpose = 'neighbour' | 'visit'
export type Role = 'chosen' | 'accepted'

export type Input =
  | Tick
  | { type: 'start'; bootstraps: { peer: PeerKey; addresses: string[] }[] }
  /** This node turned out to be public, or not. */
  | { type: 'self'; dependable: boolean }
  /** There is a connection now, or the best one of a peer changed. */
  | {
      type: 'linked'
      peer: PeerKey
      path: 'direct' | 'relayed'
      limited: boolean
      dialled: boolean
      address?: string
      through?: string
    }
  | { type: 'unlinked'; peer: PeerKey }
  /** Peer exchange: a peer became known or its record changed; both sides have greeted; a pull is over. */
  | { type: 'known'; peer: PeerKey }
  | { type: 'greeted'; peer: PeerKey }
  | { type: 'pulled'; peer: PeerKey }
  | { type: 'dial-done'; peer: PeerKey }
  | { type: 'dial-failed'; peer: PeerKey }
  | { type: 'request'; exchange: number; peer: PeerKey; frame: Request }
  | { type: 'answer'; exchange: number; frame: Frame | undefined }
  /** A peer was reached there in an earlier run. */
  | { type: 'proven'; address: string }
  /** Nothing is dialled or asked any more. */
  | { type: 'leave' }

export type Request = FrameOf<'neighbourReq' | 'neighbourEnd'>

export type Output =
  | { type: 'dial'; peer: PeerKey; addresses: string[]; purpose: Purpose }
  /** A relayed connection does not do. */
  | { type: 'want-direct'; peer: PeerKey }
  | { type: 'release'; peer: PeerKey }
  | { type: 'ask'; exchange: number; peer: PeerKey; frame: Frame }
  | { type: 'tell'; peer: PeerKey; frame: Frame }
  | { type: 'reply'; exchange: number; frame: Frame | undefined }
  | { type: 'neighbour'; peer: PeerKey; role: Role }
  | { type: 'neighbour-lost'; peer: PeerKey }
  /** For peer exchange: a dial was not answered by the peer; ask it; it gave us these. */
  | { type: 'missed'; peer: PeerKey }
  | { type: 'pull'; peer: PeerKey }
  | { type: 'offered'; peer: PeerKey; entries: Entry[] }
  /** Bootstraps that cannot be reached; none when the list is empty. */
  | { type: 'bootstraps-unreachable'; peers: PeerKey[] }
  | { type: 'alone'; alone: boolean }
  | { type: 'healing'; healing: boolean }

interface Contact extends Comer {
  limited: boolean
  dialled: boolean
  greeted: boolean
  /** What we are about with it. */
  errand: Purpose | undefined
  /** It is a neighbour of our choosing. */
  chosen: boolean
  /** We are a neighbour of its choosing. */
  accepted: boolean
  /** It was lost before this link: its being there is news. */
  wasLost: boolean
}

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

/**
 * Decides who this node's neighbours are: whom it chooses, whom it accepts, whom it visits to see the rest of the
 * overlay, and when it tries its bootstraps again. See SPEC.md.
 */
export class Membership implements Machine<Input, Output> {
  readonly #self: PeerKey
  readonly #rng: Rng
  readonly #known: Acquaintances
  readonly #nextExchange: () => number
  readonly #trusted: boolean
  readonly #secret: number
  readonly #contacts = new Map<PeerKey, Contact>()
  readonly #dials = new Map<PeerKey, Purpose>()
  readonly #asks = new Map<number, PeerKey>()
  readonly #requests = new BoundedMap<PeerKey, TokenBucket>(limits.requesters)
  readonly #rests: Rests
  readonly #candidates: Candidates
  readonly #bootstraps: Bootstraps
  readonly #healing = new Healing()
  readonly #targets = new Targets()
  readonly #timers = new Alarms<Alarm>()
  #dependable = false
  /** Another one is being looked for, to take the place of an old one. */
  #rotating = false
  #startedAt: Instant | undefined
  /** When somebody whose address is contested may be visited. */
  #contestedAt: Instant = Infinity
  #joined = false
  #left = false
  /** Neighbours whose links ended without a word. */
  readonly #doubted = new Set<PeerKey>()
  /** When a lost peer may be visited. */
  #lostAt: Instant = -Infinity
  #visitEvery: number = limits.visitMs.first
  #rescuedAt = -Infinity
  #replacedAt = -Infinity
  #alone = false
  /** Links we keep though nothing binds us, while the overlay is small or we have next to no neighbours. */
  readonly #spared = new Set<PeerKey>()
  #chosenCount = 0
  #acceptedCount = 0

  constructor({ self, rng, known, nextExchange, trusted }: MembershipOptions) {
    this.#self = self
    this.#rng = rng
    this.#known = known
    this.#nextExchange = nextExchange
    this.#trusted = trusted
    this.#secret = Math.floor(rng() * 2 ** 32)
    this.#rests = new Rests(rng)
    this.#candidates = new Candidates(known, rng)
    this.#bootstraps = new Bootstraps(rng)
  }

  nextWake(): Instant | undefined {
    return this.#timers.next()
  }

  neighbours(): { peer: PeerKey; role: Role }[] {
    return [...this.#contacts.values()].flatMap(({ peer, chosen, accepted }) =>
      chosen || accepted ? [{ peer, role: chosen ? 'chosen' : 'accepted' }] : [],
    )
  }

  get contacts(): number {
    return this.#contacts.size
  }

  isHealing(now: Instant): boolean {
    return this.#healing.isOn(now)
  }

  step(input: Input, now: Instant): readonly Output[] {
    const out: Output[] = []
    if (this.#left) return out
    switch (input.type) {
      case 'tick':
        for (const alarm of this.#timers.takeDue(now)) this.#wake(alarm, now, out)
        break
      case 'start':
        this.#start(input.bootstraps, now)
        break
      case 'self':
        this.#dependable = input.dependable
        break
      case 'linked':
        this.#linked(input, now, out)
        break
      case 'unlinked':
        this.#unlinked(input.peer, now, out)
        break
      case 'known':
        this.#learnt(input.peer, now)
        break
      case 'greeted':
        this.#greeted(input.peer, now, out)
        break
      case 'pulled':
        this.#endVisit(input.peer, now, out)
        break
      case 'dial-failed':
        this.#dialFailed(input.peer, now, out)
        break
      case 'dial-done':
        if (this.#dials.has(input.peer)) this.#dialFailed(input.peer, now, out)
        break
      case 'request':
        this.#request(input, now, out)
        break
      case 'answer':
        this.#answer(input.exchange, input.frame, now, out)
        break
      case 'proven':
        this.#targets.prove(input.address)
        break
      case 'leave':
        this.#left = true
        this.#timers.takeDue(Infinity)
        break
    }
    // Answering others changes nothing about what we lack.
    if (this.#startedAt !== undefined && !this.#left && input.type !== 'request') {
      this.#fill(now, out)
      this.#releaseSpared(out)
      this.#report(now, out)
    }
    return out
  }

  #wake({ kind, subject }: Due<Alarm>, now: Instant, out: Output[]): void {
    const peer = String(subject)
    if (kind === 'silent') this.#dialFailed(peer, now, out)
    else if (kind === 'errand') this.#giveUp(peer, limits.retryMs.refused, now, out)
    else if (kind === 'direct') this.#directOrNot(peer, now, out)
    else if (kind === 'visit') this.#visit(now, out)
    else if (kind === 'rotate') this.#rotate(now, out)
    else if (kind === 'healed') this.#healed(now, out)
    else if (kind === 'alone' && !this.#hasLinks()) {
      this.#alone = true
      out.push({ type: 'alone', alone: true })
    }
  }

  #start(bootstraps: { peer: PeerKey; addresses: string[] }[], now: Instant): void {
    this.#startedAt = now
    this.#contestedAt = now + jittered(limits.contestedMs, 1, this.#rng)
    const hasBook = this.#known.book.count('reached') >= limits.bookEnough
    const at = hasBook || this.#candidates.anchors().length >= limits.bookEnough
    this.#bootstraps.start(bootstraps, this.#self, now + (at ? limits.bookFirstMs : 0))
    this.#timers.set('visit', now + jittered(this.#visitEvery, 0.25, this.#rng))
    this.#timers.set('rotate', now + jittered(limits.rotateMs.young, 0.25, this.#rng))
  }

  // --- links --------------------------------------------------------------------------------------------

  #linked(
    { peer, limited, dialled, address, through }: Extract<Input, { type: 'linked' }>,
    now: Instant,
    out: Output[],
  ): void {
    for (const proof of [address, through]) if (proof !== undefined) this.#targets.prove(proof)
    const before = this.#contacts.get(peer)
    const purpose = this.#dials.get(peer)
    this.#dials.delete(peer)
    this.#timers.clear('silent', peer)
    if (before !== undefined) {
      before.limited = limited
      if (address !== undefined) before.group = groupOfAddress(address)
      if (purpose !== undefined && before.errand === undefined) {
        before.errand = purpose
        this.#timers.set('errand', now + limits.errandMs, peer)
      }
      this.#advance(before, now, out)
      return
    }
    if (this.#contacts.size >= limits.contacts) return
    if (this.#bootstraps.linked(peer, now)) this.#sign(true, now, out)
    const entry = this.#known.book.get(peer)
    const contact: Contact = {
      peer,
      group: address === undefined ? (entry?.group ?? 0) : groupOfAddress(address),
      since: now,
      rescued: false,
      limited,
      dialled,
      greeted: false,
      errand: purpose,
      chosen: false,
      accepted: false,
      // One whose record only ran out, as those of old acquaintances do, was never out of reach.
      wasLost: entry?.standing === 'lost' && entry.misses > 0,
    }
    this.#contacts.set(peer, contact)
    this.#doubted.delete(peer)
    if (purpose !== undefined) this.#timers.set('errand', now + limits.errandMs, peer)
  }

  #unlinked(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact === undefined) return
    this.#contacts.delete(peer)
    this.#spared.delete(peer)
    this.#forgetAsk(peer)
    this.#timers.clear('errand', peer)
    this.#timers.clear('direct', peer)
    if (this.#bootstraps.has(peer)) this.#bootstraps.unlinked(peer, this.#size(), now)
    if (contact.chosen || contact.accepted) {
      this.#count(contact, -1)
      out.push({ type: 'neighbour-lost', peer })
    }
    if (now - contact.since >= limits.provenMs) this.#rests.forget(peer)
    if (contact.chosen || (contact.accepted && this.#candidates.isSampled(peer)))
      this.#doubt(peer, now)
    if (contact.chosen || contact.errand === 'neighbour') this.#rest(peer, now)
  }

  /** A neighbour that is gone without a word: whether the peer is gone, or only the link, is worth knowing soon. */
  #doubt(peer: PeerKey, now: Instant): void {
    if (this.#doubted.size >= limits.accepted.public) return
    this.#doubted.add(peer)
    this.#visitSoon(now)
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
    this.#advance(contact, now, out)
  }

  /** Does the next thing with a contact that we are about something with. */
  #advance(contact: Contact, now: Instant, out: Output[]): void {
    const { peer, errand, greeted } = contact
    if (errand === undefined || !greeted) return
    if (errand === 'visit') {
      out.push({ type: 'pull', peer })
    } else if (contact.limited && !this.#timers.has('direct', peer)) {
      this.#timers.clear('errand', peer)
      this.#timers.set('direct', now + limits.directMs, peer)
      out.push({ type: 'want-direct', peer })
    } else if (!contact.limited) {
      this.#timers.clear('direct', peer)
      this.#askFor(contact, now, out)
    }
  }

  #endVisit(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact?.errand !== 'visit') return
    contact.errand = undefined
    this.#timers.clear('errand', peer)
    // A node that has next to no neighbours, and knows nobody else, keeps whom it has just seen.
    const onlyOne = this.#needy && this.#candidates.isSmall && !contact.limited
    if (onlyOne || this.#isAtHand(contact, now)) this.#court(contact, now, out)
    else this.#releaseIfIdle(contact, out)
  }

  /** The relayed connection has become direct by now, or never will. */
  #directOrNot(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact?.errand !== 'neighbour') return
    if (!contact.limited || this.#candidates.everybody) this.#askFor(contact, now, out)
    else this.#giveUp(peer, limits.noDirectPathMs, now, out)
  }

  #giveUp(peer: PeerKey, restMs: number, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact?.errand === undefined) return
    if (contact.errand === 'neighbour') {
      this.#rests.wait(peer, now + restMs)
      this.#noNeighbour(peer)
    }
    contact.errand = undefined
    this.#forgetAsk(peer)
    this.#timers.clear('errand', peer)
    this.#timers.clear('direct', peer)
    this.#releaseIfIdle(contact, out)
  }

  #releaseIfIdle({ peer, chosen, accepted, errand, dialled }: Contact, out: Output[]): void {
    if (chosen || accepted || errand !== undefined || !dialled) return
    // A bootstrap of another kind, a mere relay perhaps, may be all that a young node has.
    const precious = this.#needy && this.#bootstraps.has(peer)
    if (precious || this.#candidates.everybody) this.#spared.add(peer)
    else out.push({ type: 'release', peer })
  }

  #releaseSpared(out: Output[]): void {
    if (this.#spared.size === 0 || this.#needy || this.#candidates.everybody) return
    const spared = [...this.#spared]
    this.#spared.clear()
    for (const peer of spared) {
      const contact = this.#contacts.get(peer)
      if (contact !== undefined) this.#releaseIfIdle(contact, out)
    }
  }

  // --- neighbours ---------------------------------------------------------------------------------------

  #askFor(contact: Contact, now: Instant, out: Output[]): void {
    const { peer } = contact
    if (contact.chosen) return
    this.#timers.set('errand', now + limits.errandMs, peer)
    if ([...this.#asks.values()].includes(peer)) return
    const exchange = this.#nextExchange()
    this.#asks.set(exchange, peer) // one a contact at most
    const isolated = this.#chosenCount + this.#acceptedCount === 0
    out.push({ type: 'ask', exchange, peer, frame: { type: 'neighbourReq', isolated } })
  }

  /** An answer to a link that is no more, or to an errand given up, is none to the next. */
  #forgetAsk(peer: PeerKey): void {
    for (const [exchange, asked] of this.#asks) if (asked === peer) this.#asks.delete(exchange)
  }

  #answer(exchange: number, frame: Frame | undefined, now: Instant, out: Output[]): void {
    const peer = this.#asks.get(exchange)
    this.#asks.delete(exchange)
    const contact = peer === undefined ? undefined : this.#contacts.get(peer)
    if (contact === undefined) return
    const ack = frame?.type === 'neighbourAck' ? frame : undefined
    if (ack !== undefined) out.push({ type: 'offered', peer: contact.peer, entries: ack.entries })
    if (ack?.verdict === 'accepted') {
      this.#choose(contact, now, out)
      return
    }
    // What was lost may have been a yes: then the other side must not count on us.
    if (ack === undefined && !contact.accepted) {
      const end: Frame = { type: 'neighbourEnd', entries: [], evicted: false }
      out.push({ type: 'tell', peer: contact.peer, frame: end })
    }
    const asked = Math.min((ack?.retryS ?? 0) * 1000, limits.noDirectPathMs)
    this.#giveUp(contact.peer, Math.max(asked, limits.retryMs.refused), now, out)
  }

  #choose(contact: Contact, now: Instant, out: Output[]): void {
    const { peer } = contact
    contact.errand = undefined
    this.#timers.clear('errand', peer)
    this.#timers.clear('direct', peer)
    this.#candidates.linked()
    if (!contact.chosen) {
      if (contact.accepted) this.#acceptedCount--
      this.#chosenCount++
      contact.chosen = true
      contact.since = now
      out.push({ type: 'neighbour', peer, role: 'chosen' })
    }
    // Lost peers that answer are chosen whether or not there is room: theirs must not add up.
    const isOver = this.#rotating || !this.#candidates.everybody
    if (isOver && this.#chosenCount > limits.chosen) this.#letOneGo(now, out, contact)
    this.#joined ||= this.#chosenCount >= limits.chosen
  }

  /** Of those we chose one leaves, not the newcomer that takes its place. */
  #letOneGo(now: Instant, out: Output[], newcomer?: Contact): void {
    this.#rotating = false
    const others = [...this.#contacts.values()].filter((one) => one.chosen && one !== newcomer)
    const victim = others[Math.floor(this.#rng() * others.length)]
    if (victim === undefined) return
    this.#count(victim, -1)
    victim.chosen = false
    this.#count(victim, 1)
    this.#rests.wait(victim.peer, now + limits.retryMs.full)
    out.push({ type: 'tell', peer: victim.peer, frame: this.#farewell(victim.peer, false, now) })
    const still = victim.accepted
    out.push(
      still
        ? { type: 'neighbour', peer: victim.peer, role: 'accepted' }
        : { type: 'neighbour-lost', peer: victim.peer },
    )
    this.#releaseIfIdle(victim, out)
  }

  /** `evicted`: it chose us, and we have no place for it any more; else we do not choose it any more. */
  #farewell(peer: PeerKey, evicted: boolean, now: Instant): Frame {
    return { type: 'neighbourEnd', entries: this.#known.alternativesFor(peer, now), evicted }
  }

  #request(
    { exchange, peer, frame }: Extract<Input, { type: 'request' }>,
    now: Instant,
    out: Output[],
  ): void {
    if (frame.type === 'neighbourEnd') {
      out.push({ type: 'reply', exchange, frame: undefined })
      this.#ended(peer, frame, now, out)
      return
    }
    const verdict = this.#judge(peer, frame.isolated, now, out)
    const retryS = verdict === 'accepted' ? 0 : Math.round(limits.retryMs[verdict] / 1000)
    const entries = verdict === 'accepted' ? [] : this.#known.alternativesFor(peer, now)
    const ack: Frame = { type: 'neighbourAck', verdict, retryS, entries }
    out.push({ type: 'reply', exchange, frame: ack })
  }

  #judge(peer: PeerKey, isolated: boolean, now: Instant, out: Output[]): NeighbourVerdict {
    const contact = this.#contacts.get(peer)
    if (contact === undefined || !contact.greeted) return 'refused'
    if (contact.accepted) return 'accepted'
    if (contact.limited && !this.#candidates.everybody) return 'refused'
    const bucket = this.#requests.get(peer) ?? new TokenBucket(limits.requests, now)
    this.#requests.set(peer, bucket)
    if (!bucket.take(1, now)) return 'too-often'
    const accepted = [...this.#contacts.values()].filter((one) => one.accepted && !one.chosen)
    const admission: Admission = contact.chosen
      ? { verdict: 'accepted' } // a neighbour already: it costs no place
      : admit({ ...contact, isolated }, accepted, this.#door(now))
    if (admission.by === 'rescue') this.#rescuedAt = now
    if (admission.by === 'luck') this.#replacedAt = now
    if (admission.instead !== undefined) this.#evict(admission.instead, now, out)
    if (admission.verdict === 'accepted') {
      contact.rescued = admission.by === 'rescue'
      this.#accept(contact, out)
    }
    return admission.verdict
  }

  #door(now: Instant) {
    const { accepted, isolatedMs, replaceMs } = limits
    return {
      places: this.#dependable ? accepted.public : accepted.hidden,
      trusted: this.#trusted,
      secret: this.#secret,
      mayRescue: now - this.#rescuedAt >= isolatedMs,
      mayReplace: now - this.#replacedAt >= replaceMs,
    }
  }

  #accept(contact: Contact, out: Output[]): void {
    contact.accepted = true
    if (contact.chosen) return
    this.#acceptedCount++
    out.push({ type: 'neighbour', peer: contact.peer, role: 'accepted' })
  }

  #evict(peer: PeerKey, now: Instant, out: Output[]): void {
    const victim = this.#contacts.get(peer)
    if (victim === undefined) return
    out.push({ type: 'tell', peer, frame: this.#farewell(peer, true, now) })
    victim.accepted = false
    this.#acceptedCount--
    out.push({ type: 'neighbour-lost', peer }, { type: 'release', peer })
  }

  /** The other side does not choose us any more, or has no place for us; what we chose or gave ourselves stays. */
  #ended(peer: PeerKey, end: FrameOf<'neighbourEnd'>, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact === undefined) return
    out.push({ type: 'offered', peer, entries: end.entries })
    const before = roleOf(contact)
    this.#count(contact, -1)
    if (end.evicted) {
      contact.chosen = false
      this.#rests.wait(peer, now + limits.retryMs.full)
    } else contact.accepted = false
    this.#count(contact, 1)
    const role = roleOf(contact)
    if (role === before) return
    if (role === undefined) out.push({ type: 'neighbour-lost', peer })
    else out.push({ type: 'neighbour', peer, role })
    this.#releaseIfIdle(contact, out)
  }

  /** A peer that is chosen and accepted counts as chosen. */
  #count({ chosen, accepted }: Contact, by: number): void {
    if (chosen) this.#chosenCount += by
    else if (accepted) this.#acceptedCount += by
  }

  // --- whom to dial -------------------------------------------------------------------------------------

  #learnt(peer: PeerKey, now: Instant): void {
    const entry = this.#known.book.get(peer)
    if (entry === undefined || this.#contacts.has(peer)) return
    if (this.#rests.tries(peer) > 0) {
      // A new version is a new chance: once at once, then as before.
      if (entry.standing !== 'lost') this.#rests.forget(peer)
    } else if (this.#rests.until(peer) === 0 && entry.metAt === 0 && !this.#goesFirst(entry)) {
      this.#rests.wait(peer, now + limits.yieldMs)
    }
  }

  /** Two hidden or two public peers go by their names; of different ones the hidden one knows the way. */
  #goesFirst(entry: BookEntry): boolean {
    const dependable = isDependable(entry)
    return dependable === this.#dependable ? this.#self < entry.peer : dependable
  }

  /** How many more neighbours of our choosing we want, those on the way counted. */
  #missing(most: number = limits.chosen): number {
    const wanted = most + (this.#rotating ? 1 : 0)
    if (this.#chosenCount >= wanted) return 0
    let under = 0
    for (const purpose of this.#dials.values()) if (purpose === 'neighbour') under++
    for (const { errand, chosen } of this.#contacts.values()) {
      if (errand === 'neighbour' && !chosen) under++
    }
    return wanted - this.#chosenCount - under
  }

  get #needy(): boolean {
    return this.#chosenCount + this.#acceptedCount < limits.enough
  }

  get #need(): Need {
    if (this.#needy) return 'urgent'
    return this.#candidates.isSmall ? 'some' : 'little'
  }

  #fill(now: Instant, out: Output[]): void {
    this.#callBootstraps(now, out)
    const called = this.#bootstraps.nextAt(this.#needy)
    const everybody = this.#candidates.everybody
    const more = everybody || this.#missing() > 0
    const again = more ? this.#chooseMore(everybody, now, out) : Infinity
    // What is over already waits for something else to happen.
    const at = Math.min(called > now ? called : Infinity, again > now ? again : Infinity)
    if (at < Infinity) this.#timers.set('fill', at)
    else this.#timers.clear('fill')
  }

  #callBootstraps(now: Instant, out: Output[]): void {
    const due = this.#bootstraps.due(this.#needy, now)
    if (due.length === 0) return
    const waiting = this.#known.book.valid > 0 && this.#missing() > 0
    const most = waiting ? limits.bootstrapDials : limits.dials
    for (const peer of due.slice(0, most)) {
      if (this.#dials.size >= this.#dialLimit) return // looked at again when one ends
      if (this.#contacts.has(peer) || this.#dials.has(peer)) continue
      // In a large overlay they only show the way: neighbours of everybody would be what the overlay hangs on.
      const purpose = this.#candidates.isSmall && this.#missing() > 0 ? 'neighbour' : 'visit'
      this.#dial(peer, purpose, now, out)
    }
  }

  /** Returns when to look again. */
  #chooseMore(everybody: boolean, now: Instant, out: Output[]): Instant {
    if (this.#dials.size >= this.#dialLimit) return Infinity // looked at again when one ends
    let soonest = now + limits.idleMs
    const fits = (entry: BookEntry): boolean => {
      if (!this.#mayChoose(entry)) return false
      const until = this.#rests.until(entry.peer)
      if (until > now) soonest = Math.min(soonest, until)
      return until <= now && (everybody || this.#isApart(entry))
    }
    let missing = this.#missing(everybody ? limits.everybody : limits.chosen)
    if (missing <= 0) return Infinity
    for (const contact of this.#needy ? this.#contacts.values() : []) {
      if (missing <= 0) break
      if (!this.#isAtHand(contact, now)) continue
      this.#court(contact, now, out)
      missing--
    }
    if (missing <= 0) return Infinity
    for (const entry of this.#inOrder(everybody, fits)) {
      const contact = this.#contacts.get(entry.peer)
      if (contact !== undefined) this.#court(contact, now, out)
      else if (!this.#dial(entry.peer, 'neighbour', now, out)) continue
      if (--missing <= 0 || this.#dials.size >= this.#dialLimit) return Infinity
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

  get #dialLimit(): number {
    return this.#needy ? limits.urgentDials : limits.dials
  }

  /** Everybody in a small overlay; else old acquaintances to begin with, then the sample; others only in need. */
  *#inOrder(everybody: boolean, fits: (entry: BookEntry) => boolean): Generator<BookEntry> {
    if (everybody) {
      yield* this.#candidates.all().filter(fits)
      return
    }
    if (!this.#joined) yield* this.#candidates.anchors().slice(0, limits.enough).filter(fits)
    yield* this.#candidates.ofSample(fits)
    const short = this.#candidates.isSmall || this.#needy || !this.#joined
    // What was taken before this has changed what fits.
    if (short) for (const one of this.#candidates.others()) if (fits(one)) yield one
  }

  /** One neighbour of an address group, unless there are few to choose from. */
  #isApart({ group }: BookEntry): boolean {
    if (this.#trusted || this.#candidates.isSmall || this.#needy) return true
    for (const one of this.#contacts.values()) if (one.chosen && one.group === group) return false
    return true
  }

  /** A node that has lost its neighbours keeps whom it is linked to, whoever that is: most of the names it has may be those of the dead. */
  #isAtHand({ peer, limited, greeted, chosen, errand }: Contact, now: Instant): boolean {
    if (!this.#needy || !this.#joined) return false
    const isFree = greeted && !limited && !chosen && errand === undefined
    return isFree && this.#rests.until(peer) <= now
  }

  /** A link that is there already may become one that is kept. */
  #court(contact: Contact, now: Instant, out: Output[]): void {
    contact.errand = 'neighbour'
    this.#timers.set('errand', now + limits.errandMs, contact.peer)
    this.#advance(contact, now, out)
  }

  /** False when none of its addresses may be dialled now: then it rests until one may. */
  #dial(peer: PeerKey, purpose: Purpose, now: Instant, out: Output[]): boolean {
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

  #dialFailed(peer: PeerKey, now: Instant, out: Output[]): void {
    const purpose = this.#dials.get(peer)
    if (purpose === undefined) return
    this.#dials.delete(peer)
    if (purpose === 'neighbour') this.#noNeighbour(peer)
    else this.#foundNobody(peer, now)
    this.#timers.clear('silent', peer)
    if (this.#bootstraps.has(peer)) this.#bootstraps.failed(peer, this.#size(), now)
    if (this.#known.book.get(peer)?.standing === 'lost' && !this.#candidates.everybody) {
      this.#rests.lost(peer, now)
    } else this.#rest(peer, now)
    out.push({ type: 'missed', peer })
  }

  #noNeighbour(peer: PeerKey): void {
    const entry = this.#known.book.get(peer)
    if (entry !== undefined) this.#candidates.failed(entry)
  }

  #rest(peer: PeerKey, now: Instant): void {
    this.#rests.fail(peer, this.#needy ? limits.urgentBackoff : limits.backoff, now)
  }

  // --- seeing the rest of the overlay -------------------------------------------------------------------

  #visit(now: Instant, out: Output[]): void {
    const age = now - (this.#startedAt ?? now)
    const soon = Math.max(this.#candidates.visitEveryMs(), limits.visitMs.afterNobody)
    this.#timers.set('visit', now + jittered(Math.min(soon, this.#visitEvery), 0.25, this.#rng))
    if (age > limits.mixingMs)
      this.#visitEvery = Math.min(this.#visitEvery * limits.visitGrowth, limits.visitMs.most)
    const estimate = this.#known.sampler.estimate()
    // Before the sampler has been offered everybody, the estimate only grows.
    const grown = estimate !== undefined && age > limits.mixingMs
    if (grown && this.#healing.size(estimate, now)) this.#heal(now, out)
    if (this.#candidates.everybody || this.#dials.size >= limits.dials) return
    const turnOfLost = now >= this.#lostAt || this.#healing.isOn(now)
    if (turnOfLost) this.#lostAt = now + jittered(limits.lostMs, 0.25, this.#rng)
    const contested = now >= this.#contestedAt
    const doubted = [...this.#doubted].flatMap((peer) => this.#known.book.get(peer) ?? [])
    const lost = turnOfLost ? this.#candidates.lost() : []
    for (const entry of [...doubted, ...lost, ...this.#candidates.toVisit(now, contested)]) {
      const { peer } = entry
      const busy = peer === this.#self || this.#contacts.has(peer) || this.#dials.has(peer)
      if (busy || this.#rests.until(peer) > now) continue
      this.#doubted.delete(peer)
      if (!this.#dial(peer, 'visit', now, out)) continue
      if (this.#known.book.isContested(entry))
        this.#contestedAt = now + jittered(limits.contestedMs, 1, this.#rng)
      return
    }
  }

  #foundNobody(peer: PeerKey, now: Instant): void {
    // That a lost peer is still lost says nothing about the sample.
    if (this.#known.book.get(peer)?.standing === 'lost' || this.#bootstraps.has(peer)) return
    this.#visitSoon(now)
  }

  #visitSoon(now: Instant): void {
    this.#visitEvery = limits.visitMs.first
    this.#timers.set('visit', now + limits.visitMs.afterNobody)
  }

  #rotate(now: Instant, out: Output[]): void {
    const age = now - (this.#startedAt ?? now)
    const { young, small, steady, healing } = limits.rotateMs
    const fast = this.#candidates.isSmall ? small : young
    const calm = age < limits.mixingMs ? fast : steady
    const every = this.#healing.isOn(now) ? healing : calm
    this.#timers.set('rotate', now + jittered(every, 0.25, this.#rng))
    if (this.#candidates.everybody) return
    // What is left of the time when everybody knew everybody goes without being replaced.
    if (this.#chosenCount > limits.chosen) this.#letOneGo(now, out)
    else this.#rotating = this.#chosenCount === limits.chosen
  }

  /** A sign that the overlay was split and is whole again. */
  #sign(strong: boolean, now: Instant, out: Output[]): void {
    if (this.#candidates.everybody) return
    // Where one lost peer answers others may: they are looked for now, not when their turn comes.
    this.#lostAt = now
    this.#visitSoon(now)
    if (this.#healing.sign(now, strong)) this.#heal(now, out)
  }

  #heal(now: Instant, out: Output[]): void {
    out.push({ type: 'healing', healing: true })
    this.#timers.set('healed', now + limits.healingMs)
    this.#timers.set('rotate', now + jittered(limits.rotateMs.healing, 0.5, this.#rng))
  }

  #healed(now: Instant, out: Output[]): void {
    if (this.#healing.isOn(now)) this.#timers.set('healed', this.#healing.until)
    else out.push({ type: 'healing', healing: false })
  }

  // --- what to say --------------------------------------------------------------------------------------

  #report(now: Instant, out: Output[]): void {
    const unreachable = this.#bootstraps.report()
    if (unreachable !== undefined) out.push({ type: 'bootstraps-unreachable', peers: unreachable })
    if (this.#hasLinks()) {
      this.#timers.clear('alone')
      if (this.#alone) out.push({ type: 'alone', alone: false })
      this.#alone = false
    } else if (!this.#alone && !this.#timers.has('alone')) {
      this.#timers.set('alone', now + limits.aloneMs)
    }
  }

  /** Links that count: strangers who only connect to us are no members. */
  #hasLinks(): boolean {
    for (const { peer, greeted } of this.#contacts.values()) {
      if (greeted || this.#bootstraps.has(peer)) return true
    }
    return false
  }

  #size(): number {
    return Math.max(this.#known.book.valid, this.#known.sampler.estimate() ?? 0)
  }
}

/** A peer that is both counts as chosen. */
function roleOf({ chosen, accepted }: Contact): Role | undefined {
  if (chosen) return 'chosen'
  return accepted ? 'accepted' : undefined
}
