import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { generateKeyPair, generateKeyPairFromSeed, publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import * as fc from 'fast-check'
import { BOX_OVERHEAD, PAYLOAD_BYTES } from '../../../protocols/signalling/box.ts'
import { SIGNAL_LIMITS } from '../../../protocols/signalling/limits.ts'
import { ReplayGuard } from '../../../protocols/kernel/replay-guard.ts'
import { open, seal, sealWith } from '../../../src/net/seal.ts'

interface Vectors {
  network: string
  nowMs: number
  senderSeed: string
  sender: string
  recipientSeed: string
  recipient: string
  valid: { name: string; ephemeralSecret: string; payload: string; box: string }[]
  invalid: { name: string; box: string }[]
}

const vectors = JSON.parse(
  readFileSync(
    new URL('../../../protocols/signalling/vectors/boxes.json', import.meta.url),
    'utf8',
  ),
) as Vectors

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const A = await generateKeyPairFromSeed('Ed25519', bytes(vectors.senderSeed))
const B = await generateKeyPairFromSeed('Ed25519', bytes(vectors.recipientSeed))
const C = await generateKeyPair('Ed25519')
const idA = peerIdFromPrivateKey(A)
const idB = peerIdFromPrivateKey(B)
const NOW = vectors.nowMs
const between = { from: A, to: idB, network: 'main', now: NOW }
const toB = () => ({
  self: B,
  from: idA,
  network: 'main',
  now: NOW,
  guard: new ReplayGuard(SIGNAL_LIMITS.replayEntries),
})
const PAYLOAD = new TextEncoder().encode('dig here')

test('the seeds of boxes.json belong to its peer ids', () => {
  assert.equal(idA.toString(), vectors.sender)
  assert.equal(idB.toString(), vectors.recipient)
})

for (const { name, ephemeralSecret, payload, box } of vectors.valid) {
  test(`boxes.json: ${name} is sealed and opened`, () => {
    assert.equal(hex(sealWith(bytes(payload), between, bytes(ephemeralSecret))), box)
    const opened = open(bytes(box), toB())
    assert.ok(opened !== undefined)
    assert.equal(hex(opened), payload)
  })
}

for (const { name, box } of vectors.invalid) {
  test(`boxes.json: a box ${name} stays closed`, () => {
    assert.equal(open(bytes(box), toB()), undefined)
  })
}

test('two boxes with the same payload have nothing in common', () => {
  const [one, two] = [seal(PAYLOAD, between), seal(PAYLOAD, between)]
  assert.equal(one.length, PAYLOAD.length + BOX_OVERHEAD)
  assert.notDeepEqual(one.subarray(0, 32), two.subarray(0, 32))
  assert.notDeepEqual(one.subarray(32), two.subarray(32))
})

test('a box opens only for its recipient, from its sender, in its network', async () => {
  const idC = peerIdFromPrivateKey(C)
  const box = seal(PAYLOAD, between)
  assert.equal(open(box, { ...toB(), self: C }), undefined)
  assert.equal(open(box, { ...toB(), from: idC }), undefined)
  assert.equal(open(box, { ...toB(), network: 'mai' }), undefined)
  assert.deepEqual(open(box, toB()), PAYLOAD)
})

test('a box opens within ten minutes of either clock', () => {
  const skew = SIGNAL_LIMITS.clockSkewMs
  for (const apart of [-skew, 0, skew]) {
    assert.deepEqual(open(seal(PAYLOAD, { ...between, now: NOW + apart }), toB()), PAYLOAD)
  }
  for (const apart of [-skew - 1_000, skew + 1_000]) {
    assert.equal(open(seal(PAYLOAD, { ...between, now: NOW + apart }), toB()), undefined)
  }
})

test('a box opens once, for as long as its time is accepted', () => {
  const at = toB()
  const box = seal(PAYLOAD, { ...between, now: NOW + SIGNAL_LIMITS.clockSkewMs })
  assert.deepEqual(open(box, at), PAYLOAD)
  for (const later of [0, 1_000, SIGNAL_LIMITS.clockSkewMs, 2 * SIGNAL_LIMITS.clockSkewMs]) {
    assert.equal(open(box, { ...at, now: NOW + later }), undefined)
  }
})

test('bytes that are no box leave no trace in the guard', () => {
  const at = toB()
  const box = seal(PAYLOAD, between)
  const broken = box.with(box.length - 1, (box.at(-1) as number) ^ 1)
  assert.equal(open(broken, at), undefined)
  assert.equal(at.guard.size, 0)
  assert.deepEqual(open(box, at), PAYLOAD)
})

test('a guard is bounded: it refuses rather than forget, and forgets what is stale', () => {
  const guard = new ReplayGuard(2)
  assert.ok(guard.admit('a', 10, 0))
  assert.ok(guard.admit('b', 20, 0))
  assert.ok(!guard.admit('c', 20, 10))
  assert.ok(guard.admit('c', 20, 11))
  assert.equal(guard.size, 2)
  assert.ok(!guard.admit('b', 20, 11))
})

test('no single bit of a box can change', () => {
  const box = seal(PAYLOAD, between)
  for (let bit = 0; bit < box.length * 8; bit++) {
    const changed = box.with(bit >> 3, (box[bit >> 3] as number) ^ (1 << (bit & 7)))
    assert.equal(open(changed, toB()), undefined, `bit ${bit}`)
  }
})

test('any bytes open to nothing and never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1_100 }), (input) => {
      assert.equal(open(input, toB()), undefined)
    }),
    { numRuns: 300 },
  )
})

test('any payload up to the longest survives the way', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: PAYLOAD_BYTES }), (payload) => {
      const box = seal(payload, between)
      assert.ok(box.length <= SIGNAL_LIMITS.sealedBytes)
      assert.deepEqual(open(box, toB()), payload)
    }),
    { numRuns: 100 },
  )
})

test('identities that cannot be sealed to are refused by code', async () => {
  const rsa = peerIdFromString('QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N')
  const smallOrder = peerIdFromPublicKey(publicKeyFromRaw(Uint8Array.of(1, ...Array(31).fill(0))))
  const secp = await generateKeyPair('secp256k1')
  for (const sealing of [
    { ...between, to: rsa },
    { ...between, to: smallOrder },
    { ...between, from: secp },
  ]) {
    assert.throws(() => seal(PAYLOAD, sealing), { code: 'ERR_PEER_INVALID' })
  }
})
