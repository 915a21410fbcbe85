import type { Family } from '../kernel/address.ts'
import { networksOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import { LIMITS } from './limits.ts'
import type { Consensus } from './observed-addresses.ts'

/** RFC 4787 behaviour in the words of the public API. */
export type Behaviour =
  | 'none'
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'unknown'

export type Verdict = 'public' | 'private' | 'unknown'

export interface Endpoint {
  ip: string
  port: number
}

/** Whether strangers got through to us, network by network. Bounded; the oldest makes room. */
export class ReachProof {
  readonly #entries = new Map<string, { ok: boolean; at: Instant; endpoint?: Endpoint }>()

  /** The newest word of a network replaces its older one; a repeated one that does not say where keeps the place. */
  add(fromIp: string, ok: boolean, now: Instant, where?: Endpoint): void {
    const network = networksOf(fromIp)?.narrow
    if (network === undefined) return
    const before = this.#entries.get(network)
    const endpoint = where ?? (before?.ok === ok ? before.endpoint : undefined)
    this.#entries.delete(network)
    const oldest = this.#entries.keys().next().value
    if (this.#entries.size >= LIMITS.maxEvidence && oldest !== undefined) {
      this.#entries.delete(oldest)
    }
    this.#entries.set(network, { ok, at: now, ...(endpoint === undefined ? {} : { endpoint }) })
  }

  expire(now: Instant): void {
    for (const [network, { at }] of this.#entries) {
      if (now >= at + LIMITS.evidenceMs) this.#entries.delete(network)
    }
  }

  nextExpiry(): Instant | undefined {
    const times = [...this.#entries.values()].map(({ at }) => at)
    return times.length === 0 ? undefined : Math.min(...times) + LIMITS.evidenceMs
  }

  clear(): void {
    this.#entries.clear()
  }

  /** Forgets who got in through this endpoint. Returns whether anybody had. */
  forget(endpoint: Endpoint): boolean {
    const before = this.#entries.size
    for (const [network, entry] of this.#entries) {
      if (isAt(entry.endpoint, endpoint)) this.#entries.delete(network)
    }
    return this.#entries.size < before
  }

  /** Forgets that this network got in through this endpoint. */
  retract(fromIp: string, endpoint: Endpoint): void {
    const network = networksOf(fromIp)?.narrow
    if (network !== undefined && isAt(this.#entries.get(network)?.endpoint, endpoint))
      this.#entries.delete(network)
  }

  count(ok: boolean): number {
    return [...this.#entries.values()].filter((entry) => entry.ok === ok).length
  }

  /** How many got in, but not there; who does not say where might have come there. */
  countElsewhere(there: Endpoint | undefined): number {
    if (there === undefined) return this.count(true)
    return [...this.#entries.values()].filter(
      ({ ok, endpoint }) => ok && endpoint !== undefined && !isAt(endpoint, there),
    ).length
  }

  /** The endpoint through which most got in, if any said it. */
  provenEndpoints(): Endpoint[] {
    const proven = [...this.#entries.values()].flatMap(({ ok, endpoint }) =>
      ok && endpoint !== undefined ? [endpoint] : [],
    )
    const unique = new Map(proven.map((at) => [`${at.ip} ${at.port}`, at]))
    return [...unique.values()]
  }
}

function isAt(endpoint: Endpoint | undefined, { ip, port }: Endpoint): boolean {
  return endpoint?.ip === ip && endpoint.port === port
}

/** Everything known about one family at one moment. */
export interface FamilyEvidence {
  family: Family
  /** Listening endpoints on addresses of this host. */
  own: Endpoint[]
  ownPublic: Endpoint[]
  /** Seen by peers on the internet, and by peers on our local networks. */
  internet: Consensus
  local: Consensus
  /** Inbound connections and dial-backs from where we never dialled to. */
  unsolicited: ReachProof
  /** The place that our router is said to map to us. */
  mapped: Endpoint | undefined
  /** There is a firewall of our router's, and it is closed. */
  firewalled: boolean
  /** Dial-backs of peers we are connected to: a NAT may have let them in for that reason alone. */
  dialBacks: ReachProof
}

export interface Assessment {
  verdict: Verdict
  confirmations: number
  mapping: Behaviour
  filtering: Behaviour
  /** Best first. */
  external: Endpoint[]
  /** Endpoints that strangers can dial. */
  dialable: Endpoint[]
}

/** The rules of SPEC.md section 3 for one family. */
export function assess(evidence: FamilyEvidence): Assessment {
  return evidence.ownPublic.length > 0 ? onTheInternet(evidence) : behindSomething(evidence)
}

/**
 * A host with a public address of its own may still sit behind a firewall, as most homes with IPv6 do: it is public once
 * somebody got in. Until somebody failed its address is announced all the same, so that a first node can be joined.
 */
function onTheInternet(evidence: FamilyEvidence): Assessment {
  const { ownPublic, unsolicited, dialBacks, firewalled } = evidence
  const successes = unsolicited.count(true) + dialBacks.count(true)
  const failures = unsolicited.count(false) + dialBacks.count(false)
  const doubted = firewalled || failures >= LIMITS.failuresToDoubt
  const verdict = successes > 0 ? 'public' : doubted ? 'private' : 'unknown'
  return {
    verdict,
    confirmations: verdict === 'public' ? successes : failures,
    mapping: 'none',
    filtering: successes > 0 ? 'none' : 'unknown',
    external: ownPublic.slice(0, LIMITS.maxExternalPerFamily),
    dialable: successes > 0 || (failures === 0 && !firewalled) ? ownPublic : [],
  }
}

/** Without a public address of its own a host is behind a NAT, or its network knows no internet. */
function behindSomething(evidence: FamilyEvidence): Assessment {
  const { internet, local, own, unsolicited, mapped } = evidence
  const consensus = internet.voters > 0 ? internet : local
  const external = seenOutside(consensus, own)
  const reached = unsolicited.count(true)
  const proven = unsolicited.provenEndpoints()
  const mapping = mappingOf(consensus, own)
  if (reached > 0) {
    const dialable = proven.length > 0 ? proven : external.slice(0, 1)
    const all = unique([...dialable, ...external]).slice(0, LIMITS.maxExternalPerFamily)
    // Who came by a mapped port says nothing about the others.
    const filtering = unsolicited.countElsewhere(mapped) > 0 ? 'endpoint-independent' : 'unknown'
    return {
      verdict: 'public',
      confirmations: reached,
      mapping,
      filtering,
      external: all,
      dialable,
    }
  }
  const voted = external.length > 0 ? (consensus.endpoints[0]?.votes ?? 0) : 0
  return {
    verdict: external.length > 0 ? 'private' : 'unknown',
    confirmations: voted,
    mapping,
    filtering: 'unknown',
    external,
    dialable: [],
  }
}

/** The endpoints others saw that no interface of ours has. The strongest vote decides which it is. */
function seenOutside({ endpoints }: Consensus, own: Endpoint[]): Endpoint[] {
  const [winner] = endpoints
  if (winner === undefined || own.some(({ ip }) => ip === winner.ip)) return []
  return endpoints
    .filter(({ ip }) => !own.some((mine) => mine.ip === ip))
    .slice(0, LIMITS.maxExternalPerFamily)
    .map(({ ip, port }) => ({ ip, port }))
}

/** Endpoint-independent needs two witnesses at different addresses and more than half of all. */
function mappingOf({ endpoints, voters }: Consensus, own: Endpoint[]): Behaviour {
  const [winner] = endpoints
  if (winner === undefined) return 'unknown'
  if (own.some(({ ip }) => ip === winner.ip)) return 'none'
  if (voters < 2) return 'unknown'
  return winner.votes >= 2 && winner.votes * 2 > voters
    ? 'endpoint-independent'
    : 'address-and-port-dependent'
}

function unique(endpoints: Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((at) => [`${at.ip} ${at.port}`, at])).values()]
}
