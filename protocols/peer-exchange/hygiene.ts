import { parseAddress, sameNetwork } from '../kernel/address.ts'
import type { ParsedAddress } from '../kernel/address.ts'
import type { PeerKey, PeerRecord, RecordAddress } from './record.ts'

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

/** Who would dial. */
export interface Dialler {
  self: PeerKey
  scope: Scope
}

type Subject = Pick<PeerRecord, 'peer' | 'addresses'>

/** A well-formed address, with the peer at its end, and what it says. */
interface Read {
  dial: RecordAddress
  parsed: ParsedAddress
}

/** A sampler that is refilled asks this of the whole book: each record is read once. */
const known = new WeakMap<Subject, readonly Read[]>()

/**
 * The addresses of a record that this node may dial, each with its peer at the end. A record with unusable
 * addresses is passed on unchanged: they may be good ones for others, in another network.
 */
export function usableAddresses(record: Subject, dialler: Dialler): RecordAddress[] {
  const ports = new Map<string, Set<number>>()
  return wellFormed(record)
    .filter(({ parsed }) => mayDial(dialler, parsed))
    .filter(({ parsed }) => parsed.relayed || countPort(ports, parsed))
    .map(({ dial }) => dial)
}

/** Whether this node may dial any address of a record. */
export function isDialable(record: Subject, dialler: Dialler): boolean {
  return wellFormed(record).some(({ parsed }) => mayDial(dialler, parsed))
}

function wellFormed(record: Subject): readonly Read[] {
  const before = known.get(record)
  if (before !== undefined) return before
  const { peer, addresses } = record
  const read = addresses.flatMap(({ address, kind }) => {
    const parsed = parseAddress(address)
    if (parsed === undefined || !isWellFormed(address, parsed, peer)) return []
    const whole = parsed.peer === peer ? address : `${address}/p2p/${peer}`
    return [{ dial: { address: whole, kind }, parsed }]
  })
  known.set(record, read)
  return read
}

function isWellFormed(address: string, parsed: ParsedAddress, peer: PeerKey): boolean {
  if (parsed.peer !== undefined && parsed.peer !== peer) return false
  if (!parsed.relayed) return true
  const nested = address.indexOf('/p2p-circuit') !== address.lastIndexOf('/p2p-circuit')
  return !nested && parsed.relay !== undefined && parsed.relay !== peer
}

function mayDial({ self, scope }: Dialler, address: ParsedAddress): boolean {
  const { family, host, port, scope: reach, transport, relay } = address
  if (relay === self) return false
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
