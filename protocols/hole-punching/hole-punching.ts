import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import { Again } from './again.ts'
import { Campaign, refusal } from './campaign.ts'
import type { Incoming, Surroundings } from './campaign.ts'
import { NOTHING_KNOWN } from './facts.ts'
import type { SideFacts } from './facts.ts'
import { Journal } from './journal.ts'
import { LIMITS } from './limits.ts'
import { Memory } from './memory.ts'
import type { Attempt, Carrier, PunchOutput, Role } from './outputs.ts'
import { SearchBudget } from './search-limits.ts'

export type PunchInput =
  | Tick
  /** What we know of our own network. */
  | { type: 'own'; facts: SideFacts }
  /** The network we were in is gone: another interface, or a wake-up from sleep. */
  | { type: 'moved' }
  /** A direct path to the peer is wanted. `campaign`: 16 random bytes as hex, should one begin. */
  | { type: 'call'; peer: string; facts: SideFacts; campaign: string }
  /** What can carry messages to the peer now, best first. */
  | { type: 'carriers'; peer: string; carriers: readonly Carrier[] }
  /** A message to the peer did not get through by this carrier. */
  | { type: 'undelivered'; peer: string; carrier: Carrier }
  | ({ type: 'message'; peer: string } & Incoming)
  /** A direct connection to the peer is open; `connectedAt`: since when, before its handshake. */
  | { type: 'met'; peer: string; address: string; connectedAt?: Instant }
  /** The last direct connection to the peer has closed, and a relayed one is left. */
  | { type: 'lost'; peer: string }
  /** Nothing links us to the peer any more, or nobody wants it directly. */
  | { type: 'gone'; peer: string }

export type { PunchOutput } from './outputs.ts'

/** Asks of one peer, most recent peers first. */
const ASKING_PEERS = 1_024

/** Hosts dialled that nobody vouched for, most recent ones first. */
const DIALLED_HOSTS = 1_024

/**
 * Decides how this node and others meet directly: who leads, what is dialled when, which method comes next, when to give up, when to
 * begin again. One campaign with a peer at a time. See SPEC.md.
 */
export class HolePunching implements Machine<PunchInput, PunchOutput> {
  readonly #self: string
  readonly #campaigns = new Map<string, Campaign>()
  readonly #carriers = new BoundedMap<string, readonly Carrier[]>(LIMITS.waiting)
  readonly #memory = new Memory()
  readonly #journal = new Journal()
  readonly #again: Again
  readonly #searches = new SearchBudget()
  /** With whom the last search that was admitted is. */
  #searching: string | undefined
  /** The campaign by which we last met each peer: a late ask of it means nothing. */
  readonly #over = new BoundedMap<string, string>(LIMITS.attemptPeers)
  readonly #asksOf = new BoundedMap<string, TokenBucket>(ASKING_PEERS)
  readonly #dialsOf = new BoundedMap<string, TokenBucket>(DIALLED_HOSTS)
  #asks: TokenBucket | undefined
  #own: SideFacts = NOTHING_KNOWN
  readonly #world: Surroundings

  constructor(self: string, rng: Rng) {
    this.#self = self
    this.#again = new Again(rng)
    this.#world = {
      own: () => this.#own,
      rng,
      carriers: (peer) => this.#carriers.get(peer) ?? [],
      admitDials: (ip, now) => this.#admitDials(ip, now),
      admitSearch: (peer, ip, now) => {
        const admitted = this.#searches.take(now, peer, ip)
        if (admitted === 'ok') {
          this.#searching = peer
          return undefined
        }
        return admitted === 'busy' ? 'busy' : 'too-soon'
      },
      searchOver: (peer) => {
        // One that ends late, after the host was asleep, must not end its successor.
        if (this.#searching === peer) this.#searches.over()
      },
    }
  }

  /** The last attempts with the peer, oldest first. */
  attempts(peer: string): readonly Attempt[] {
    return this.#journal.of(peer)
  }

  /** When the next campaign with the peer begins; undefined when none is planned. */
  againAt(peer: string): Instant | undefined {
    const at = this.#again.at(peer)
    return at === Infinity ? undefined : at
  }

  isActive(peer: string): boolean {
    return this.#campaigns.has(peer)
  }

  nextWake(): Instant | undefined {
    let next = this.#again.next()
    for (const campaign of this.#campaigns.values()) {
      const wake = campaign.nextWake()
      if (wake !== undefined && (next === undefined || wake < next)) next = wake
    }
    return next === Infinity ? undefined : next
  }

