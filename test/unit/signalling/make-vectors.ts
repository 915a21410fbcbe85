/**
 * Writes protocols/signalling/vectors/*.json anew: `node test/unit/signalling/make-vectors.ts`. To be run only when the
 * wire format changes on purpose; the tests read the files and never this.
 */
import { writeFileSync } from 'node:fs'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { encodeFrame } from '../../../protocols/signalling/codec.ts'
import { SIGNAL_LIMITS } from '../../../protocols/signalling/limits.ts'
import { sealWith } from '../../../src/net/seal.ts'

const NOW = 1_795_000_000_000
const NETWORK = 'main'
const seeds = { sender: 7, recipient: 8, other: 9 }
const seed = (fill: number) => new Uint8Array(32).fill(fill)
const key = (fill: number) => generateKeyPairFromSeed('Ed25519', seed(fill))
const [sender, recipient, other] = [
  await key(seeds.sender),
  await key(seeds.recipient),
  await key(seeds.other),
]
const idOf = (privateKey: typeof sender) => peerIdFromPrivateKey(privateKey)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const peer = (privateKey: typeof sender) => idOf(privateKey).toMultihash().bytes

// --- sealed boxes -----------------------------------------------------------------------------------------

const payload = new TextEncoder().encode('dig here')
const between = { from: sender, to: idOf(recipient), network: NETWORK, now: NOW }
const box = sealWith(payload, between, seed(42))
const flipped = (at: number) => box.map((byte, i) => (i === at ? byte ^ 1 : byte))
const empty = sealWith(new Uint8Array(), between, seed(43))
const longest = sealWith(new Uint8Array(904).fill(1), between, seed(44))
const resealed = (changes: Partial<typeof between>) =>
  hex(sealWith(payload, { ...between, ...changes }, seed(42)))

writeJson('boxes', {
  network: NETWORK,
  nowMs: NOW,
  senderSeed: hex(seed(seeds.sender)),
  sender: idOf(sender).toString(),
  recipientSeed: hex(seed(seeds.recipient)),
  recipient: idOf(recipient).toString(),
  valid: [
    {
      name: 'a few bytes',
      ephemeralSecret: hex(seed(42)),
      payload: hex(payload),
      box: hex(box),
    },
    {
      name: 'nothing at all',
      ephemeralSecret: hex(seed(43)),
      payload: '',
      box: hex(empty),
    },
    {
      name: 'the longest payload',
      ephemeralSecret: hex(seed(44)),
      payload: '01'.repeat(904),
      box: hex(longest),
    },
  ],
  invalid: [
    { name: 'signed by another peer', box: resealed({ from: other }) },
    { name: 'sealed for another peer', box: resealed({ to: idOf(other) }) },
    { name: 'of another network', box: resealed({ network: 'other' }) },
    { name: 'sealed 601 seconds ago', box: resealed({ now: NOW - 601_000 }) },
    { name: 'sealed 601 seconds ahead', box: resealed({ now: NOW + 601_000 }) },
    { name: 'with another ephemeral key', box: hex(flipped(0)) },
    { name: 'with the unused bit of the ephemeral key set', box: hex(withTopBit(box)) },
    { name: 'with an ephemeral key of low order', box: hex(withLowOrderKey(box)) },
    { name: 'with one bit of the content changed', box: hex(flipped(60)) },
    { name: 'with one bit of the tag changed', box: hex(flipped(box.length - 1)) },
    { name: 'cut short', box: hex(box.subarray(0, -1)) },
    { name: 'shorter than any box', box: hex(box.subarray(0, 119)) },
    { name: 'no bytes', box: '' },
    {
      name: 'longer than any box',
      box: hex(sealWith(new Uint8Array(905), between, seed(45))),
    },
  ],
})

function withTopBit(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (i === 31 ? byte ^ 0x80 : byte))
}

function withLowOrderKey(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (i < 32 ? 0 : byte))
}

// --- frames -----------------------------------------------------------------------------------------------

