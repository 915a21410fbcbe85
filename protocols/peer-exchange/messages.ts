import {
  bool,
  bytes,
  choice,
  fixed64,
  manyBytes,
  manyTexts,
  manyUint32,
  manyUint64,
  message,
  messages,
  nested,
  text,
  uint32,
  uint64,
} from '../kernel/protobuf.ts'
import type { ValueOf } from '../kernel/protobuf.ts'
import { limits } from './limits.ts'

/**
 * The messages of peer-exchange.proto as tables. `test/unit/peer-exchange/messages.test.ts` holds the two against
 * each other.
 */

const RecordAddress = message({ multiaddr: bytes(1, limits.addressBytes), flags: uint32(2) })

const RelayOffer = message({ slotsTotal: uint32(1), slotsFree: uint32(2), unlimited: bool(4) })

const NAT_BEHAVIOURS = [
  'unknown',
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'none',
] as const

/** What an envelope signs. */
export const RecordPayload = message({
  v: uint32(1),
  seq: uint64(2),
  addresses: messages(3, RecordAddress, limits.addresses),
  issuedAt: uint64(4),
  ttlS: uint32(5),
  reachability: choice(6, ['unknown', 'public', 'private'] as const),
  mapping: choice(7, NAT_BEHAVIOURS),
  filtering: choice(8, NAT_BEHAVIOURS),
  networkId: fixed64(9),
  roles: uint32(11),
  relay: nested(12, RelayOffer, limits.envelopeBytes),
  leaving: bool(13),
  services: manyTexts(14, limits.services, limits.serviceBytes),
  ext: bytes(15, limits.extBytes),
})

/** A signed envelope, libp2p RFC 0002. */
export const Envelope = message({
  publicKey: bytes(1, limits.envelopeBytes),
  payloadType: bytes(2, 16),
  payload: bytes(3, limits.envelopeBytes),
  signature: bytes(5, 128),
})

/** A public key as libp2p writes it: its type, then the key itself. */
export const PublicKey = message({ type: uint32(1), data: bytes(2, limits.envelopeBytes) })

const EntryMessage = message({
  envelope: bytes(1, limits.envelopeBytes),
  observedAgeS: uint32(2),
  firstHand: bool(3),
})

/** The answer to somebody who wants to be our neighbour; `refused` when nothing more is to be said. */
const NEIGHBOUR_VERDICTS = ['refused', 'accepted', 'full', 'group-full', 'too-often'] as const
export type NeighbourVerdict = (typeof NEIGHBOUR_VERDICTS)[number]

const bodies = {
  hello: message({
    v: uint32(1),
    networkId: fixed64(2),
    envelope: bytes(3, limits.envelopeBytes),
    nowS: uint64(4),
    caps: uint32(5),
    seenAddr: bytes(6, limits.addressBytes),
  }),
  helloAck: message({
    envelope: bytes(1, limits.envelopeBytes),
    nowS: uint64(2),
    seenAddr: bytes(3, limits.addressBytes),
    entries: messages(4, EntryMessage, limits.helloEntries),
  }),
  sampleReq: message({ max: uint32(1), setHash: uint32(2) }),
  sample: message({
    ids: manyUint64(1, limits.sampleIds),
    seqLo: manyUint32(2, limits.sampleIds),
    same: bool(3),
    groups: manyUint32(5, limits.sampleIds),
  }),
  want: message({ ids: manyUint64(1, limits.wantIds) }),
  records: message({
    entries: messages(1, EntryMessage, limits.wantIds),
    unknown: manyUint64(2, limits.wantIds),
  }),
  push: message({ entries: messages(1, EntryMessage, limits.pushEntries), hops: uint32(2) }),
  find: message({
    peers: manyBytes(1, limits.findPeers, 64),
    service: text(2, limits.serviceBytes),
    relay: bool(3),
    hops: uint32(4),
  }),
  neighbourReq: message({ isolated: bool(1) }),
  neighbourAck: message({
    verdict: choice(1, NEIGHBOUR_VERDICTS),
    retryS: uint32(2),
    entries: messages(3, EntryMessage, limits.alternatives),
  }),
  neighbourEnd: message({
    entries: messages(1, EntryMessage, limits.alternatives),
    evicted: bool(2),
  }),
  err: message({ code: uint32(1), retryS: uint32(2) }),
}

/** One message of the protocol; exactly one of the fields is set. */
export const FrameMessage = message({
  hello: nested(1, bodies.hello, limits.frameBytes),
  helloAck: nested(2, bodies.helloAck, limits.frameBytes),
  sampleReq: nested(3, bodies.sampleReq, limits.frameBytes),
  sample: nested(4, bodies.sample, limits.frameBytes),
  want: nested(5, bodies.want, limits.frameBytes),
  records: nested(6, bodies.records, limits.frameBytes),
  neighbourReq: nested(7, bodies.neighbourReq, limits.frameBytes),
  neighbourAck: nested(8, bodies.neighbourAck, limits.frameBytes),
  neighbourEnd: nested(9, bodies.neighbourEnd, limits.frameBytes),
  push: nested(14, bodies.push, limits.frameBytes),
  find: nested(17, bodies.find, limits.frameBytes),
  err: nested(20, bodies.err, limits.frameBytes),
})

/** The peer book on this node's own disk. */
export const SnapshotMessage = message({
  v: uint32(1),
  ownSeq: uint64(2),
  entries: messages(
    3,
    message({
      envelope: bytes(1, limits.envelopeBytes),
      lastSeenAt: uint64(2),
      reachedSince: uint64(3),
    }),
    limits.saved,
  ),
})

export type Entry = ValueOf<typeof EntryMessage>
type Bodies = { [K in keyof typeof bodies]: ValueOf<(typeof bodies)[K]> }

/** A decoded frame: its kind, and what it carries. */
export type Frame = { [K in keyof Bodies]: { type: K } & Bodies[K] }[keyof Bodies]
/** A frame of one kind. */
export type FrameOf<K extends Frame['type']> = Extract<Frame, { type: K }>