  step(input: PunchInput, now: Instant): readonly PunchOutput[] {
    const outputs = this.#take(input, now)
    for (const output of outputs) if (output.type === 'ended') this.#journal.note(output.attempt)
    return [...outputs, ...this.#conclude(now)]
  }

  #take(input: PunchInput, now: Instant): PunchOutput[] {
    switch (input.type) {
      case 'tick':
        return this.#tick(now)
      case 'own':
        return this.#setOwn(input.facts, now)
      case 'moved':
        this.#memory.clear()
        this.#again.news(now)
        return []
      case 'call':
        return this.#call(input, now)
      case 'carriers':
        this.#carriers.set(input.peer, input.carriers)
        return this.#campaigns.get(input.peer)?.carriersChanged(now) ?? []
      case 'undelivered':
        return this.#campaigns.get(input.peer)?.undelivered(input.carrier, now) ?? []
      case 'message':
        return this.#message(input, now)
      case 'met':
        this.#again.forget(input.peer)
        return this.#campaigns.get(input.peer)?.met(input, now) ?? []
      case 'lost':
        // The one with the smaller id calls at once; the other only if that does not come about.
        if (this.#self < input.peer) this.#again.soon(input.peer, now)
        else this.#again.failed(input.peer, now, 'callee')
        return []
      default:
        return this.#gone(input.peer, now)
    }
  }

  #tick(now: Instant): PunchOutput[] {
    const due = this.#again.due(now).map((peer): PunchOutput => ({ type: 'due', peer }))
    return [...due, ...[...this.#campaigns.values()].flatMap((campaign) => campaign.tick(now))]
  }

  /** Nothing is planned for it any more, not even by the campaign that ends with it. */
  #gone(peer: string, now: Instant): PunchOutput[] {
    const outputs = this.#campaigns.get(peer)?.cancel('the peer is gone', now) ?? []
    this.#campaigns.delete(peer)
    this.#carriers.delete(peer)
    this.#again.forget(peer)
    return outputs
  }

  #setOwn(facts: SideFacts, now: Instant): PunchOutput[] {
    const before = networkOf(this.#own)
    this.#own = facts
    if (networkOf(facts) === before) return []
    this.#again.news(now)
    for (const campaign of this.#campaigns.values()) campaign.ownChanged()
    return []
  }

  #call(call: Extract<PunchInput, { type: 'call' }>, now: Instant): PunchOutput[] {
    const { peer, facts, campaign: id } = call
    if (this.#campaigns.has(peer)) return []
    if (this.#campaigns.size >= LIMITS.campaigns) {
      this.#again.postpone(peer, now)
      return []
    }
    const worked = this.#memory.worked(this.#own, facts, now)
    const role = this.#roleWith(peer)
    const campaign = new Campaign({ peer, id, side: 'caller', role, facts }, this.#world, worked)
    this.#campaigns.set(peer, campaign)
    return campaign.begin(now)
  }

  #message(
    { peer, ...incoming }: Extract<PunchInput, { type: 'message' }>,
    now: Instant,
  ): PunchOutput[] {
    const { message, carrier } = incoming
    const campaign = this.#campaigns.get(peer)
    if (message.type !== 'ask') {
      const ours = campaign?.side === 'caller' && campaign.id === message.campaign
      return ours ? campaign.heard(incoming, now) : []
    }
    if (this.#over.get(peer) === message.campaign) return [] // said before the peer knew that we have met
    if (!this.#admit(peer, now)) return [refusal(peer, carrier, message, 'too-many')]
    if (campaign?.side === 'callee' && campaign.id === message.campaign) {
      return campaign.asked(incoming, now)
    }
    const yielded = this.#yield(peer, campaign, now)
    if (yielded === undefined) return []
    if (campaign === undefined && this.#campaigns.size >= LIMITS.campaigns) {
      return [refusal(peer, carrier, message, 'busy')]
    }
    const { facts, campaign: id } = message
    const role = this.#roleWith(peer)
    const callee = new Campaign({ peer, id, side: 'callee', role, facts }, this.#world)
    this.#campaigns.set(peer, callee)
    return [...yielded, ...callee.asked(incoming, now)]
  }

  /** Makes room for the peer's campaign; undefined when both call and ours goes on, which the peer knows as well as we do. */
  #yield(peer: string, campaign: Campaign | undefined, now: Instant): PunchOutput[] | undefined {
    if (campaign === undefined) return []
    if (campaign.side === 'callee') return campaign.yield('the peer began anew', now)
    const leads = this.#self < peer && campaign.isKnown
    return leads ? undefined : campaign.yield('the peer calls as well, and leads', now)
  }

  /** Whoever connects in the end, and however often: the smaller peer id is the client, so that two campaigns cannot cross. */
  #roleWith(peer: string): Role {
    return this.#self < peer ? 'client' : 'server'
  }

  #admit(peer: string, now: Instant): boolean {
    const { asksPerPeerPerMinute, asksBurst, asksPerSecond } = LIMITS
    const bucket =
      this.#asksOf.get(peer) ??
      new TokenBucket({ burst: asksPerPeerPerMinute, perSecond: asksPerPeerPerMinute / 60 }, now)
    this.#asksOf.set(peer, bucket)
    this.#asks ??= new TokenBucket({ burst: asksBurst, perSecond: asksPerSecond }, now)
    return bucket.take(1, now) && this.#asks.take(1, now)
  }

  /** Whoever says it, and under however many names: a host that may be a stranger's gets a few SYNs and then seldom more. */
  #admitDials(ip: string, now: Instant): number {
    const { dialsUnvouched, unvouchedBurst, unvouchedPerSecond } = LIMITS
    const bucket =
      this.#dialsOf.get(ip) ??
      new TokenBucket({ burst: unvouchedBurst, perSecond: unvouchedPerSecond }, now)
    this.#dialsOf.set(ip, bucket)
    return bucket.take(dialsUnvouched, now) ? dialsUnvouched : 0
  }

  /** Puts away the campaigns that are over. */
  #conclude(now: Instant): PunchOutput[] {
    const outputs: PunchOutput[] = []
    for (const [peer, { end, id, side, facts }] of this.#campaigns) {
      if (end === undefined) continue
      this.#campaigns.delete(peer)
      if (end.met) {
        this.#over.set(peer, id)
        this.#memory.note(this.#own, facts, end.method, now)
        continue
      }
      const againAt = this.#again.failed(peer, now, side)
      const planned = againAt === undefined ? {} : { againAt }
      outputs.push({ type: 'gave-up', peer, reason: end.reason, ...planned })
    }
    return outputs
  }
}

/** What of our facts makes another attempt worthwhile when it changes. */
function networkOf({ external, mapping, filtering, reachability }: SideFacts): string {
  const hosts = external.map(({ ip }) => ip).sort()
  return JSON.stringify([hosts, mapping, filtering, reachability])
}