const sealed = Uint8Array.of(1, 2, 3)
const pass = { type: 'pass', to: peer(recipient), sealed, id: 7 } as const
const passed = { type: 'passed', from: peer(sender), sealed, port: 4001 } as const
const bare = (...frame: Parameters<typeof encodeFrame>) => {
  const bytes = encodeFrame(...frame)
  return hex(bytes.subarray(bytes.length < 130 ? 1 : 2))
}
const meaning = (frame: object) =>
  Object.fromEntries(
    Object.entries(frame).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? hex(value) : value,
    ]),
  )
const valid = (name: string, frame: Parameters<typeof encodeFrame>[0]) => ({
  name,
  hex: bare(frame),
  frame: meaning(frame),
})
const id = hex(peer(recipient))
/** A field whose value is bytes, in hex: all values here are shorter than 128 bytes. */
const field = (number: number, value: string) =>
  hex(Uint8Array.of(number * 8 + 2, value.length / 2)) + value
const seenAt = (ip: string, port: string) => field(2, field(1, id) + field(2, ip) + port)

writeJson('frames', [
  valid('hands a message on', pass),
  valid('hands on a message too big, which the relay refuses by its code', {
    ...pass,
    sealed: new Uint8Array(1_025),
  }),
  valid('needs no id', { ...pass, id: 0 }),
  valid('brings a message', { ...passed, ip: '9.9.9.9' }),
  valid('brings a message seen at an IPv6 address', { ...passed, ip: '2001:470::1' }),
  valid('refuses an unknown target', { type: 'refused', id: 7, code: 'unknown-target' }),
  valid('refuses what is too big', { type: 'refused', id: 7, code: 'too-big' }),
  valid('refuses what is too fast', { type: 'refused', id: 7, code: 'too-fast' }),
  valid('refuses to serve', { type: 'refused', id: 7, code: 'not-served' }),
  {
    name: 'reads an unknown refusal as "not-served"',
    hex: '1a0408071063',
    frame: { type: 'refused', id: 7, code: 'not-served' },
  },
  {
    name: 'skips fields it does not know',
    hex: field(1, `${field(1, id)}${field(2, '010203')}1807${field(4, '61')}`),
    frame: meaning(pass),
  },
  { name: 'skips a frame of a later version', hex: field(4, '0801'), frame: { type: 'skip' } },
  { name: 'skips an empty frame', hex: '', frame: { type: 'skip' } },
  {
    name: 'has one meaning at a time',
    hex: field(1, field(1, id)) + field(3, '0807'),
    violation: 'ambiguous',
  },
  { name: 'needs a target', hex: field(1, field(2, '010203')), violation: 'peer' },
  {
    name: 'knows Ed25519 ids only',
    hex: field(1, field(1, `1220${'11'.repeat(32)}`)),
    violation: 'peer',
  },
  {
    name: 'refuses a key of another type in an id',
    hex: field(1, field(1, id.replace('08011220', '08021220'))),
    violation: 'peer',
  },
  {
    name: 'refuses an id with bytes behind it',
    hex: field(1, field(1, `${id}00`)),
    violation: 'peer',
  },
  { name: 'needs a sender', hex: field(2, field(2, '09090909')), violation: 'peer' },
  { name: 'needs an endpoint', hex: field(2, field(1, id)), violation: 'endpoint' },
  {
    name: 'refuses an address of three bytes',
    hex: seenAt('090909', '18a11f'),
    violation: 'endpoint',
  },
  { name: 'refuses port 0', hex: seenAt('09090909', ''), violation: 'endpoint' },
  { name: 'refuses port 65536', hex: seenAt('09090909', '18808004'), violation: 'endpoint' },
  { name: 'refuses a message cut off', hex: '0a280a', violation: 'malformed' },
  { name: 'refuses a wire type that does not exist', hex: '0f01', violation: 'malformed' },
  {
    name: 'refuses a frame too long',
    hex: '00'.repeat(SIGNAL_LIMITS.frameBytes + 1),
    violation: 'too-long',
  },
])

function writeJson(name: string, value: unknown): void {
  const file = new URL(`../../../protocols/signalling/vectors/${name}.json`, import.meta.url)
  writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`)
}
