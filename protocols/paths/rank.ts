import { canonicalIp, endpoint, parseAddress, sameNetwork, scopeOf } from '../kernel/address.ts'
import type { ParsedAddress } from '../kernel/address.ts'

/** An address of a peer, and what the peer says it is. */
export interface Candidate {
  address: string
  /** `external`: its NAT's outside, where a stranger's connection usually does not get in. */
  kind: 'direct' | 'relayed' | 'external' | 'lan'
}

/** What decides which addresses make sense from here. */
export interface OwnNetwork {
  /** Our peer id. */
  self: string
  /** Our listening endpoints; `prefix` is the length of the subnet, if known. */
  endpoints: { ip: string; port: number; prefix?: number }[]
  /** `ip:port` outside our NAT. */
  external: string[]
  /** Families with a route to anywhere. */
  families: { ip4: boolean; ip6: boolean }
}

/** What the peer says about itself, where known. */
export interface PeerNetwork {
  reachability?: 'public' | 'private' | 'unknown'
  filtering?: string
}

/** One address of a race, and how long after its start it may be tried. */
export interface RaceEntry {
  address: string
  startAfterMs: number
}

/** Each address costs a connection attempt here and somewhere; hostile records may list any number. */
const MAX_ENTRIES = 16

/** Candidates looked at. */
const MAX_CANDIDATES = 64

/** RFC 8305: between attempts over the internet, so that the first usually wins alone. */
const PUBLIC_STEP_MS = 250

/** On a local network an answer takes single milliseconds. */
const LAN_STEP_MS = 30

/** A public peer answers its own address within this time; a relay would only be in the way. */
const RELAY_AFTER_PUBLIC_MS = 500

/** With a peer on our own network, the relay waits for one LAN round trip with handshake. */
const RELAY_AFTER_LAN_MS = 100

/** The usual subnets, where the interface does not say. */
const USUAL_PREFIX = { ip4: 24, ip6: 64 }

interface Usable {
  text: string
  parsed: ParsedAddress
  kind: Candidate['kind']
}

/** Orders a peer's addresses into a race: LAN, then IPv6 and IPv4 in turn, relays beside them. */
export function rank(
  candidates: readonly Candidate[],
  own: OwnNetwork,
  peer: PeerNetwork = {},
): RaceEntry[] {
  const usable = readable(candidates, own)
  const relayed = usable.filter(({ parsed }) => parsed.relayed)
  const direct = usable.filter(({ parsed }) => !parsed.relayed)
  const onHost = sharesHost(direct, own)

  const lan = direct.filter(({ parsed }) => isLan(parsed, own, onHost))
  const open = direct.filter((one) => one.parsed.scope === 'public' && !isClosed(one, peer))
  const remote = alternated(open)
  // An address in somebody else's private network most likely leads to a stranger, or nowhere; better than nothing,
  // though. A closed door is worse than nothing: when both sides knock at once their connections meet,
  // both play the client, and after that failure the routers drop whatever uses those ports for ten seconds.
  const lastResort = direct.filter((one) => one.parsed.scope !== 'loopback' && !isClosed(one, peer))

  const first = [
    ...spaced(lan, 0, LAN_STEP_MS),
    ...spaced(remote, lan.length * LAN_STEP_MS, PUBLIC_STEP_MS),
  ]
  const relayStart = startOfRelays(lan.length, remote.length, peer)
  const plan = [...first, ...spaced(relayed, relayStart, PUBLIC_STEP_MS)]
  const entries = plan.length > 0 ? plan : spaced(lastResort, 0, PUBLIC_STEP_MS)
  return entries.sort((a, b) => a.startAfterMs - b.startAfterMs).slice(0, MAX_ENTRIES)
}

/** Without what cannot be read, dialled from here, or leads back to ourselves; and without doubles. */
function readable(candidates: readonly Candidate[], own: OwnNetwork): Usable[] {
  const found = new Map<string, Usable>()
  for (const { address, kind } of candidates.slice(0, MAX_CANDIDATES)) {
    const parsed = parseAddress(address)
    if (parsed === undefined || parsed.transport !== 'tcp' || !isRoutable(parsed, own)) continue
    if (parsed.relayed ? parsed.relay === own.self : isOurs(parsed, own)) continue
    const key = `${endpoint(parsed.host, parsed.port)} ${parsed.relay ?? ''}`
    if (!found.has(key)) found.set(key, { text: address, parsed, kind })
  }
  return [...found.values()]
}

function isRoutable({ family, scope }: ParsedAddress, own: OwnNetwork): boolean {
  // A link-local address needs a zone, which another host's record cannot know.
  if (scope === 'unusable' || scope === 'link-local') return false
  return family === 'dns' || scope === 'loopback' || own.families[family]
}

function isOurs({ host, port }: ParsedAddress, own: OwnNetwork): boolean {
  const mine = own.endpoints.some((each) => each.port === port && canonicalIp(each.ip) === host)
  return mine || own.external.includes(endpoint(host, port))
}

/** A peer on this very host: it has an address of ours, or nothing but loopback ones. */
function sharesHost(direct: Usable[], own: OwnNetwork): boolean {
  if (direct.length > 0 && direct.every(({ parsed }) => parsed.scope === 'loopback')) return true
  return direct.some(
    ({ parsed }) =>
      parsed.scope !== 'loopback' &&
      own.endpoints.some(({ ip }) => canonicalIp(ip) === parsed.host),
  )
}

function isLan(parsed: ParsedAddress, own: OwnNetwork, onHost: boolean): boolean {
  if (parsed.scope === 'loopback') return onHost
  const family = parsed.family
  if (family === 'dns') return false
  return own.endpoints.some(({ ip, prefix }) => {
    // Public addresses of one subnet say little: providers give neighbours to strangers.
    if (scopeOf(ip) !== 'private' || parsed.scope !== 'private') return ip === parsed.host
    return sameNetwork(ip, parsed.host, prefix ?? USUAL_PREFIX[family])
  })
}

/**
 * A door that lets nobody in unasked, which is the hole punch's business: a NAT's outside, or the public address of a peer
 * that does not claim to be reachable there, as most hosts with IPv6 are not. A public node is sure of itself within
 * a second of its first contact.
 */
function isClosed({ kind, parsed }: Usable, { filtering, reachability }: PeerNetwork): boolean {
  if (kind === 'external') return filtering !== 'endpoint-independent' && filtering !== 'none'
  return parsed.scope === 'public' && (reachability === 'private' || reachability === 'unknown')
}

/** IPv6 first and then in turn; names count as IPv4. */
function alternated(usable: Usable[]): Usable[] {
  const six = usable.filter(({ parsed }) => parsed.family === 'ip6')
  const four = usable.filter(({ parsed }) => parsed.family !== 'ip6')
  const longest = Math.max(six.length, four.length)
  return Array.from({ length: longest }, (_, i) => [six[i], four[i]])
    .flat()
    .filter((one) => one !== undefined)
}

function startOfRelays(lan: number, remote: number, { reachability }: PeerNetwork): number {
  if (lan > 0) return RELAY_AFTER_LAN_MS
  if (remote === 0 || reachability === 'private') return 0
  return RELAY_AFTER_PUBLIC_MS
}

function spaced(usable: Usable[], from: number, step: number): RaceEntry[] {
  return usable.map(({ text }, i) => ({ address: text, startAfterMs: from + i * step }))
}
