import type { Family } from '../kernel/address.ts'
import { canonicalIp, endpoint, familyOf, scopeOf, tcpAddress } from '../kernel/address.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import type { Assessment, Behaviour, Endpoint, Verdict } from './evidence.ts'
import { assess, ReachProof } from './evidence.ts'
import { LIMITS } from './limits.ts'
import { ObservedAddresses } from './observed-addresses.ts'
import type { Observation } from './observed-addresses.ts'

/** What happened that says something about where this node can be reached. */
export type ReachabilityInput =
  | Tick
  /** Addresses of this host with the port that is listened on there (wildcards expanded). */
  | { type: 'interfaces'; addresses: Endpoint[] }
  /** A peer told us what it sees of a connection that left from a listening port. */
  | ({ type: 'observed' } & Omit<Observation, 'at' | 'goneAt'>)
  | { type: 'observation-gone'; connection: string }
  /**
   * Somebody connected to us. `dialledBefore`: we dialled or punched towards that IP address within
   * the last minutes, so a NAT may have let it in for that reason. `via`: the address it dialled.
   */
  | { type: 'inbound'; remoteIp: string; localIp: string; dialledBefore: boolean; via?: Endpoint }
  /**
   * Somebody tried to connect back to one of our addresses. `independent`: from an IP address that
   * we were not in contact with; AutoNAT v2 alone never is.
   */
  | { type: 'dial-back'; ip: string; port: number; ok: boolean; byIp: string; independent: boolean }
  /** Addresses the operator wants announced; empty for none. */
  | { type: 'configured'; announce: string[] }
  /** The external IPv4 port that our router maps to us, and what it says its address is; undefined when it maps none. */
  | { type: 'mapped'; at: { port: number; said?: string } | undefined }
  /** Whether our router's IPv6 firewall has been opened for us; told when that changes. */
  | { type: 'pinhole'; open: boolean }

/** The whole picture at one moment. */
export interface ReachabilityState {
  verdict: Verdict
  /** Independent pieces of evidence for the verdict; 0 when it is assumed or configured. */
  confirmations: number
  mapping: Behaviour
  filtering: Behaviour
  /** `ip:port`, best first: where a hole punch can aim at. */
  externalAddresses: string[]
  /** Multiaddrs to tell others, best first, without the peer id. */
  announce: string[]
  /** `ip:port` that the router is said to map to us: worth a dial-back, and announced only after one. */
  mapped?: string
}

export type ReachabilityOutput = { type: 'changed'; state: ReachabilityState }

const FAMILIES: readonly Family[] = ['ip4', 'ip6']

interface FamilyState {
  verdict: Verdict
  /** Since when the evidence has said something else. */
  contrarySince: Instant | undefined
  /** What strangers could dial when the evidence last agreed with the verdict. */
  dialable: Endpoint[]
  unsolicited: ReachProof
  dialBacks: ReachProof
}

/** Judges whether strangers can reach this node, and what to announce. See SPEC.md. */
export class ReachabilityMachine implements Machine<ReachabilityInput, ReachabilityOutput> {
  readonly #observed = new ObservedAddresses()
  readonly #families: Record<Family, FamilyState> = { ip4: freshFamily(), ip6: freshFamily() }
  /** Own private or loopback addresses that some peer has been seen to use. */
  readonly #used = new Set<string>()
  #own: Endpoint[] = []
  #configured: string[] = []
  #mapped: { port: number; said?: string } | undefined
  /** Where the mapped port is, as far as peers see our router. */
  #mappedAt: Endpoint | undefined
  /** A firewall that was opened for us is closed again. */
  #firewalled = false
  #state: ReachabilityState = nothingKnown()

  get state(): ReachabilityState {
    return this.#state
  }

  /** External IPv4 ports that observers saw, the newest last: what a peer that searches for ours has to go by. */
  externalPorts(): number[] {
    return this.#observed.externalPorts('ip4')
  }

  step(input: ReachabilityInput, now: Instant): readonly ReachabilityOutput[] {
    this.#take(input, now)
    this.#expire(now)
    this.#followMapping()
    const state = this.#judge(now)
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return []
    this.#state = state
    return [{ type: 'changed', state }]
  }

