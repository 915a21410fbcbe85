/**
 * Writes protocols/nat-probe/vectors/*.json anew: `node test/unit/nat-probe/make-vectors.ts`. To be run only when the wire
 * format changes on purpose; the tests read the files and never this.
 */
import { writeFileSync } from 'node:fs'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { encode } from '../../../protocols/nat-probe/codec.ts'
import type { ProbeMessage } from '../../../protocols/nat-probe/codec.ts'
import { Probe, Voucher as VoucherMessage } from '../../../protocols/nat-probe/messages.ts'
import { encodeVoucher, signedBytes } from '../../../protocols/nat-probe/voucher.ts'
import type { Voucher } from '../../../protocols/nat-probe/voucher.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const filled = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill)
const seeds = { helper: 7, third: 8, asker: 9 }
const keys = {
  helper: await generateKeyPairFromSeed('Ed25519', filled(32, seeds.helper)),
  third: await generateKeyPairFromSeed('Ed25519', filled(32, seeds.third)),
  asker: await generateKeyPairFromSeed('Ed25519', filled(32, seeds.asker)),
}
const peer = (who: keyof typeof keys): Uint8Array =>
  peerIdFromPrivateKey(keys[who]).toMultihash().bytes
const NONCE = Uint8Array.from({ length: 16 }, (_, i) => i)

/** Bytes as hex, so that the meaning can stand in JSON. */
function written(value: object): object {
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, one instanceof Uint8Array ? hex(one) : one]),
  )
}

// --- messages ---------------------------------------------------------------------------------------------

const valid: [name: string, message: Exclude<ProbeMessage, { type: 'skip' }>][] = [
  ['a sample of four connections', { type: 'sample', connections: 4 }],
  [
    'the port is open, IPv4',
    { type: 'opened', seen: { ip: '51.20.0.10', port: 4001 }, port: 40_001 },
  ],
  [
    'the port is open, IPv6',
    { type: 'opened', seen: { ip: '2a01:100:1::2', port: 1 }, port: 65_535 },
  ],
  [
    'a connection as it is seen',
    { type: 'seen', tag: NONCE, endpoint: { ip: '51.20.0.10', port: 9 } },
  ],
  ['dial me where you see me', { type: 'back', nonce: NONCE, port: 0, byOther: false }],
  ['have another dial that port', { type: 'back', nonce: NONCE, port: 14_001, byOther: true }],
  ['reached', { type: 'outcome', outcome: 'reached' }],
  ['refused by RST', { type: 'outcome', outcome: 'refused' }],
  ['silent', { type: 'outcome', outcome: 'silent' }],
  ['failed', { type: 'outcome', outcome: 'failed' }],
  ['an errand', { type: 'errand', voucher: filled(3, 1), signature: filled(64, 2) }],
  ['a knock', { type: 'knock', nonce: NONCE }],
  ['too many', { type: 'refused', code: 'too-many' }],
  ['nobody to send', { type: 'refused', code: 'no-third' }],
  ['cannot', { type: 'refused', code: 'unsupported' }],
  ['a voucher that is not good', { type: 'refused', code: 'voucher' }],
  ['a nonce that nobody knows', { type: 'refused', code: 'unknown' }],
]

