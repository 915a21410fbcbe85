import { networksOf, parseAddress } from '../kernel/address.ts'
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
  const text = groupText(record.addresses) ?? record.peer
  const group = hash(text)
  known.set(record, group)
  return group
}

/** The group of an address that a connection proves. */
export function groupOfAddress(address: string): number {
  return hash(groupText([{ address, kind: 'direct' }]) ?? address)
}

function groupText(addresses: readonly RecordAddress[]): string | undefined {
  const [first] = [...addresses].sort((a, b) => ORDER[a.kind] - ORDER[b.kind])
  const parsed = first && parseAddress(first.address)
  if (parsed === undefined) return undefined
  const shared = parsed.scope === 'public' ? networksOf(parsed.host)?.wide : undefined
  return shared ?? `${parsed.host} ${parsed.port}`
}

const ORDER = { direct: 0, relayed: 1, external: 2, lan: 3 }

function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = mix32(value ^ text.charCodeAt(i))
  return value
}
