import { parseAddress, sameNetwork } from '../kernel/address.ts'
import type { ParsedAddress } from '../kernel/address.ts'
import type { PeerKey, RecordAddress } from './record.ts'

/** Which addresses that strangers may not be sent to are good ones for this node. */
export interface Scope {
  /** Peers on this very host, as in tests and demonstrations. */
  loopback: boolean
  /** Private networks this node is part of, as `10.1.2.0/24`. */
  subnets: string[]
}

/** The ports of the web are the only low ones that anybody runs a peer on; others are a victim's service. */
const LOW_PORTS = new Set([80, 443])
const FIRST_HIGH_PORT = 1024

/** One listening port and one mapped one; more are a scan of somebody's host in disguise. */
const PORTS_PER_HOST = 2

/**
 * The addresses of a record that this node may dial, each with its peer at the end. A record with unusable
 * addresses is passed on unchanged: they may be good ones for others, in another network.
 */
export function usableAddresses(
  peer: PeerKey,
  addresses: readonly RecordAddress[],
  { self, scope }: { self: PeerKey; scope: Scope },
): RecordAddress[] {
  const ports = new Map<string, Set<number>>()
  const usable: RecordAddress[] = []
  for (const { address, kind } of addresses) {
    const parsed = parseAddress(address)
    if (parsed === undefined || !isWellFormed(address, parsed, peer)) continue
    if (parsed.relay === self || !mayBeDialled(parsed, scope)) continue
    if (!parsed.relayed && !countPort(ports, parsed)) continue
    usable.push({ address: parsed.peer === peer ? address : `${address}/p2p/${peer}`, kind })
  }
  return usable
}

function isWellFormed(address: string, parsed: ParsedAddress, peer: PeerKey): boolean {
  if (parsed.peer !== undefined && parsed.peer !== peer) return false
  if (!parsed.relayed) return true
  const nested = address.indexOf('/p2p-circuit') !== address.lastIndexOf('/p2p-circuit')
  return !nested && parsed.relay !== undefined && parsed.relay !== peer
}

function mayBeDialled(
  { family, host, port, scope: reach, transport }: ParsedAddress,
  scope: Scope,
) {
  // A name could be pointed at anybody later, and costs a query to a server of the sender's choosing.
  if (family === 'dns' || transport !== 'tcp') return false
  if (port < FIRST_HIGH_PORT && !LOW_PORTS.has(port)) return false
  if (reach === 'public') return true
  if (reach === 'loopback') return scope.loopback
  return reach === 'private' && scope.subnets.some((subnet) => isWithin(host, subnet))
}

function isWithin(host: string, subnet: string): boolean {
  const [base, prefix] = subnet.split('/')
  return base !== undefined && prefix !== undefined && sameNetwork(host, base, Number(prefix))
}

function countPort(ports: Map<string, Set<number>>, { host, port }: ParsedAddress): boolean {
  const used = ports.get(host) ?? new Set()
  ports.set(host, used.add(port))
  return used.size <= PORTS_PER_HOST
}