  nextWake(): Instant | undefined {
    const times = FAMILIES.flatMap((family) => {
      const { contrarySince, unsolicited, dialBacks } = this.#families[family]
      const settled = contrarySince === undefined ? undefined : contrarySince + LIMITS.holdMs
      return [settled, unsolicited.nextExpiry(), dialBacks.nextExpiry()]
    })
    const known = [...times, this.#observed.nextExpiry()].filter((time) => time !== undefined)
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
      case 'configured':
        this.#configured = input.announce.slice(0, LIMITS.maxAnnounced)
        return
      case 'mapped':
        this.#mapped = input.at !== undefined && isPort(input.at.port) ? input.at : undefined
        return
      case 'pinhole':
        this.#firewalled = !input.open
        // Who got in before did so by the hole, as far as anybody can tell.
        if (!input.open) this.#families.ip6 = freshFamily()
    }
  }

  /**
   * The router's own word for its address only chooses among those that peers see: so nobody is ever sent to an address
   * that the router made up. Proof for a place that is mapped no more is worth nothing, and a verdict that rested on it
   * alone is over at once.
   */
  #followMapping(): void {
    const before = this.#mappedAt
    const after = this.#placeOfMapping()
    this.#mappedAt = after
    if (before === undefined || (before.ip === after?.ip && before.port === after.port)) return
    const family = this.#families.ip4
    const forgotten = family.unsolicited.forget(before)
    family.dialBacks.forget(before)
    if (!forgotten || family.unsolicited.count(true) > 0) return
    family.verdict = 'unknown'
    family.contrarySince = undefined
  }

  #placeOfMapping(): Endpoint | undefined {
    if (this.#mapped === undefined) return undefined
    const { port, said } = this.#mapped
    const { endpoints } = this.#observed.consensus('ip4', 'public')
    const ip = endpoints.find((seen) => seen.ip === said)?.ip ?? endpoints[0]?.ip
    return ip === undefined || this.#owns(ip) ? undefined : { ip, port }
  }

  /**
   * What leaves from our listening port is seen at another port than the mapped one, so no filter ever opened for the
   * mapped one: whoever gets through there came by the mapping, also a peer that we are in contact with.
   */
  #provesMapping({ ip, port }: Endpoint): boolean {
    const at = this.#mappedAt
    if (at === undefined || ip !== at.ip || port !== at.port) return false
    return this.#seenAt()?.port !== port
  }

  /** Where peers on the internet see our listening IPv4 port, by the strongest vote. */
  #seenAt(): Endpoint | undefined {
    return this.#observed.consensus('ip4', 'public').endpoints[0]
  }

  /**
   * A peer that we dial while it dials our mapped port sees us there: the router takes both for one connection. That tells
   * nothing of how it maps the others.
   */
  #isMappingItself({ ip, port }: Endpoint): boolean {
    const seen = this.#seenAt()
    return ip === this.#mappedAt?.ip && port === this.#mappedAt.port && seen?.port !== port
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
    const { connection, observer, port, localPort } = seen
    if (this.#isMappingItself({ ip, port })) return
    this.#observed.add({ connection, observer, observerIp, ip, port, localIp, localPort, at: now })
    this.#markUsed(ip, observerIp)
  }

  #inbound(input: Extract<ReachabilityInput, { type: 'inbound' }>, now: Instant): void {
    const remote = canonicalIp(input.remoteIp)
    const local = canonicalIp(input.localIp)
    const family = remote === undefined ? undefined : familyOf(remote)
    if (remote === undefined || family === undefined) return
    if (local !== undefined) this.#markUsed(local, remote)
    if (input.dialledBefore || scopeOf(remote) !== 'public' || this.#isOurs(remote)) return
    const via = input.via === undefined ? [] : readEndpoint(input.via)
    const outside = via.find(({ ip }) => scopeOf(ip) === 'public')
    this.#families[family].unsolicited.add(remote, true, now, outside)
  }

  #dialBack(input: Extract<ReachabilityInput, { type: 'dial-back' }>, now: Instant): void {
    const [target] = readEndpoint(input)
    const byIp = canonicalIp(input.byIp)
    if (target === undefined || byIp === undefined || scopeOf(target.ip) !== 'public') return
    const family = this.#families[familyOf(target.ip) ?? 'ip4']
    // A failure towards one of several addresses does not undo that the same network got in before.
    const independent = input.independent || this.#provesMapping(target)
    if (independent && input.ok) family.unsolicited.add(byIp, true, now, target)
    else family.dialBacks.add(byIp, input.ok, now, input.ok ? target : undefined)
    // Who got in by the mapping and does not any more takes its own word back, and nobody else's.
    if (!input.ok && this.#provesMapping(target)) family.unsolicited.retract(byIp, target)
  }

  /** An own address that is not for everybody is announced only once somebody used it. */
  #markUsed(ip: string, peerIp: string): void {
    const scope = scopeOf(ip)
    const fits = scope === scopeOf(peerIp) && (scope === 'private' || scope === 'loopback')
    if (fits && this.#owns(ip)) this.#used.add(ip)
  }

  #expire(now: Instant): void {
    this.#observed.expire(now)
    for (const family of FAMILIES) {
      this.#families[family].unsolicited.expire(now)
      this.#families[family].dialBacks.expire(now)
    }
  }

  #judge(now: Instant): ReachabilityState {
    const found = FAMILIES.map((family) => this.#assessFamily(family))
    for (const [i, family] of FAMILIES.entries()) {
      settle(this.#families[family], found[i] as Assessment, now)
    }
    const verdict = this.#overall()
    const decisive = found.filter((each) => each.verdict === verdict)
    const main = (decisive.length > 0 ? decisive : found).reduce(strongest)
    return {
      verdict,
      confirmations: decisive.reduce((sum, each) => sum + each.confirmations, 0),
      mapping: main.mapping,
      filtering: main.filtering,
      externalAddresses: found.flatMap(({ external }) =>
        external.map(({ ip, port }) => endpoint(ip, port)),
      ),
      announce: this.#announce(),
      ...(this.#mappedAt === undefined
        ? {}
        : { mapped: endpoint(this.#mappedAt.ip, this.#mappedAt.port) }),
    }
  }

  #assessFamily(family: Family): Assessment {
    const own = this.#own.filter(({ ip }) => familyOf(ip) === family)
    return assess({
      family,
      own,
      ownPublic: own.filter(({ ip }) => scopeOf(ip) === 'public'),
      internet: this.#observed.consensus(family, 'public'),
      local: this.#observed.consensus(family, 'private'),
      unsolicited: this.#families[family].unsolicited,
      mapped: family === 'ip4' ? this.#mappedAt : undefined,
      firewalled: family === 'ip6' && this.#firewalled,
      dialBacks: this.#families[family].dialBacks,
    })
  }

  #overall(): Verdict {
    if (this.#configured.length > 0) return 'public'
    const verdicts = FAMILIES.map((family) => this.#families[family].verdict)
    if (verdicts.includes('public')) return 'public'
    return verdicts.includes('private') ? 'private' : 'unknown'
  }

  #announce(): string[] {
    if (this.#configured.length > 0) return this.#configured
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

/**
 * A first verdict counts at once; a different one only after it has held for a while. Until then the
 * addresses of the old one stay, so that announcements never flap faster than the verdict.
 */
function settle(state: FamilyState, found: Assessment, now: Instant): void {
  if (found.verdict !== state.verdict && state.verdict !== 'unknown') {
    state.contrarySince ??= now
    if (now < state.contrarySince + LIMITS.holdMs) return
  }
  state.verdict = found.verdict
  state.contrarySince = undefined
  state.dialable = found.dialable
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

function freshFamily(): FamilyState {
  return {
    verdict: 'unknown',
    contrarySince: undefined,
    dialable: [],
    unsolicited: new ReachProof(),
    dialBacks: new ReachProof(),
  }
}

function nothingKnown(): ReachabilityState {
  return {
    verdict: 'unknown',
    confirmations: 0,
    mapping: 'unknown',
    filtering: 'unknown',
    externalAddresses: [],
    announce: [],
  }
}
