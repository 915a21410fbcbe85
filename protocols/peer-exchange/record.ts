import { attempt } from '../kernel/protobuf-bytes.ts'
import { bad, ok } from './codec.ts'
import type { RecordFault, Result } from './codec.ts'
import { limits } from './limits.ts'
import { RecordPayload } from './messages.ts'
import type { Instant } from '../kernel/machine.ts'

/** The text of a peer id. */
export type PeerKey = string

export type AddressKind = 'direct' | 'relayed' | 'external' | 'lan'
export type NatBehaviour =
  | 'unknown'
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'none'

export interface RecordAddress {
  address: string
  kind: AddressKind
}

export interface RelayOffer {
  slotsTotal: number
  slotsFree: number
  unlimited: boolean
}

/** What a node says about itself. */
export interface SelfFacts {
  /** Best first; the surplus is left out of the record. */
  addresses: RecordAddress[]
  reachability: 'unknown' | 'public' | 'private'
  mapping: NatBehaviour
  filtering: NatBehaviour
  services: string[]
  relay?: RelayOffer
}

/** A record as read: its subject is whoever signed it. */
export interface PeerRecord extends SelfFacts {
  peer: PeerKey
  seq: number
  issuedAt: Instant
  ttlMs: number
  networkId: bigint
  leaving: boolean
}

/** How peers and addresses are written: given by the driver, since binary multiaddrs are libp2p's business. */
export interface Notation {
  addressBytes(text: string): Uint8Array | undefined
  addressText(bytes: Uint8Array): string | undefined
  peerBytes(peer: PeerKey): Uint8Array | undefined
  peerText(bytes: Uint8Array): PeerKey | undefined
  /** The low 53 bits of the first eight bytes, little-endian, of sha256 over the peer id's bytes. */
  idOf(peer: PeerKey): number
}

export interface Issue {
  self: PeerKey
  networkId: bigint
  seq: number
  /** Unix time in milliseconds. */
  now: Instant
  leaving: boolean
}

const VERSION = 1
/** Bit 0 of `roles`. */
const ROLE_RELAY = 1
/** The bit of each kind in an address's flags; `relayed` is also plain from the address. */
const FLAGS: Record<AddressKind, number> = { direct: 1, relayed: 2, external: 4, lan: 8 }
/** What stays free in an envelope for key, type, signature and framing. */
const ENVELOPE_OVERHEAD = 160

/** The payload of this node's own record. What does not fit is left out, the last addresses and services first. */
export function buildPayload(facts: SelfFacts, issue: Issue, notation: Notation): Uint8Array {
  const addresses = issue.leaving ? [] : ownAddresses(facts.addresses, issue.self, notation)
  const services = facts.services.filter(isServiceName).slice(0, limits.services)
  const encode = () =>
    RecordPayload.encode({
      v: VERSION,
      seq: issue.seq,
      addresses,
      issuedAt: Math.floor(issue.now / 1000),
      ttlS: limits.ownTtlS,
      reachability: facts.reachability,
      mapping: facts.mapping,
      filtering: facts.filtering,
      networkId: issue.networkId,
      roles: facts.relay === undefined ? 0 : ROLE_RELAY,
      relay: facts.relay,
      leaving: issue.leaving,
      services: issue.leaving ? [] : services,
    })
  let payload = encode()
  while (payload.length > limits.envelopeBytes - ENVELOPE_OVERHEAD) {
    if (addresses.length > limits.ownRelayedAddresses) addresses.pop()
    else services.pop()
    payload = encode()
  }
  return payload
}

/** Reads a payload that `peer` signed; only its form is checked here. */
export function readPayload(
  payload: Uint8Array,
  peer: PeerKey,
  notation: Notation,
): Result<PeerRecord, RecordFault> {
  const wire = attempt(() => RecordPayload.decode(payload))
  if (wire === undefined) return bad('record-malformed')
  if (wire.v !== VERSION) return bad('version-unsupported')
  if (!wire.services.every(isServiceName)) return bad('service-malformed')
  const addresses: RecordAddress[] = []
  for (const { multiaddr, flags } of wire.addresses) {
    const address = notation.addressText(multiaddr)
    // Another transport's, from a later version: the peer may be reached in other ways.
    if (address !== undefined) addresses.push({ address, kind: kindOf(address, flags) })
  }
  const { seq, reachability, mapping, filtering, networkId, leaving, services } = wire
  return ok({
    peer,
    seq,
    reachability,
    mapping,
    filtering,
    networkId,
    leaving,
    services,
    addresses,
    issuedAt: wire.issuedAt * 1000,
    ttlMs: wire.ttlS * 1000,
    ...((wire.roles & ROLE_RELAY) !== 0 && wire.relay !== undefined ? { relay: wire.relay } : {}),
  })
}

/** Whether a well-signed record may be believed now, in the order of SPEC.md section 4. */
export function judge(
  record: PeerRecord,
  networkId: bigint,
  now: Instant,
): RecordFault | undefined {
  if (record.networkId !== networkId) return 'network-different'
  if (record.seq === 0) return 'seq-zero'
  const ttlS = record.ttlMs / 1000
  if (ttlS < limits.ttlMinS || ttlS > limits.ttlMaxS) return 'ttl-out-of-range'
  if (record.issuedAt > now + limits.clockSkewMs) return 'issued-in-future'
  return expiryOf(record, now) <= now ? 'expired' : undefined
}

/** When a record stops counting on the reader's clock, which may be behind or ahead of the issuer's. */
export function expiryOf(record: PeerRecord, now: Instant): Instant {
  return Math.min(record.issuedAt, now) + record.ttlMs + limits.clockSkewMs
}

/** Best first as given, but with room for relayed ones: a hidden node with many interfaces needs them most. */
function ownAddresses(addresses: RecordAddress[], self: PeerKey, notation: Notation) {
  const relayed = addresses.filter(isRelayed).slice(0, limits.ownRelayedAddresses)
  const others = addresses.filter((one) => !isRelayed(one))
  const chosen = new Set([...relayed, ...others.slice(0, limits.addresses - relayed.length)])
  return addresses.flatMap((one) => {
    const multiaddr = notation.addressBytes(withoutPeer(one.address, self))
    if (!chosen.has(one) || multiaddr === undefined) return []
    return multiaddr.length > limits.addressBytes ? [] : [{ multiaddr, flags: FLAGS[one.kind] }]
  })
}

function isRelayed({ kind }: RecordAddress): boolean {
  return kind === 'relayed'
}

/** An address without its subject at the end, who is known from the signature. */
function withoutPeer(address: string, peer: PeerKey): string {
  return address.endsWith(`/p2p/${peer}`) ? address.slice(0, -`/p2p/${peer}`.length) : address
}

function kindOf(address: string, flags: number): AddressKind {
  if (address.includes('/p2p-circuit')) return 'relayed'
  if ((flags & FLAGS.lan) !== 0) return 'lan'
  return (flags & FLAGS.external) !== 0 ? 'external' : 'direct'
}

/**
 * Control characters, invisible ones and those that turn the direction of text. Written out, because the categories of
 * Unicode grow with its versions, and nodes of different years must not blame each other for a name.
 */
const UNPRINTABLE =
  /[\p{Cc}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/u

/** Any text that can be printed. */
function isServiceName(name: string): boolean {
  const length = new TextEncoder().encode(name).length
  return length > 0 && length <= limits.serviceBytes && !UNPRINTABLE.test(name)
}
