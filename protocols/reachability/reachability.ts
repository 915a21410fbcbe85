import type { Family } from '../kernel/address.ts'
import { canonicalIp, endpoint, familyOf, scopeOf, tcpAddress } from '../kernel/address.ts'
import type { Instant, Machine } from '../kernel/machine.ts'
import type { Assessment, FamilyEvidence } from './evidence.ts'
import type { Behaviour, Endpoint, Verdict } from './types.ts'
import { Claims } from './claims.ts'
import type { Claim, ClaimEvidence } from './claims.ts'
import { assess } from './evidence.ts'
import { freshFamily, loseMapping, settle, wakesOf, watchOutside } from './family.ts'
import type { FamilyState } from './family.ts'
import type { ReachabilityInput } from './inputs.ts'
import { LIMITS } from './limits.ts'
import { MappedPort } from './mapped-port.ts'
import { ObservedAddresses } from './observed-addresses.ts'
import { reasonsOf } from './reasons.ts'
import type { Reason } from './reasons.ts'
import type { PortChoice } from './samples.ts'
import { LISTENING } from './words.ts'

export type { ReachabilityInput } from './inputs.ts'

/** The whole picture at one moment. */
export interface ReachabilityState {
  verdict: Verdict
  /** Independent pieces of evidence for the verdict; 0 when it is assumed or configured. */
  confirmations: number
  mapping: Behaviour
  filtering: Behaviour
  /** How the router picks outside ports. */
  ports: PortChoice
  /** `ip:port`, best first: where a hole punch can aim at. */
  externalAddresses: string[]
  /** Multiaddrs to tell others, best first, without the peer id. */
  announce: string[]
  /** `ip:port` that the router is said to map to us: worth a dial-back, and announced only after one. */
  mapped?: string
  /** Addresses that the operator wants announced, and what is known of each; none when he wants none. */
  claims: Claim[]
  /** `ip:port` of those that helpers of the NAT probe may try. */
  claimed: string[]
  /** Nothing that a probe could tell is in doubt. */
  settled: boolean
}

export type ReachabilityOutput = { type: 'changed'; state: ReachabilityState }

const FAMILIES: readonly Family[] = ['ip4', 'ip6']

/** Judges whether strangers can reach this node, and what to announce. See SPEC.md. */
export class ReachabilityMachine implements Machine<ReachabilityInput, ReachabilityOutput> {
  readonly #observed = new ObservedAddresses()
  readonly #families: Record<Family, FamilyState> = { ip4: freshFamily(), ip6: freshFamily() }
  /** Own private or loopback addresses that some peer has been seen to use. */
  readonly #used = new Set<string>()
  #own: Endpoint[] = []
  readonly #mapped = new MappedPort()
  /** Since when a firewall that was opened for us is closed again. */
  #firewalledAt: Instant | undefined
  readonly #claims = new Claims()
  #state: ReachabilityState = nothingKnown()
  #judgedAt: Instant = 0

  get state(): ReachabilityState {
    return this.#state
  }

