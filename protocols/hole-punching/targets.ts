import { familyOf } from '../kernel/address.ts'
import type { Endpoint, SideFacts } from './facts.ts'
import { isSymmetric, sharedAddress } from './facts.ts'
import { LIMITS } from './limits.ts'

/** An endpoint to dial, how often and when. */
export interface Target extends Endpoint {
  dials: number
  /** Wait this much longer than the other targets. */
  afterMs: number
  kind: 'lan' | 'external'
}

/** How targets are dialled. */
export interface Dialling {
  /** How often a host may be dialled; none at all leaves its addresses out. */
  dialsTo: (ip: string) => number
  lanAfterMs: number
  /** The round trip to the peer through a relay. */
  rttMs: number
}

/** Where the other side may come from; any port of the host when its NAT chooses one that nobody knows. */
export interface Expected {
  ip: string
  port?: number
}

/**
 * What to dial of a peer, LAN first, then IPv6: all are dialled at once, so the order only decides who comes first when places are few.
 */
export function targetsOf(
  peer: SideFacts,
  own: SideFacts,
  { dialsTo, lanAfterMs, rttMs }: Dialling,
): Target[] {
  // A neighbour is better met on the LAN than through the router, where that is possible at all.
  const shared = sharedAddress(own, peer)
  const hairpinAfterMs = LIMITS.lanHeadStartMs + 2 * rttMs
  const hasFamily = (ip: string): boolean =>
    own.external.length === 0 ||
    [...own.external, ...own.lan].some((mine) => familyOf(mine.ip) === familyOf(ip))
  const external = peer.external
    .filter(({ ip, port }) => hasFamily(ip) && !isOurs(own, ip, port))
    .slice(0, LIMITS.external)
    .map((at) => ({
      ...at,
      kind: 'external' as const,
      dials: dialsTo(at.ip),
      afterMs: at.ip === shared ? hairpinAfterMs : 0,
    }))
  const lan = peer.lan.slice(0, LIMITS.lan).map((at) => ({
    ...at,
    kind: 'lan' as const,
    dials: dialsTo(at.ip),
    afterMs: lanAfterMs,
  }))
  const six = external.filter(({ ip }) => familyOf(ip) === 'ip6')
  const all = [...lan, ...six, ...external.filter((one) => !six.includes(one))]
  return all.filter(({ dials }) => dials > 0)
}

/** Behind one NAT without hairpin the outside of both is the same; the very same port would be our own. */
function isOurs(own: SideFacts, ip: string, port: number): boolean {
  return own.external.some((mine) => mine.ip === ip && mine.port === port)
}

/** From where the other side's connections may reach our listener instead of our sockets. */
export function expectedOf(peer: SideFacts): Expected[] {
  const hosts = new Map<string, Expected>()
  for (const { ip, port } of [...peer.external, ...peer.lan]) {
    const known = hosts.has(ip) || isSymmetric(peer) || peer.mapping === 'unknown'
    hosts.set(ip, known ? { ip } : { ip, port })
  }
  return [...hosts.values()]
}
