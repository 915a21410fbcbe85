/**
 * Writes protocols/peer-exchange/vectors/*.json anew: `node test/unit/peer-exchange/make-vectors.ts`. To be run only when
 * the wire format changes on purpose; the tests read the files and never this.
 */
import { writeFileSync } from 'node:fs'
import { generateKeyPairFromSeed, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { encodeFrame } from '../../../protocols/peer-exchange/codec.ts'
import { Envelope, FrameMessage, RecordPayload } from '../../../protocols/peer-exchange/messages.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import { buildPayload } from '../../../protocols/peer-exchange/record.ts'
import type { SelfFacts } from '../../../protocols/peer-exchange/record.ts'
import { networkIdOf, notation, seal } from '../../../src/drivers/overlay-records.ts'

const NOW = 1_795_000_000_000
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7))
const other = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(8))
const self = peerIdFromPrivateKey(key).toString()
const relay = peerIdFromPrivateKey(other).toString()
const networkId = networkIdOf('main')
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const facts: SelfFacts = {
  addresses: [
    { address: `/ip4/8.8.4.4/tcp/4001/p2p/${relay}/p2p-circuit`, kind: 'relayed' },
    { address: '/ip4/9.9.9.9/tcp/50123', kind: 'external' },
    { address: '/ip4/192.168.1.20/tcp/4001', kind: 'lan' },
  ],
  reachability: 'private',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  services: ['web'],
}
const issue = { self, networkId, seq: NOW, now: NOW, leaving: false }
const payload = buildPayload(facts, issue, notation)
const envelope = await seal(payload, key)
const offering = buildPayload(
  {
    addresses: [{ address: '/ip4/8.8.4.4/tcp/4001', kind: 'direct' }],
    reachability: 'public',
    mapping: 'none',
    filtering: 'none',
    services: ['web', 'größe'],
    relay: { slotsTotal: 128, slotsFree: 64, unlimited: true },
  },
  issue,
  notation,
)
const change = async (more: Partial<ReturnType<typeof RecordPayload.decode>>) =>
  hex(await seal(RecordPayload.encode({ ...RecordPayload.decode(payload), ...more }), key))
const reseal = (more: Partial<ReturnType<typeof Envelope.decode>>) =>
  hex(Envelope.encode({ ...Envelope.decode(envelope), ...more }))