const endpoint = Uint8Array.of(51, 20, 0, 10, 0x0f, 0xa1)
const invalid: [name: string, bytes: Uint8Array, violation: string][] = [
  ['513 bytes', filled(513, 0), 'too-long'],
  ['no protobuf', Uint8Array.of(0x0a, 0x05, 0x01), 'malformed'],
  ['a nonce of 17 bytes', Uint8Array.of(0x3a, 0x13, 0x0a, 0x11, ...filled(17, 1)), 'malformed'],
  [
    'two things at once',
    Probe.encode({ sample: { connections: 1 }, knock: { nonce: NONCE } }),
    'ambiguous',
  ],
  ['a sample of nothing', Probe.encode({ sample: { connections: 0 } }), 'connections'],
  ['a sample of seven', Probe.encode({ sample: { connections: 7 } }), 'connections'],
  ['an address of 5 bytes', Probe.encode({ opened: { seen: filled(7, 1), port: 1 } }), 'endpoint'],
  [
    'seen at port 0',
    Probe.encode({ seen: { tag: NONCE, endpoint: Uint8Array.of(51, 20, 0, 10, 0, 0) } }),
    'endpoint',
  ],
  ['port 0 is open', Probe.encode({ opened: { seen: endpoint, port: 0 } }), 'port'],
  ['port 65,536 is open', Probe.encode({ opened: { seen: endpoint, port: 65_536 } }), 'port'],
  [
    'to port 65,536',
    Probe.encode({ back: { nonce: NONCE, port: 65_536, byOther: false } }),
    'port',
  ],
  ['a nonce of 15 bytes', Probe.encode({ knock: { nonce: filled(15, 1) } }), 'nonce'],
  ['a tag of 3 bytes', Probe.encode({ seen: { tag: filled(3, 1), endpoint } }), 'nonce'],
  ['no nonce', Probe.encode({ back: { nonce: filled(0, 0), port: 1, byOther: false } }), 'nonce'],
  ['an outcome without a code', Probe.encode({ outcome: { code: 0 } }), 'outcome'],
  ['an outcome of a later version', Probe.encode({ outcome: { code: 5 } }), 'outcome'],
  [
    'a signature of 63 bytes',
    Probe.encode({ errand: { voucher: filled(3, 1), signature: filled(63, 2) } }),
    'signature',
  ],
]

writeJson('messages', {
  valid: valid.map(([name, message]) => ({
    name,
    hex: hex(encode(message)),
    message: written(message),
  })),
  readOnly: [
    { name: 'nothing that this version knows', hex: '', message: { type: 'skip' } },
    { name: 'a field of a later version alone', hex: '4a0101', message: { type: 'skip' } },
    {
      name: 'a refusal of a later version',
      hex: hex(Probe.encode({ refused: { code: 99 } })),
      message: { type: 'refused', code: 'unsupported' },
    },
  ],
  invalid: invalid.map(([name, bytes, violation]) => ({ name, hex: hex(bytes), violation })),
})

// --- vouchers ---------------------------------------------------------------------------------------------

const voucher: Voucher = {
  helper: peer('helper'),
  third: peer('third'),
  asker: peer('asker'),
  target: { ip: '51.20.0.10', port: 4001 },
  nonce: NONCE,
  issued: 1_795_000_000,
}
const ip6 = { ...voucher, target: { ip: '2a01:100:1::2', port: 4001 } }
const signed = async (one: Voucher) => ({
  hex: hex(encodeVoucher(one)),
  signature: hex(new Uint8Array(await keys.helper.sign(signedBytes(encodeVoucher(one))))),
})
const bent = (change: object): string => {
  const { helper, third, asker, nonce, issued } = voucher
  const wire = { version: 1, helper, third, asker, target: endpoint, nonce, issued, ...change }
  return hex(VoucherMessage.encode(wire))
}

writeJson('vouchers', {
  seeds: Object.fromEntries(
    Object.entries(seeds).map(([who, fill]) => [who, hex(filled(32, fill))]),
  ),
  peers: Object.fromEntries(
    (['helper', 'third', 'asker'] as const).map((who) => [
      who,
      peerIdFromPrivateKey(keys[who]).toString(),
    ]),
  ),
  valid: [
    { name: 'for an IPv4 address', voucher: written(voucher), ...(await signed(voucher)) },
    { name: 'for an IPv6 address', voucher: written(ip6), ...(await signed(ip6)) },
  ],
  invalid: [
    { name: 'of version 2', hex: bent({ version: 2 }) },
    { name: 'without a version', hex: bent({ version: 0 }) },
    { name: 'for a peer with another kind of key', hex: bent({ asker: filled(38, 1) }) },
    { name: 'by nobody', hex: bent({ helper: filled(0, 0) }) },
    { name: 'without a target', hex: bent({ target: filled(0, 0) }) },
    { name: 'for port 0', hex: bent({ target: Uint8Array.of(51, 20, 0, 10, 0, 0) }) },
    { name: 'with a short nonce', hex: bent({ nonce: filled(15, 1) }) },
    { name: 'cut short', hex: hex(encodeVoucher(voucher).subarray(0, -3)) },
    { name: 'of no bytes', hex: '' },
  ],
})

function writeJson(name: string, value: unknown): void {
  const file = new URL(`../../../protocols/nat-probe/vectors/${name}.json`, import.meta.url)
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}
