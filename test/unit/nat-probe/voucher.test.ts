import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import * as fc from 'fast-check'
import { keyOfPeer } from '../../../protocols/kernel/peer.ts'
import { decodeVoucher, encodeVoucher, signedBytes } from '../../../protocols/nat-probe/voucher.ts'
import { isGenuine } from '../../../src/drivers/overlay-records.ts'

interface Vectors {
  seeds: Record<'helper' | 'third' | 'asker', string>
  peers: Record<'helper' | 'third' | 'asker', string>
  valid: { name: string; hex: string; signature: string; voucher: Record<string, unknown> }[]
  invalid: { name: string; hex: string }[]
}

const file = new URL('../../../protocols/nat-probe/vectors/vouchers.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')

test('the seeds of vouchers.json belong to its peer ids', async () => {
  for (const who of ['helper', 'third', 'asker'] as const) {
    const key = await generateKeyPairFromSeed('Ed25519', bytes(vectors.seeds[who]))
    assert.equal(peerIdFromPrivateKey(key).toString(), vectors.peers[who])
  }
})

for (const one of vectors.valid) {
  test(`vouchers.json: ${one.name} is read, written and genuine`, async () => {
    const voucher = decodeVoucher(bytes(one.hex))
    assert.ok(voucher !== undefined)
    assert.deepEqual(
      Object.fromEntries(
        Object.entries(voucher).map(([name, value]) => [
          name,
          value instanceof Uint8Array ? hex(value) : value,
        ]),
      ),
      one.voucher,
    )
    assert.equal(hex(encodeVoucher(voucher)), one.hex)
    const signed = { key: keyOfPeer(voucher.helper), bytes: signedBytes(bytes(one.hex)) }
    assert.ok(await isGenuine({ ...signed, signature: bytes(one.signature) }))
    // Ed25519 is deterministic, so others can compare the very bytes.
    const key = await generateKeyPairFromSeed('Ed25519', bytes(vectors.seeds.helper))
    assert.equal(hex(new Uint8Array(await key.sign(signed.bytes))), one.signature)
  })
}

for (const { name, hex } of vectors.invalid) {
  test(`vouchers.json: a voucher ${name} is none`, () => {
    assert.equal(decodeVoucher(bytes(hex)), undefined)
  })
}

test('a voucher that anybody has changed is no voucher of the helper’s', async () => {
  const [one] = vectors.valid
  assert.ok(one)
  const genuine = bytes(one.hex)
  for (let bit = 0; bit < genuine.length * 8; bit += 7) {
    const forged = genuine.with(bit >> 3, (genuine[bit >> 3] as number) ^ (1 << (bit & 7)))
    const voucher = decodeVoucher(forged)
    if (voucher === undefined) continue
    const key = keyOfPeer(bytes(one.voucher['helper'] as string))
    const signature = bytes(one.signature)
    assert.ok(!(await isGenuine({ key, bytes: signedBytes(forged), signature })), `bit ${bit}`)
  }
})

test('any bytes are a voucher or none, and reading never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
      const voucher = decodeVoucher(input)
      if (voucher !== undefined) assert.deepEqual(decodeVoucher(encodeVoucher(voucher)), voucher)
    }),
    { numRuns: 2_000 },
  )
})
