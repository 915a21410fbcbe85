import { ipBytes, parseAddress } from '../kernel/address.ts'
import { mix32 } from './ids.ts'
import type { PeerRecord, RecordAddress } from './record.ts'

const known = new WeakMap<PeerRecord, number>()

/**
 * The address group a peer is counted in: one owner has many identities at hand, but few of the internet's networks. A
 * peer behind relays counts for its first relay, since its own address is only its own word. Peers on private networks
 * and on one host are each a group of their own.
 */
export function groupOf(record: PeerRecord): number {
  const before = known.get(record)
  if (before !== undefined) return before
  const group = groupOfAddresses(record.addresses) ?? hash(record.peer)
  known.set(record, group)
  return group
}

/** The group as it is told to others: that of a public network, 0 for what means nothing elsewhere. */
export function toldGroup(group: number): number {
  return group < NOWHERE ? group : 0
}

/** The group of an address that a connection proves. */
export function groupOfAddress(address: string): number {
  return groupOfAddresses([{ address, kind: 'direct' }]) ?? hash(address)
}

/** Of public networks the number that their first bits are, IPv4 16 and IPv6 32 of them: SPEC.md section 4. */
function groupOfAddresses(addresses: readonly RecordAddress[]): number | undefined {
  const [first] = [...addresses].sort((a, b) => ORDER[a.kind] - ORDER[b.kind])
  const parsed = first && parseAddress(first.address)
  if (parsed === undefined) return undefined
  const bytes = parsed.scope === 'public' ? ipBytes(parsed.host) : undefined
  if (bytes === undefined) return hash(`${parsed.host} ${parsed.port}`)
  return bytes.subarray(0, bytes.length === 4 ? 2 : 4).reduce((sum, byte) => sum * 256 + byte, 0)
}

/** Of public IPv6 addresses the first bit is not set: from here on are groups that are no networks. */
const NOWHERE = 2 ** 31

const ORDER = { direct: 0, relayed: 1, external: 2, lan: 3 }

function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = mix32(value ^ text.charCodeAt(i))
  return NOWHERE + (value >>> 1)
}
