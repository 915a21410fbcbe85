import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { RecordPayload } from '../../../protocols/peer-exchange/messages.ts'
import { isMultiaddr } from '../../../protocols/peer-exchange/multiaddr.ts'
import { readPayload } from '../../../protocols/peer-exchange/record.ts'
import { notation } from '../../../src/drivers/overlay-records.ts'

const PEER = '12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7'

const addresses = [
  '/ip4/9.9.9.9/tcp/4001',
  '/ip6/2001:4860::1/udp/443/quic-v1/webtransport/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ',
  `/dns4/relay.example.org/tcp/443/tls/sni/relay.example.org/ws/p2p/${PEER}/p2p-circuit`,
  '/dnsaddr/example.org/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC',
]

for (const address of addresses) {
  test(`${address.slice(0, 30)}… is an address, and cut off anywhere it leads nowhere else`, () => {
    const { bytes } = multiaddr(address)
    assert.equal(notation.addressText(bytes), address)
    assert.deepEqual(notation.addressBytes(address), bytes)
    for (let end = 0; end < bytes.length; end++) {
      const text = notation.addressText(bytes.subarray(0, end))
      assert.ok(text === undefined || address.startsWith(text), `cut at ${end}`)
    }
  })
}

for (const [name, ...bytes] of [
  ['no component'],
  ['a code that is not known', 255, 255, 1],
  ['half a port', 4, 9, 9, 9, 9, 6, 15],
  ['a code in more bytes than it needs', 0x84, 0, 9, 9, 9, 9],
  ['a name with a slash', 54, 3, 0x61, 0x2f, 0x62],
  ['a name of no letters', 54, 0],
  ['a name that is longer than the address', 54, 9, 0x61],
  ['a peer id of another length than it says', 0xa5, 3, 3, 0, 2, 8],
] as [string, ...number[]][]) {
  test(`${name} is no address`, () => {
    assert.equal(isMultiaddr(Uint8Array.from(bytes)), false)
    assert.equal(notation.addressText(Uint8Array.from(bytes)), undefined)
  })
}

test('what is read from a network buffer is a copy, and ends where it ends', () => {
  const whole = Buffer.concat([RecordPayload.encode({ v: 1, ext: Uint8Array.of(1, 2) })])
  const { ext } = RecordPayload.decode(whole)
  whole.fill(0)
  assert.deepEqual([...ext], [1, 2])
  assert.equal(ext.buffer.byteLength, 2)
})

const read = (name: string): boolean =>
  readPayload(RecordPayload.encode({ v: 1, services: [name] }), PEER, notation).ok

test('names of services are refused for characters that cannot be seen, in every version of Unicode', () => {
  for (const name of ['web', '日本', '👍', 'a\u0378', 'a\u{1fae9}']) assert.ok(read(name), name)
  for (const name of ['', 'a\n', 'a\u200b', 'a\u202e', '\ufeffa', 'a\u{e0001}']) {
    assert.ok(!read(name), JSON.stringify(name))
  }
})