const forged = Envelope.decode(envelope).signature
forged[0] = (forged[0] as number) ^ 1
const records = {
  network: 'main',
  nowMs: NOW,
  valid: [
    { name: 'a hidden peer with a relay', envelope: hex(envelope), peer: self, addresses: 3 },
    {
      name: 'a farewell',
      envelope: hex(await seal(buildPayload(facts, { ...issue, leaving: true }, notation), key)),
      peer: self,
      addresses: 0,
    },
    {
      name: 'a relay with services',
      envelope: hex(await seal(offering, key)),
      peer: self,
      addresses: 1,
    },
    {
      name: 'a peer without any address',
      envelope: await change({ addresses: [] }),
      peer: self,
      addresses: 0,
    },
    {
      name: 'a peer with an address of a later version beside one of today, and two that are none',
      envelope: await change({
        addresses: [
          { multiaddr: Uint8Array.of(4, 9, 9, 9, 9, 6, 15, 161, 200, 30, 1, 7), flags: 1 },
          { multiaddr: Uint8Array.of(4, 9, 9, 9, 9, 6, 15, 161), flags: 1 },
          { multiaddr: Uint8Array.of(255, 255, 1), flags: 1 },
          { multiaddr: new Uint8Array(), flags: 1 },
        ],
      }),
      peer: self,
      addresses: 1,
    },
    {
      name: 'a clock nine minutes ahead',
      envelope: await change({ issuedAt: NOW / 1000 + 540 }),
      peer: self,
      addresses: 3,
    },
    {
      name: 'two hours that ended nine minutes ago',
      envelope: await change({ issuedAt: NOW / 1000 - 7_740 }),
      peer: self,
      addresses: 3,
    },
    {
      name: 'the shortest life',
      envelope: await change({ ttlS: 60 }),
      peer: self,
      addresses: 3,
    },
    {
      name: 'the longest life',
      envelope: await change({ ttlS: 21_600 }),
      peer: self,
      addresses: 3,
    },
  ],
  invalid: [
    {
      name: 'a forged signature',
      fault: 'signature-invalid',
      envelope: reseal({ signature: forged }),
    },
    {
      name: 'signed by somebody else',
      fault: 'signature-invalid',
      envelope: reseal({ publicKey: publicKeyToProtobuf(other.publicKey) }),
    },
    {
      name: 'a plain libp2p peer record',
      fault: 'payload-type-wrong',
      envelope: reseal({ payloadType: Uint8Array.of(3, 1) }),
    },
    {
      name: 'an RSA key',
      fault: 'key-unsupported',
      envelope: reseal({ publicKey: Uint8Array.of(8, 0, 18, 2, 1, 2) }),
    },
    {
      name: 'a key of 31 bytes',
      fault: 'key-unsupported',
      envelope: reseal({ publicKey: Uint8Array.of(8, 1, 18, 31, ...new Uint8Array(31)) }),
    },
    {
      name: 'a signature of 63 bytes',
      fault: 'envelope-malformed',
      envelope: reseal({ signature: forged.subarray(1) }),
    },
    {
      name: 'more than 2,048 bytes',
      fault: 'envelope-too-large',
      envelope: hex(new Uint8Array(2_049)),
    },
    { name: 'no bytes', fault: 'payload-type-wrong', envelope: '' },
    { name: 'cut off', fault: 'envelope-malformed', envelope: hex(envelope.subarray(0, 60)) },
    {
      name: 'a version from the future',
      fault: 'version-unsupported',
      envelope: await change({ v: 2 }),
    },
    {
      name: 'another network',
      fault: 'network-different',
      envelope: await change({ networkId: networkIdOf('other') }),
    },
    { name: 'no sequence number', fault: 'seq-zero', envelope: await change({ seq: 0 }) },
    {
      name: 'a lifetime of a week',
      fault: 'ttl-out-of-range',
      envelope: await change({ ttlS: 604_800 }),
    },
    {
      name: 'a lifetime of 59 seconds',
      fault: 'ttl-out-of-range',
      envelope: await change({ ttlS: 59 }),
    },
    {
      name: 'issued in an hour',
      fault: 'issued-in-future',
      envelope: await change({ issuedAt: NOW / 1000 + 3_600 }),
    },
    {
      name: 'issued yesterday',
      fault: 'expired',
      envelope: await change({ issuedAt: NOW / 1000 - 86_400 }),
    },
    {
      name: 'a service name with a line break',
      fault: 'service-malformed',
      envelope: await change({ services: ['a\nb'] }),
    },
    {
      name: 'a service name without letters',
      fault: 'service-malformed',
      envelope: await change({ services: [''] }),
    },
    {
      name: '17 services',
      fault: 'record-malformed',
      envelope: await change({ services: Array.from({ length: 17 }, (_, i) => `s${i}`) }),
    },
    {
      name: 'an extension of 129 bytes',
      fault: 'record-malformed',
      envelope: await change({ ext: new Uint8Array(129) }),
    },
    {
      name: 'nine addresses',
      fault: 'record-malformed',
      envelope: await change({
        addresses: Array.from({ length: 9 }, () => ({
          multiaddr: Uint8Array.of(4, 9, 9, 9, 9),
          flags: 1,
        })),
      }),
    },
    {
      name: 'a sequence number above 2^53',
      fault: 'record-malformed',
      envelope: hex(
        await seal(Uint8Array.of(8, 1, 16, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1), key),
      ),
    },
  ],
}

