import { familyOf, scopeOf } from '../kernel/address.ts'

/** RFC 4787 behaviour in the words of the public API. */
export type Behaviour =
  | 'unknown'
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'none'

export interface Endpoint {
  ip: string
  port: number
}

/** What one side knows of its own network, or has been told of the other's. */
export interface SideFacts {
  /** Where others see its listening port, best first. */
  external: Endpoint[]
  /** Its addresses in private networks; told only to a peer that is seen behind the same external address. */
  lan: Endpoint[]
  mapping: Behaviour
  filtering: Behaviour
  reachability: 'unknown' | 'public' | 'private'
  /** External ports that observers saw of one local port, the newest last. */
  ports: number[]
  /** Whether some observer saw the very port that is listened on: most NATs that do so map it for everybody. */
  preservesPort: boolean
}

export const NOTHING_KNOWN: SideFacts = {
  external: [],
  lan: [],
  mapping: 'unknown',
  filtering: 'unknown',
  reachability: 'unknown',
  ports: [],
  preservesPort: false,
}

/** Its NAT gives every destination another port, so that nobody knows where to knock. */
export function isSymmetric({ mapping }: SideFacts): boolean {
  return mapping === 'address-and-port-dependent' || mapping === 'address-dependent'
}

/** One external port for everybody, as far as observers can tell. */
export function isStable({ mapping }: SideFacts): boolean {
  return mapping === 'endpoint-independent' || mapping === 'none'
}

/** Strangers get in. */
export function isOpen({ filtering, reachability }: SideFacts): boolean {
  return reachability === 'public' || filtering === 'endpoint-independent' || filtering === 'none'
}

/** An IPv4 address that both are seen behind: they share a router, or a provider's. */
export function sharedAddress(a: SideFacts, b: SideFacts): string | undefined {
  const theirs = new Set(b.external.map(({ ip }) => ip))
  return a.external.find(({ ip }) => familyOf(ip) === 'ip4' && theirs.has(ip))?.ip
}

/** What may be told to that peer: LAN addresses only to a neighbour, and nothing that cannot be dialled. */
export function toldTo(peer: SideFacts, own: SideFacts): SideFacts {
  return sharedAddress(own, peer) === undefined ? { ...own, lan: [] } : own
}

/** What a peer says, without what it has no business to say. Private addresses elsewhere would lead to strangers. */
export function believed(theirs: SideFacts, own: SideFacts, seen?: Endpoint): SideFacts {
  const external = usable(seen === undefined ? theirs.external : withSeen(theirs, seen), own, seen)
  const neighbour = sharedAddress(own, { ...theirs, external }) !== undefined
  return {
    ...theirs,
    external,
    lan: neighbour ? theirs.lan.filter(({ ip }) => scopeOf(ip) === 'private') : [],
  }
}

/**
 * Addresses of private networks, as a peer's outside, mean something only where we are seen at such ones as well. And whoever is
 * seen elsewhere is not behind our router, whatever it says: its LAN addresses would be hosts of ours.
 */
function usable(external: Endpoint[], own: SideFacts, seen: Endpoint | undefined): Endpoint[] {
  const scopes = new Set(['public', ...own.external.map(({ ip }) => scopeOf(ip))])
  const ours = new Set(own.external.map(({ ip }) => ip))
  const elsewhere = seen !== undefined && familyOf(seen.ip) === 'ip4' && !ours.has(seen.ip)
  return external.filter(({ ip }) => {
    const scope = scopeOf(ip)
    return scope !== 'unusable' && scopes.has(scope) && !(elsewhere && ours.has(ip))
  })
}

/** What a relay saw of the peer's connection is fresher than what the peer has heard from others. */
function withSeen(theirs: SideFacts, seen: Endpoint): Endpoint[] {
  const known = theirs.external.some(({ ip, port }) => ip === seen.ip && port === seen.port)
  if (known || isSymmetric(theirs)) {
    const [same, rest] = [true, false].map((wanted) =>
      theirs.external.filter(({ ip }) => (ip === seen.ip) === wanted),
    ) as [Endpoint[], Endpoint[]]
    return same.length > 0 ? [...same, ...rest] : [seen, ...rest]
  }
  return [seen, ...theirs.external]
}