  /** External IPv4 ports that observers saw, the newest last: what a peer that searches for ours has to go by. */
  externalPorts(): number[] {
    const observed = this.#observed.externalPorts('ip4')
    // With one outside port for everybody, those of new connections are of no use to anybody.
    const stable = this.#state.mapping === 'endpoint-independent'
    return stable ? observed : [...observed, ...this.#families.ip4.samples.ports()]
  }

  /** What the verdict rests on, the strongest first. */
  reasons(): Reason[] {
    // What nobody confirms and nobody denies rests on the configuration alone.
    const believed = this.#claims.any && this.#state.announce.length > 0
    return reasonsOf(
      FAMILIES.map((family) => this.#evidence(family)),
      believed ? this.#claims.since : undefined,
    )
  }

  /** New evidence speaks against the verdict, and has not stood long enough to change it. */
  get wavers(): boolean {
    return FAMILIES.some((family) => this.#families[family].contrarySince !== undefined)
  }

  step(input: ReachabilityInput, now: Instant): readonly ReachabilityOutput[] {
    this.#take(input, now)
    this.#expire(now)
    const state = this.#judge(now)
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return []
    this.#state = state
    return [{ type: 'changed', state }]
  }

  nextWake(): Instant | undefined {
    const times = FAMILIES.flatMap((family) => wakesOf(this.#families[family]))
    const unsettled = this.#state.settled ? this.#settledUntil() : undefined
    const claims = this.#claims.nextChange(this.#judgedAt)
    const known = [...times, unsettled, claims, this.#observed.nextExpiry()].filter(
      (time) => time !== undefined && Number.isFinite(time),
    ) as Instant[]
    return known.length === 0 ? undefined : Math.min(...known)
  }

  #take(input: ReachabilityInput, now: Instant): void {
    switch (input.type) {
      case 'tick':
        return
      case 'interfaces':
        return this.#interfaces(input.addresses)
      case 'observed':
        return this.#observation(input, now)
      case 'observation-gone':
        return this.#observed.gone(input.connection, now)
      case 'inbound':
        return this.#inbound(input, now)
      case 'dial-back':
        return this.#dialBack(input, now)
      case 'sampled':
        return this.#sampled(input, now)
      case 'probed':
        return this.#probed(input, now)
      case 'mapped':
        return this.#mapped.say(
          input.at !== undefined && isPort(input.at.port) ? input.at : undefined,
        )
      case 'pinhole':
        return this.#pinhole(input.open, now)
      default:
        this.#claims.set(input.announce, now)
    }
  }

  /** What was learnt over an address that is gone says nothing about the network we are in now. */
  #interfaces(addresses: Endpoint[]): void {
    const before = this.#own
    this.#own = addresses.flatMap(readEndpoint).slice(0, LIMITS.maxInterfaces)
    const removed = before.filter(({ ip }) => !this.#owns(ip))
    if (removed.length === 0) return
    for (const { ip } of removed) this.#used.delete(ip)
    const dropped = this.#observed.dropLocal((ip) => this.#owns(ip))
    for (const family of FAMILIES) {
      const lost = removed.filter(({ ip }) => familyOf(ip) === family)
      // A container bridge that goes away carried nothing and changes nothing.
      const mattered = dropped > 0 || lost.some(({ ip }) => scopeOf(ip) === 'public')
      if (lost.length > 0 && mattered) this.#families[family] = freshFamily()
    }
  }

  #observation(seen: Extract<ReachabilityInput, { type: 'observed' }>, now: Instant): void {
    const ip = canonicalIp(seen.ip)
    const observerIp = canonicalIp(seen.observerIp)
    const localIp = canonicalIp(seen.localIp)
    if (ip === undefined || observerIp === undefined || localIp === undefined) return
    // Only what left from a port we listen on tells where that port is seen.
    const listening = this.#own.some((own) => own.port === seen.localPort && own.ip === localIp)
    if (!listening || !isPort(seen.port) || familyOf(ip) !== familyOf(localIp)) return
    if (this.#mapped.isAside({ ip, port: seen.port })) return
    const { connection, observer, port, localPort, trusted = false } = seen
    const observation = { connection, observer, observerIp, ip, port, localIp, localPort, trusted }
    this.#observed.add({ ...observation, at: now })
    this.#markUsed(ip, observerIp)
  }

  #inbound(input: Extract<ReachabilityInput, { type: 'inbound' }>, now: Instant): void {
    const remote = canonicalIp(input.remoteIp)
    const local = canonicalIp(input.localIp)
    const family = remote === undefined ? undefined : familyOf(remote)
    if (remote === undefined || family === undefined) return
    if (local !== undefined) this.#markUsed(local, remote)
    if (input.dialledBefore || scopeOf(remote) !== 'public' || this.#isOurs(remote)) return
    const told = input.via === undefined ? [] : readEndpoint(input.via)
    const via = told.find(({ ip }) => scopeOf(ip) === 'public')
    const bare = local !== undefined && scopeOf(local) === 'public'
    const door = bare ? LISTENING : via === undefined ? '' : endpoint(via.ip, via.port)
    this.#families[family].words.add(remote, {
      kind: 'inbound',
      ok: true,
      stranger: true,
      trusted: false,
      other: false,
      door,
      ...(via !== undefined && { via }),
      at: now,
    })
  }

  #dialBack(input: Extract<ReachabilityInput, { type: 'dial-back' }>, now: Instant): void {
    const [target] = readEndpoint(input)
    const byIp = canonicalIp(input.byIp)
    if (target === undefined || byIp === undefined || scopeOf(target.ip) !== 'public') return
    const { words } = this.#families[familyOf(target.ip) ?? 'ip4']
    const door = this.#owns(target.ip) ? LISTENING : endpoint(target.ip, target.port)
    const aside = this.#mapped.isAside(target)
    words.add(byIp, {
      kind: 'autonat',
      ok: input.ok,
      stranger: input.ok && (input.independent || aside),
      trusted: false,
      other: false,
      door,
      ...(input.ok && { via: target }),
      at: now,
    })
    // Who got in by the mapping and does not any more takes its own word back, and nobody else's.
    if (!input.ok && aside) words.retract(byIp, door)
  }