const entry = { envelope, observedAgeS: 60, firstHand: true }
const hearsay = { envelope, observedAgeS: 86_400, firstHand: false }
const none = new Uint8Array()
const seenAddr = notation.addressBytes('/ip4/9.9.9.9/tcp/50123') ?? none
const [id, otherId] = [notation.idOf(self), notation.idOf(relay)]
const asked = [self, relay].map((peer) => notation.peerBytes(peer) ?? none)
const valid: Frame[] = [
  { type: 'hello', v: 1, networkId, envelope, nowS: NOW / 1000, caps: 0, seenAddr: none },
  { type: 'hello', v: 1, networkId, envelope: none, nowS: NOW / 1000, caps: 0, seenAddr },
  { type: 'helloAck', envelope, nowS: NOW / 1000, seenAddr, entries: [entry] },
  { type: 'sampleReq', max: 256, setHash: 0xfedcba98 },
  { type: 'sample', ids: [id, otherId], seqLo: [1, 4_294_967_295], same: false, groups: [] },
  {
    type: 'sample',
    ids: [0, Number.MAX_SAFE_INTEGER],
    seqLo: [0, 0],
    same: false,
    groups: [0x0506, 0x2a001450],
  },
  { type: 'sample', ids: [], seqLo: [], same: true, groups: [] },
  { type: 'want', ids: [id] },
  { type: 'want', ids: Array.from({ length: 64 }, (_, i) => i * 2 ** 46) },
  { type: 'records', entries: [entry, hearsay], unknown: [otherId] },
  { type: 'push', entries: [entry], hops: 1 },
  { type: 'find', peers: asked, service: '', relay: false, hops: 2 },
  { type: 'find', peers: [], service: 'web', relay: false, hops: 2 },
  { type: 'find', peers: [], service: '', relay: true, hops: 0 },
  { type: 'neighbourReq', isolated: false },
  { type: 'neighbourReq', isolated: true },
  { type: 'neighbourAck', verdict: 'accepted', retryS: 0, entries: [] },
  { type: 'neighbourAck', verdict: 'refused', retryS: 60, entries: [] },
  { type: 'neighbourAck', verdict: 'full', retryS: 300, entries: [entry, hearsay] },
  { type: 'neighbourAck', verdict: 'group-full', retryS: 1_800, entries: [entry] },
  { type: 'neighbourAck', verdict: 'too-often', retryS: 120, entries: [] },
  { type: 'neighbourEnd', entries: [], evicted: false },
  { type: 'neighbourEnd', entries: [entry, hearsay], evicted: true },
  { type: 'err', code: 1, retryS: 3_600 },
]

/** A frame with one body, of whatever bytes. */
const body = (number: number, ...bytes: (number | Uint8Array)[]) => {
  const whole = bytes.flatMap((one) => (typeof one === 'number' ? [one] : [...one]))
  const tag = number < 16 ? [(number << 3) | 2] : [((number << 3) & 0x7f) | 0x82, number >> 4]
  return hex(Uint8Array.of(...tag, ...uvarint(whole.length), ...whole))
}
/** A field of a body that holds bytes. */
const blob = (number: number, bytes: Uint8Array) =>
  Uint8Array.of((number << 3) | 2, ...uvarint(bytes.length), ...bytes)
const uvarint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...uvarint(value >> 7)]
const times = (count: number, bytes: Uint8Array) =>
  Uint8Array.from(Array.from({ length: count }, () => [...bytes]).flat())
