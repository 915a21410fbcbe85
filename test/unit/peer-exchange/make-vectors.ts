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
    { name: 'a hidden peer with a relay', envelope: hex(envelope), peer: self },
    {
      name: 'a farewell',
      envelope: hex(await seal(buildPayload(facts, { ...issue, leaving: true }, notation), key)),
      peer: self,
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
      name: 'an address that is none',
      fault: 'address-malformed',
      envelope: await change({ addresses: [{ multiaddr: Uint8Array.of(255, 255, 1), flags: 1 }] }),
    },
    {
      name: 'a service name with a line break',
      fault: 'service-malformed',
      envelope: await change({ services: ['a\nb'] }),
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
const none = new Uint8Array()
const valid: Frame[] = [
  { type: 'hello', v: 1, networkId, envelope, nowS: NOW / 1000, caps: 0, seenAddr: none },
  { type: 'helloAck', envelope, nowS: NOW / 1000, seenAddr: none, entries: [entry] },
  { type: 'sampleReq', max: 256, setHash: 0xfedcba9876543210n },
  {
    type: 'sample',
    ids: [notation.idOf(self), notation.idOf(relay)],
    seqLo: [1, 4_294_967_295],
    same: false,
  },
  { type: 'sample', ids: [], seqLo: [], same: true },
  { type: 'want', ids: [notation.idOf(self)] },
  { type: 'records', entries: [entry], unknown: [notation.idOf(relay)] },
  { type: 'push', entries: [entry], hops: 1 },
  { type: 'resolve', peers: [notation.peerBytes(self) ?? none] },
  { type: 'err', code: 1, retryS: 3_600 },
]
const body = (number: number, ...bytes: number[]) =>
  hex(Uint8Array.of((number << 3) | 2, bytes.length, ...bytes))
const frames = {
  valid: valid.map((frame) => ({ type: frame.type, frame: hex(encodeFrame(frame)) })),
  invalid: [
    { name: 'no bytes', fault: 'frame-empty', frame: '' },
    { name: 'only a kind of a later version', fault: 'frame-empty', frame: 'ba01020801' },
    {
      name: 'two bodies',
      fault: 'frame-ambiguous',
      frame: hex(FrameMessage.encode({ want: { ids: [] }, push: { entries: [], hops: 1 } })),
    },
    { name: 'a body longer than the frame', fault: 'frame-malformed', frame: '2a7f0a' },
    { name: 'a length of 2^63', fault: 'frame-malformed', frame: '2affffffffffffffff7f' },
    {
      name: 'a varint without end',
      fault: 'frame-malformed',
      frame: hex(new Uint8Array(32).fill(255)),
    },
    { name: 'a group', fault: 'frame-malformed', frame: 'f301f401' },
    { name: 'field number 0', fault: 'frame-malformed', frame: '0000' },
    {
      name: '65 wanted ids',
      fault: 'frame-malformed',
      frame: hex(Uint8Array.of(0x2a, 0x8b, 4, 0x0a, 0x88, 4, ...new Uint8Array(520))),
    },
    { name: 'a number where bytes belong', fault: 'frame-malformed', frame: body(14, 8, 1) },
    {
      name: 'a sample with ids but no versions',
      fault: 'lists-differ',
      frame: body(4, 10, 8, 1, 2, 3, 4, 5, 6, 7, 8),
    },
  ],
}
const folder = new URL('../../../protocols/peer-exchange/vectors/', import.meta.url)
writeFileSync(new URL('records.json', folder), `${JSON.stringify(records, null, 2)}\n`)
writeFileSync(new URL('frames.json', folder), `${JSON.stringify(frames, null, 2)}\n`)
