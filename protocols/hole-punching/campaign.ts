import { endpoint, familyOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { PunchMessage, RefuseCode, RoundMethod } from './codec.ts'
import { believed, isOpen, isSymmetric, toldTo } from './facts.ts'
import type { Endpoint, SideFacts } from './facts.ts'
import { guessPorts } from './guesses.ts'
import { ladder } from './ladder.ts'
import type { Round } from './ladder.ts'
import { LIMITS } from './limits.ts'
import type { Attempt, Carrier, Outcome, PunchOutput, Role, Step } from './outputs.ts'
import { SEARCH } from './search-limits.ts'
import { expectedOf, targetsOf } from './targets.ts'

/** What a campaign may ask of its surroundings. */
export interface Surroundings {
  own(): SideFacts
  rng: Rng
  /** What can reach the peer now, best first. */
  carriers(peer: string): readonly Carrier[]
  /** Takes dials of a host that nobody vouches for out of the node's budget; returns how many. */
  admitDials(ip: string, now: Instant): number
  /** Takes a search out of the node's budget, or says why not. */
  admitSearch(peer: string, ip: string, now: Instant): RefuseCode | undefined
  /** The search with that peer is over. */
  searchOver(peer: string): void
}

/** A message as it came in. */
export interface Incoming {
  message: PunchMessage
  carrier: Carrier
  /** The endpoint that the relay saw the sender use, if we have chosen that relay ourselves. */
  seen?: Endpoint
}

/** The round under way. */
interface Current {
  round: Round
  number: number
  openedAt: Instant
  startedAt: Instant
  endsAt: Instant
  /** How often it was asked, and how many of those asks may have been heard. */
  sent: number
  asks: number
  askedAt: Instant | undefined
  overdueAt: Instant | undefined
  answered: boolean
  /** When our first SYN leaves; undefined while nothing is to be dialled. */
  fireAt: Instant | undefined
  carrier: Carrier | undefined
  /** Carriers that this round's ask went by, the latest last. */
  used: Set<string>
  /** Carriers that did not deliver it. */
  failed: Set<string>
  candidates: string[]
  /** How often each host may be dialled in this round. */
  dials: Map<string, number>
  steps: Step[]
}

/** What is left to say when a campaign is over. */
export type End = { met: true; method: RoundMethod } | { met: false; reason: string }

/** How a campaign begins. */
export interface CampaignStart {
  peer: string
  /** 16 random bytes as hex, chosen by the caller. */
  id: string
  side: 'caller' | 'callee'
  role: Role
  /** What is known of the peer. */
  facts: SideFacts
}

/** One campaign with one peer, on one side of it. The caller leads from round to round, the callee does its part. */
export class Campaign {
  readonly peer: string
  readonly id: string
  readonly side: 'caller' | 'callee'
  readonly role: Role
  readonly #world: Surroundings
  #facts: SideFacts
  /** The peer's address as a relay of ours saw it. */
  #vouched: Endpoint | undefined
  readonly #worked: RoundMethod | undefined
  /** Rounds that were played, or could not be. */
  readonly #played: RoundMethod[] = []
  #current: Current | undefined
  #rttMs: number | undefined
  /** The caller's latest, as a callee has heard. */
  #round = 0
  /** Until when a callee waits for the next round. */
  #idleUntil: Instant | undefined
  #end: End | undefined
  #reason = 'no attempt was made'

  constructor(
    { peer, id, side, role, facts }: CampaignStart,
    world: Surroundings,
    worked?: RoundMethod,
  ) {
    this.peer = peer
    this.id = id
    this.side = side
    this.role = role
    this.#facts = believed(facts, world.own())
    this.#world = world
    this.#worked = worked
  }

  /** Set once it is over. */
  get end(): End | undefined {
    return this.#end
  }

  /** Whether the peer may have heard of it. */
  get isKnown(): boolean {
    return this.side === 'callee' || this.#current?.askedAt !== undefined || this.#played.length > 1
  }

  get facts(): SideFacts {
    return this.#facts
  }

  nextWake(): Instant | undefined {
    if (this.#end !== undefined) return undefined
    const current = this.#current
    if (current === undefined) return this.#idleUntil
    return Math.min(current.endsAt, current.overdueAt ?? Infinity)
  }

  /** Begins the first round of a caller. */
  begin(now: Instant): PunchOutput[] {
    return this.#nextRound(now)
  }

  tick(now: Instant): PunchOutput[] {
    if (this.#end !== undefined) return []
    const current = this.#current
    if (current === undefined) {
      return this.#idleUntil !== undefined && now >= this.#idleUntil ? this.#giveUp() : []
    }
    if (now >= current.endsAt) return this.#roundFailed(now)
    if (current.overdueAt !== undefined && now >= current.overdueAt) return this.#ask(now)
    return []
  }

  /** We know more of our own network. */
  ownChanged(): void {
    if (this.side === 'caller' && this.#current?.answered === true) this.#hurry(this.#current)
  }

  /** More can carry messages now: an ask that could not be sent is. */
  carriersChanged(now: Instant): PunchOutput[] {
    const current = this.#current
    if (current === undefined || this.side === 'callee' || current.answered) return []
    const waits = current.overdueAt === undefined && current.asks < LIMITS.asksPerRound
    // What the others did not deliver, a new one may: a relayed connection, where the relay passes on no signals.
    return waits || this.#hasFresh(current) ? this.#ask(now) : []
  }

  /** Whether something can reach the peer that was not used in this round. */
  #hasFresh({ used }: Current): boolean {
    return this.#carriers().some((one) => !used.has(keyOf(one)))
  }

  /** What can reach the peer now, those first that were not used in this round; without those that failed in it. */
  #carriers(): Carrier[] {
    const { used = new Set(), failed = new Set() } = this.#current ?? {}
    const order = [...used]
    const at = (one: Carrier): number => order.indexOf(keyOf(one))
    return this.#world
      .carriers(this.peer)
      .filter((one) => !failed.has(keyOf(one)))
      .sort((a, b) => at(a) - at(b))
  }

  /** An ask did not get through, so nobody has heard it: the next carrier is tried without waiting. */
  undelivered(carrier: Carrier, now: Instant): PunchOutput[] {
    const current = this.#current
    const key = keyOf(carrier)
    if (current === undefined || this.side === 'callee' || current.answered) return []
    if (!current.used.has(key) || current.failed.has(key)) return []
    current.failed.add(key)
    current.asks--
    if (current.asks > 0) {
      if (this.#hasFresh(current)) return this.#ask(now)
      current.overdueAt ??= now + LIMITS.overdueLeastMs // it was the last one, and is none now
      return []
    }
    this.#unask(current, now)
    return this.#ask(now)
  }

  /** As if the round had just begun to wait for something that can carry its ask, and to time its dials by. */
  #unask(current: Current, now: Instant): void {
    current.askedAt = undefined
    current.endsAt = current.openedAt + LIMITS.carrierMs
    current.steps = []
    const dialled = current.fireAt !== undefined && current.fireAt <= now
    if (!dialled && current.round.method !== 'search') current.fireAt = undefined
  }

  /** The peer's answer or refusal to a caller's ask. */
  heard({ message, seen }: Incoming, now: Instant): PunchOutput[] {
    const current = this.#current
    if (current === undefined || message.round !== current.number || message.type === 'ask')
      return []
    this.#vouched = seen ?? this.#vouched
    if (message.type === 'refuse') return this.#refused(message.code, now)
    if (current.answered) return []
    current.answered = true
    current.overdueAt = undefined
    current.steps.push({ name: 'answered', ms: now - current.startedAt })
    // From the first ask on: which of several was answered nobody knows, and too short a guess would cut off every handshake.
    this.#measure(now - current.startedAt)
    this.#facts = believed(message.facts, this.#world.own(), seen)
    this.#hurry(current)
    return this.#act(now, Math.min(current.fireAt ?? now, now))
  }

  /** A caller's ask, to a callee. */
  asked({ message, carrier, seen }: Incoming, now: Instant): PunchOutput[] {
    if (message.type !== 'ask') return []
    // An ask of an earlier round has been overtaken on its way.
    if (message.round < this.#round) return []
    const again = message.round === this.#round && this.#current !== undefined
    const before =
      again || this.#current === undefined
        ? []
        : [this.#ended('failed', now, 'the next round began')]
    this.#round = message.round
    this.#vouched = seen ?? this.#vouched
    this.#facts = believed(message.facts, this.#world.own(), seen)
    const { method, callerOpens, blind } = message
    const [plan] = ladder(this.#facts, this.#world.own()).filter((one) => one.method === method)
    const patienceMs = (plan ?? FALLBACK).patienceMs(this.#rtt(carrier))
    const round = { method, callerOpens, patienceMs: () => patienceMs }
    if (method === 'search' && !again) {
      const refusal = this.#admit(round, now)
      if (refusal !== undefined) {
        return [...before, this.#refuse(carrier, message, refusal), ...this.#awaitNextAsk(now)]
      }
    }
    const answer: PunchOutput = {
      type: 'send',
      peer: this.peer,
      carrier,
      message: {
        type: 'answer',
        campaign: this.id,
        round: message.round,
        facts: toldTo(this.#facts, this.#world.own()),
      },
    }
    // The answer was lost, not the ask: our dials are under way.
    if (again) return [answer]
    this.#open(round, message.round, now, patienceMs)
    this.#note('answered', now)
    if (this.#current !== undefined) this.#current.carrier = carrier
    // A blind client takes connections for a stranger's until it has our answer.
    const startAt = blind && this.role === 'server' ? now + this.#rtt(carrier) : now
    return [...before, ...this.#started(), answer, ...this.#act(now, startAt)]
  }

  /** A direct connection is there, however that came about. */
  met(at: { address: string; connectedAt?: Instant }, now: Instant): PunchOutput[] {
    if (this.#end !== undefined) return []
    const method = this.#current?.round.method ?? 'meet'
    if (at.connectedAt !== undefined) this.#note('connected', at.connectedAt)
    this.#note('secured', now)
    const ended =
      this.#current === undefined ? [] : [this.#ended('success', now, undefined, at.address)]
    this.#end = { met: true, method }
    return [...ended, { type: 'stop', peer: this.peer, met: true }]
  }

  cancel(reason: string, now: Instant): PunchOutput[] {
    if (this.#end !== undefined) return []
    return [...this.yield(reason, now), { type: 'stop', peer: this.peer, met: false }]
  }

  /** Ends it for another campaign with the same peer, which goes on with the dials. */
  yield(reason: string, now: Instant): PunchOutput[] {
    this.#end = { met: false, reason }
    return this.#current === undefined ? [] : [this.#ended('cancelled', now, reason)]
  }

  #nextRound(now: Instant): PunchOutput[] {
    for (;;) {
      const round = this.#nextOnLadder()
      if (round === undefined) return this.#giveUp()
      this.#played.push(round.method)
      const refusal = round.method === 'search' ? this.#admit(round, now) : undefined
      if (refusal !== undefined) {
        this.#reason = SEARCH_REFUSED[refusal] ?? this.#reason
        continue
      }
      this.#open(round, this.#played.length, now, LIMITS.carrierMs)
      return this.#ask(now)
    }
  }

  /** The first rung that was not played yet; what is known of both sides, and so the ladder, may have changed since the last one. */
  #nextOnLadder(): Round | undefined {
    const played = [...this.#played]
    return ladder(this.#world.own(), this.#facts, this.#worked).find(({ method }) => {
      const at = played.indexOf(method)
      if (at >= 0) played.splice(at, 1)
      return at < 0
    })
  }

  /** Facts have become clearer: a meeting that is little more than a formality now is cut short. */
  #hurry(current: Current): void {
    const [first] = ladder(this.#world.own(), this.#facts, this.#worked)
    if (current.round.method !== 'meet' || first?.method !== 'meet') return
    current.endsAt = Math.min(current.endsAt, current.startedAt + first.patienceMs(this.#rtt()))
  }

  #open(round: Round, number: number, now: Instant, patienceMs: number): void {
    this.#current = {
      round,
      number,
      openedAt: now,
      startedAt: now,
      endsAt: now + patienceMs,
      sent: 0,
      asks: 0,
      askedAt: undefined,
      overdueAt: undefined,
      answered: false,
      fireAt: undefined,
      carrier: undefined,
      used: new Set(),
      failed: new Set(),
      candidates: [],
      dials: new Map(),
      steps: [],
    }
  }

  #giveUp(): PunchOutput[] {
    this.#current = undefined
    this.#end = { met: false, reason: this.#reason }
    return [{ type: 'stop', peer: this.peer, met: false }]
  }

  /** Sends the ask of this round, the first time and again while nobody answers, by another carrier each time. */
  #ask(now: Instant): PunchOutput[] {
    const current = this.#current as Current
    const [carrier] = this.#carriers()
    if (carrier === undefined || current.sent >= LIMITS.asksMost) {
      current.overdueAt = undefined // the round's end, or a carrier, wakes us
      return []
    }
    current.used.delete(keyOf(carrier)) // the least recently used comes first next time
    current.used.add(keyOf(carrier))
    const first = current.asks === 0
    const rttMs = this.#rtt(carrier)
    current.asks++
    current.sent++
    current.askedAt = now
    current.carrier = carrier
    current.overdueAt =
      current.asks < LIMITS.asksPerRound
        ? now + Math.max(LIMITS.overdueLeastMs, rttMs * LIMITS.overdueRoundTrips)
        : undefined
    if (first) {
      // Waiting for a carrier does not count, except that a search holds its place for so long only.
      const latest = current.round.method === 'search' ? current.openedAt + SEARCH.mostMs : Infinity
      current.startedAt = now
      current.endsAt = Math.min(now + current.round.patienceMs(rttMs), latest)
      current.steps.push({ name: 'asked', ms: 0 })
    }
    const ask: PunchOutput = {
      type: 'send',
      peer: this.peer,
      carrier,
      message: {
        type: 'ask',
        campaign: this.id,
        round: current.number,
        method: current.round.method,
        callerOpens: current.round.callerOpens,
        blind: this.#facts.external.length === 0,
        facts: toldTo(this.#facts, this.#world.own()),
      },
    }
    if (!first) {
      // Time in which nobody can have answered does not count.
      if (current.round.method !== 'search')
        current.endsAt = Math.max(current.endsAt, now + current.round.patienceMs(rttMs))
      return [ask]
    }
    // The ask arrives, and the peer's first SYN leaves, after half a round trip; so does ours: two routers that answer strangers
    // with RST close the pair of ports for ten seconds when one is later by more than a SYN's way. A server's must not arrive
    // before the ask does, though, or an open listener would take it for a stranger, and both would wait for the other to speak.
    const timed = this.#knownRtt(carrier) !== undefined && !isOpen(this.#facts)
    // Towards a symmetric peer ours only opens our own router, for which it is never too soon.
    const opens = isSymmetric(this.#facts)
    const early = this.role === 'client' || current.round.method === 'search' || timed || opens
    const startAt = opens ? now : now + rttMs / 2
    const started = current.sent === 1 ? this.#started() : []
    return [...started, ask, ...(early ? this.#act(now, startAt) : [])]
  }

  /** Does our part of the round: what is dialled, probed or opened. */
  #act(now: Instant, startAt: Instant): PunchOutput[] {
    const current = this.#current as Current
    if (current.round.method === 'search') return this.#search(now, startAt)
    const own = this.#world.own()
    // A caller hears of our LAN address with our answer only; as client it would take us for one too until then.
    const waits = this.side === 'callee' && this.role === 'server'
    const lanAfterMs = waits ? Math.max(this.#rtt(), LIMITS.lanServerMs) : 0
    const targets = targetsOf(this.#facts, own, {
      dialsTo: (ip) => this.#dialsTo(ip, current, now),
      lanAfterMs,
      rttMs: this.#rtt(),
    })
    current.candidates = targets.map(({ ip, port }) => endpoint(ip, port))
    if (targets.length === 0 && this.#facts.external.length === 0) return []
    if (current.fireAt === undefined || startAt < current.fireAt) {
      current.fireAt = startAt
      this.#note('dialled', Math.max(startAt, now))
    }
    const rttMs = this.#rtt()
    const burst = current.round.method === 'burst'
    return [
      {
        type: 'dial',
        peer: this.peer,
        role: this.role,
        targets,
        expect: expectedOf(this.#facts),
        startAt,
        until: current.endsAt,
        // Behind a symmetric NAT any port is as good as another, and a new one has no past in the routers.
        fromListenPort: !isSymmetric(own),
        resendMs: isSymmetric(own)
          ? Math.max(rttMs * LIMITS.anewRoundTrips, LIMITS.anewLeastMs)
          : LIMITS.dialMs,
        pauseMs: LIMITS.redialLeastMs,
        // A burst spreads its dials over what the round trip may have been off by.
        spreadMs: burst ? Math.max(LIMITS.redialSpreadMs, rttMs) : LIMITS.redialSpreadMs,
      },
    ]
  }

  /** A host that no relay of our own choosing has seen the peer use may be anybody's. */
  #dialsTo(ip: string, { dials }: Current, now: Instant): number {
    if (ip === this.#vouched?.ip) return LIMITS.dialsVouched
    const admitted = dials.get(ip) ?? this.#world.admitDials(ip, now)
    dials.set(ip, admitted)
    return admitted
  }

  #search(now: Instant, startAt: Instant): PunchOutput[] {
    const current = this.#current as Current
    // Once is enough: an answer changes nothing about a search that is under way.
    if (current.fireAt !== undefined) return []
    const weOpen = current.round.callerOpens === (this.side === 'caller')
    const { peer, role } = this
    const until = current.endsAt
    const vouched = this.#vouched
    if (vouched === undefined) return []
    const { ip } = vouched
    if (weOpen) {
      const target = this.#knownPort(vouched)
      // The peer's facts may have changed while the ask waited for a carrier.
      if (target === undefined) return []
      current.fireAt = startAt + SEARCH.openAfterMs
      current.candidates = [endpoint(target.ip, target.port)]
      const sockets = SEARCH.sockets
      return [
        {
          type: 'knock',
          peer,
          role,
          ip: target.ip,
          port: target.port,
          sockets,
          startAt: current.fireAt,
          until,
        },
      ]
    }
    current.fireAt = now
    const observed = [...this.#facts.ports, vouched.port]
    const ports = guessPorts(
      observed.map((port, i) => ({ port, atMs: i })),
      SEARCH.probes,
      this.#world.rng,
    )
    current.candidates = [`${ip}, ${ports.length} ports`]
    this.#note('dialled', now)
    return [{ type: 'probe', peer, role, ip, ports, until }]
  }

  /** A search towards an address that no relay of ours has vouched for could be aimed at anybody. */
  #admit({ callerOpens }: Round, now: Instant): RefuseCode | undefined {
    const vouched = this.#vouched
    const weOpen = callerOpens === (this.side === 'caller')
    if (vouched === undefined || (weOpen && !this.#knownPort(vouched))) return 'unvouched'
    // Nothing draws ports for IPv6, and with a firewall alone the sides have met by now.
    if (familyOf(vouched.ip) !== 'ip4') return 'unsupported'
    return this.#world.admitSearch(this.peer, vouched.ip, now)
  }

  /** The endpoint that everybody sees of the peer, at the address that was vouched for. */
  #knownPort(vouched: Endpoint): Endpoint | undefined {
    return this.#facts.external.find(({ ip }) => ip === vouched.ip)
  }

  #refuse(carrier: Carrier, { round }: PunchMessage, code: RefuseCode): PunchOutput {
    return refusal(this.peer, carrier, { campaign: this.id, round }, code)
  }

  #refused(code: RefuseCode, now: Instant): PunchOutput[] {
    const current = this.#current as Current
    this.#reason = PEER_REFUSED[code]
    const ended = this.#ended('failed', now, this.#reason)
    // Only a search can be refused for what it is; any other refusal is meant for the whole campaign.
    if (current.round.method === 'search') {
      return [ended, { type: 'stop', peer: this.peer, met: false }, ...this.#nextRound(now)]
    }
    return [ended, ...this.#giveUp()]
  }

  #roundFailed(now: Instant): PunchOutput[] {
    const current = this.#current as Current
    const noAddress = current.candidates.length === 0
    this.#reason = this.#whyFailed(current)
    const ended = this.#ended(noAddress ? 'no_suitable_address' : 'failed', now, this.#reason)
    if (this.side === 'callee') return [ended, ...this.#awaitNextAsk(now)]
    // Without any answer the other rounds would not be heard of either.
    if (!current.answered || noAddress) return [ended, ...this.#giveUp()]
    return [ended, ...this.#nextRound(now)]
  }

  /** A callee's part is over; whether another round follows is for the caller to say. */
  #awaitNextAsk(now: Instant): PunchOutput[] {
    this.#current = undefined
    this.#idleUntil = now + LIMITS.nextAskMs
    return [{ type: 'stop', peer: this.peer, met: false }]
  }

  #whyFailed({ answered, askedAt, candidates, round }: Current): string {
    if (this.side === 'caller' && askedAt === undefined)
      return 'no relay could carry a message to the peer'
    if (this.side === 'caller' && !answered) return 'the peer did not answer'
    if (candidates.length === 0) return 'neither side knows an address of the other'
    return round.method === 'search'
      ? 'none of the guessed ports was the right one'
      : 'the connections of both sides did not meet'
  }

  #started(): PunchOutput[] {
    const method = this.#current?.round.method ?? 'meet'
    return [{ type: 'started', peer: this.peer, method, side: this.side }]
  }

  #ended(outcome: Outcome, now: Instant, reason?: string, address?: string): PunchOutput {
    const current = this.#current as Current
    if (current.round.method === 'search') this.#world.searchOver(this.peer)
    const attempt: Attempt = {
      peer: this.peer,
      at: current.startedAt,
      side: this.side,
      round: current.number,
      method: current.round.method,
      carrier: current.carrier?.kind ?? 'circuit',
      candidates: current.candidates,
      outcome,
      ms: now - current.startedAt,
      ...(reason === undefined ? {} : { reason }),
      ...(address === undefined ? {} : { address }),
      steps: current.steps,
    }
    return { type: 'ended', attempt }
  }

  #note(name: Step['name'], at: Instant): void {
    const current = this.#current
    if (current === undefined || current.steps.some((step) => step.name === name)) return
    current.steps.push({ name, ms: at - current.startedAt })
  }

  #measure(ms: number): void {
    // The least of several: every other one waited for something.
    this.#rttMs = Math.min(ms, this.#rttMs ?? Infinity)
  }

  /** The round trip to the peer through a relay. */
  #rtt(carrier?: Carrier): number {
    return Math.min(this.#knownRtt(carrier) ?? LIMITS.assumedRttMs, LIMITS.mostRttMs)
  }

  /** Measured, or as far away again as our side of it. */
  #knownRtt(carrier: Carrier | undefined = this.#current?.carrier): number | undefined {
    if (this.#rttMs !== undefined || carrier?.rttMs === undefined) return this.#rttMs
    return carrier.rttMs * (carrier.kind === 'signal' ? 2 : 1)
  }
}

const keyOf = ({ kind, relay }: Carrier): string => `${kind} ${relay}`

const FALLBACK: Pick<Round, 'patienceMs'> = { patienceMs: () => LIMITS.burstMs }

const SEARCH_REFUSED: Partial<Record<RefuseCode, string>> = {
  unvouched: 'no relay of our own choosing has seen the peer, so its ports are not searched',
  'too-soon': 'its address was searched a moment ago',
  busy: 'another search is under way',
  unsupported: 'ports are searched for over IPv4 only',
}

const PEER_REFUSED: Record<RefuseCode, string> = {
  busy: 'the peer is busy with other hole punches',
  'too-many': 'the peer had too many requests of ours',
  unvouched: 'no relay of the peer’s own choosing has seen us',
  'too-soon': 'the peer asks for a pause between searches',
  unsupported: 'the peer does not know this method',
}

export function refusal(
  peer: string,
  carrier: Carrier,
  at: { campaign: string; round: number },
  code: RefuseCode,
): PunchOutput {
  return { type: 'send', peer, carrier, message: { ...at, type: 'refuse', code, afterS: 20 } }
}