const emptyEntries = (count: number, number: number) => times(count, blob(number, none))
/** 2^53: one more than can be held exactly everywhere. */
const TOO_LARGE = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10)
const malformed = (name: string, frame: string) => ({ name, fault: 'frame-malformed', frame })
const frames = {
  valid: valid.map((frame) => ({ type: frame.type, frame: hex(encodeFrame(frame)) })),
  invalid: [
    { name: 'no bytes', fault: 'frame-empty', frame: '' },
    { name: 'only a kind of a later version', fault: 'frame-empty', frame: 'ba01020801' },
    { name: 'only a field of another type, skipped', fault: 'frame-empty', frame: 'b80101' },
    {
      name: 'two bodies',
      fault: 'frame-ambiguous',
      frame: hex(FrameMessage.encode({ want: { ids: [] }, push: { entries: [], hops: 1 } })),
    },
    {
      name: 'a request and its own answer',
      fault: 'frame-ambiguous',
      frame: body(7) + body(8, 8, 1),
    },
    malformed('a body longer than the frame', '2a7f0a'),
    malformed('a length of 2^63', '2affffffffffffffff7f'),
    malformed('a varint without end', hex(new Uint8Array(32).fill(255))),
    malformed('a group', 'f301f401'),
    malformed('field number 0', '0000'),
    malformed('a number where a body belongs', '2801'),
    malformed('a hello that is cut off', hex(encodeFrame(valid[0] as Frame).subarray(0, 40))),
    malformed('a hello with an envelope of 2,049 bytes', body(1, blob(3, new Uint8Array(2_049)))),
    malformed('a hello with a seen address of 161 bytes', body(1, blob(6, new Uint8Array(161)))),
    malformed('a greeting with nine entries', body(2, emptyEntries(9, 4))),
    malformed('a setHash above 2^32', body(3, 0x10, 0x80, 0x80, 0x80, 0x80, 0x10)),
    malformed('a sample of 257 ids', body(4, blob(1, new Uint8Array(257)))),
    malformed('a sample with an id above 2^53', body(4, blob(1, TOO_LARGE))),
    {
      name: 'a sample with ids but no versions',
      fault: 'lists-differ',
      frame: body(4, 10, 8, 1, 2, 3, 4, 5, 6, 7, 8),
    },
    {
      name: 'a sample with versions but no ids',
      fault: 'lists-differ',
      frame: body(4, blob(2, Uint8Array.of(1))),
    },
    {
      name: 'a sample with a group for one of two ids',
      fault: 'lists-differ',
      frame: body(
        4,
        blob(1, Uint8Array.of(1, 2)),
        blob(2, Uint8Array.of(1, 1)),
        blob(5, Uint8Array.of(7)),
      ),
    },
    malformed('65 wanted ids', body(5, blob(1, new Uint8Array(65)))),
    malformed('65 wanted ids, not packed', body(5, times(65, Uint8Array.of(8, 1)))),
    malformed('a wanted id above 2^53', body(5, 8, TOO_LARGE)),
    malformed('65 records', body(6, emptyEntries(65, 1))),
    malformed('65 unknown ids', body(6, blob(2, new Uint8Array(65)))),
    malformed('17 records pushed', body(14, emptyEntries(17, 1))),
    malformed('a number where bytes belong', body(14, 8, 1)),
    malformed('nine peers to find', body(17, times(9, blob(1, Uint8Array.of(0))))),
    malformed('a peer id of 65 bytes to find', body(17, blob(1, new Uint8Array(65)))),
    malformed('a service of 49 bytes to find', body(17, blob(2, new Uint8Array(49).fill(97)))),
    malformed('a service that is no UTF-8', body(17, blob(2, Uint8Array.of(0xc3, 0x28)))),
    malformed('a neighbour request with bytes for a flag', body(7, blob(1, Uint8Array.of(1)))),
    malformed('a verdict above 2^32', body(8, 8, TOO_LARGE)),
    malformed('a neighbour answer with five alternatives', body(8, emptyEntries(5, 3))),
    malformed('a neighbour farewell with five alternatives', body(9, emptyEntries(5, 1))),
    malformed('an error code above 2^32', body(20, 8, TOO_LARGE)),
  ],
}
const folder = new URL('../../../protocols/peer-exchange/vectors/', import.meta.url)
writeFileSync(new URL('records.json', folder), `${JSON.stringify(records, null, 2)}\n`)
writeFileSync(new URL('frames.json', folder), `${JSON.stringify(frames, null, 2)}\n`)