  #sampled(input: Extract<ReachabilityInput, { type: 'sampled' }>, now: Instant): void {
    const byIp = canonicalIp(input.byIp)
    if (byIp === undefined || scopeOf(byIp) !== 'public') return
    const { seen, listening, fresh, listeningPort, trusted } = input
    const sample = { seen, listening, fresh, listeningPort, trusted, at: now }
    this.#families[familyOf(byIp) ?? 'ip4'].samples.add(byIp, sample)
  }

  #probed(input: Extract<ReachabilityInput, { type: 'probed' }>, now: Instant): void {
    const byIp = canonicalIp(input.byIp)
    const from = input.from === undefined ? byIp : canonicalIp(input.from)
    if (byIp === undefined || from === undefined || scopeOf(byIp) !== 'public') return
    const { door, other, result, trusted } = input
    const { filters, words } = this.#families[familyOf(byIp) ?? 'ip4']
    if (door !== 'mapped') filters.add(byIp, { result, door, other, at: now })
    const way = this.#wayOf(input)
    if (way === undefined) return
    // Success belongs to the network that came in; that nobody did is the helper's word.
    const ok = result !== 'failed'
    const stranger = result === 'stranger'
    if (!ok && door === 'mapped' && !other) words.retract(byIp, way)
    words.add(ok ? from : byIp, { kind: 'probe', ok, stranger, trusted, other, door: way, at: now })
  }

  /**
   * Which way in a probe tells about. A fresh port is no way in, but a router that lets a stranger in there does so at the
   * listening port, where the helper got in before.
   */
  #wayOf({
    door,
    result,
    byIp,
    port,
  }: Extract<ReachabilityInput, { type: 'probed' }>): string | undefined {
    if (door === 'listening') return LISTENING
    if (door !== 'mapped') return result === 'stranger' ? LISTENING : undefined
    const { at } = this.#mapped
    const places = [...(at === undefined ? [] : [at]), ...this.#claims.toTry(this.#claimEvidence())]
    const place = places.find((one) => one.port === port && familyOf(one.ip) === familyOf(byIp))
    return place && endpoint(place.ip, place.port)
  }

  #pinhole(open: boolean, now: Instant): void {
    this.#firewalledAt = open ? undefined : now
    // Who got in before did so by the hole, as far as anybody can tell.
    if (!open) this.#families.ip6 = freshFamily()
  }

  /** An own address that is not for everybody is announced only once somebody used it. */
  #markUsed(ip: string, peerIp: string): void {
    const scope = scopeOf(ip)
    const fits = scope === scopeOf(peerIp) && (scope === 'private' || scope === 'loopback')
    if (fits && this.#owns(ip)) this.#used.add(ip)
  }

  #expire(now: Instant): void {
    this.#observed.expire(now)
    const gone = this.#mapped.follow(this.#observed.consensus('ip4', 'public'), (ip) =>
      this.#owns(ip),
    )
    if (gone !== undefined) loseMapping(this.#families.ip4, endpoint(gone.ip, gone.port))
    for (const family of FAMILIES) {
      const state = this.#families[family]
      for (const each of [state.words, state.filters, state.samples]) each.expire(now)
      watchOutside(state, this.#observed.consensus(family, 'public'))
    }
  }

  #judge(now: Instant): ReachabilityState {
    this.#judgedAt = now
    const found = FAMILIES.map((family) => assess(this.#evidence(family)))
    for (const [i, family] of FAMILIES.entries()) {
      settle(this.#families[family], found[i] as Assessment, now)
    }
    const told = this.#claimEvidence()
    const announce = this.#announce(told, now)
    const verdict = this.#overall(announce)
    const decisive = found.filter((each) => each.verdict === verdict)
    const main = (decisive.length > 0 ? decisive : found).reduce(strongest)
    const until = this.#settledUntil(told)
    const { at } = this.#mapped
    return {
      verdict,
      confirmations: decisive.reduce((sum, each) => sum + each.confirmations, 0),
      mapping: main.mapping,
      filtering: main.filtering,
      ports: main.ports,
      externalAddresses: found.flatMap(({ external }) =>
        external.map(({ ip, port }) => endpoint(ip, port)),
      ),
      announce,
      ...(at !== undefined && { mapped: endpoint(at.ip, at.port) }),
      claims: this.#claims.judge(told),
      claimed: this.#claims.toTry(told).map((place) => endpoint(place.ip, place.port)),
      settled: until !== undefined && now < until,
    }
  }

  /**
   * Configured addresses need no probes once they are proven, or when nobody can try them; nor does a host whose every family
   * has an address of the internet at which a stranger has come in lately. Undefined for everybody else.
   */
  #settledUntil(told = this.#claimEvidence()): Instant | undefined {
    if (this.#claims.any) return this.#claims.provenUntil(told)
    const outside = FAMILIES.map((family) => this.#evidence(family)).filter(
      ({ ownPublic, internet }) => ownPublic.length > 0 || internet.voters > 0,
    )
    if (outside.length === 0) return undefined
    const times = outside.map(({ ownPublic, words }) => {
      const inbound = words.good().filter(({ kind }) => kind === 'inbound')
      const last = Math.max(...inbound.map(({ at }) => at))
      return ownPublic.length > 0 ? last + LIMITS.settledMs : -Infinity
    })
    const until = Math.min(...times)
    return Number.isFinite(until) ? until : undefined
  }

  #evidence(family: Family): FamilyEvidence {
    const own = this.#own.filter(({ ip }) => familyOf(ip) === family)
    const { words, filters, samples } = this.#families[family]
    return {
      family,
      own,
      ownPublic: own.filter(({ ip }) => scopeOf(ip) === 'public'),
      internet: this.#observed.consensus(family, 'public'),
      local: this.#observed.consensus(family, 'private'),
      words,
      filters,
      samples,
      mapped: family === 'ip4' ? this.#mapped.at : undefined,
      firewalledAt: family === 'ip6' ? this.#firewalledAt : undefined,
    }
  }

  #claimEvidence(): Record<Family, ClaimEvidence> {
    const of = (family: Family): ClaimEvidence => ({
      words: this.#families[family].words,
      own: this.#own.filter(({ ip }) => familyOf(ip) === family),
      seen: this.#observed.consensus(family, 'public').endpoints,
    })
    return { ip4: of('ip4'), ip6: of('ip6') }
  }

  #overall(announce: string[]): Verdict {
    if (this.#claims.any && announce.length > 0) return 'public'
    const verdicts = FAMILIES.map((family) => this.#families[family].verdict)
    if (verdicts.includes('public')) return 'public'
    return verdicts.includes('private') ? 'private' : 'unknown'
  }

  #announce(told: Record<Family, ClaimEvidence>, now: Instant): string[] {
    if (this.#claims.any) return this.#claims.announced(told, now)
    const dialable = FAMILIES.flatMap((family) => this.#families[family].dialable)
    const used = this.#own.filter(({ ip }) => this.#used.has(ip))
    const wideFirst = used.sort((a, b) => Number(isLoopback(a)) - Number(isLoopback(b)))
    const all = [...dialable, ...wideFirst].map(({ ip, port }) => tcpAddress(ip, port))
    return [...new Set(all)].slice(0, LIMITS.maxAnnounced)
  }

  /** Our own router sends us back to ourselves: somebody behind it came in, not a stranger. */
  #isOurs(ip: string): boolean {
    const [winner] = this.#observed.consensus(familyOf(ip) ?? 'ip4', 'public').endpoints
    return this.#owns(ip) || winner?.ip === ip
  }

  #owns(ip: string): boolean {
    return this.#own.some((own) => own.ip === ip)
  }
}

/** The family about which more is known speaks for the node. */
function strongest(a: Assessment, b: Assessment): Assessment {
  if (a.mapping === 'unknown' && b.mapping !== 'unknown') return b
  return a
}

function readEndpoint({ ip, port }: Endpoint): Endpoint[] {
  const canonical = canonicalIp(ip)
  if (canonical === undefined || scopeOf(canonical) === 'unusable' || !isPort(port)) return []
  return [{ ip: canonical, port }]
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65536
}

function isLoopback({ ip }: Endpoint): boolean {
  return scopeOf(ip) === 'loopback'
}

function nothingKnown(): ReachabilityState {
  return {
    verdict: 'unknown',
    confirmations: 0,
    mapping: 'unknown',
    filtering: 'unknown',
    ports: 'unknown',
    externalAddresses: [],
    announce: [],
    claims: [],
    claimed: [],
    settled: false,
  }
}
