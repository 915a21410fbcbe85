import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RecordEnvelope } from '@libp2p/peer-record'
import { decodeFrame, encodeFrame } from '../../../protocols/peer-exchange/codec.ts'
import { DOMAIN, openEnvelope } from '../../../protocols/peer-exchange/envelope.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import { judge, readPayload } from '../../../protocols/peer-exchange/record.ts'
import { isGenuine, networkIdOf, notation } from '../../../src/drivers/overlay-records.ts'

const folder = new URL('../../../protocols/peer-exchange/vectors/', import.meta.url)
const load = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
const unhex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

interface FrameVectors {
  valid: { type: string; frame: string }[]
  invalid: { name: string; fault: string; frame: string }[]
}
interface RecordVectors {
  network: string
  nowMs: number
  valid: { name: string; envelope: string; peer: string }[]
  invalid: { name: string; fault: string; envelope: string }[]
}
const frames: FrameVectors = load('frames.json')
const records: RecordVectors = load('records.json')

for (const { type, frame } of frames.valid) {
  test(`a valid ${type} is read, and written as the same bytes`, () => {
    const decoded = decodeFrame(unhex(frame))
    assert.ok(decoded.ok)
    assert.equal(decoded.value.type, type)
    assert.equal(Buffer.from(encodeFrame(decoded.value)).toString('hex'), frame)
  })
}

for (const { name, fault, frame } of frames.invalid) {
  test(`a frame with ${name} is refused as ${fault}`, () => {
    assert.deepEqual(decodeFrame(unhex(frame)), { ok: false, fault })
  })
}

/** Every check in the order of the specification; the fault, or whom the record is about. */
async function verify(hex: string): Promise<string> {
  const opened = openEnvelope(unhex(hex))
  if (!opened.ok) return opened.fault
  if (!(await isGenuine(opened.value.signed))) return 'signature-invalid'
  const peer = notation.peerText(opened.value.signer) ?? assert.fail('no peer id')
  const record = readPayload(opened.value.payload, peer, notation)
  if (!record.ok) return record.fault
  return judge(record.value, networkIdOf(records.network), records.nowMs) ?? record.value.peer
}

for (const { name, envelope, peer } of records.valid) {
  test(`the record of ${name} is believed, by libp2p's own reader too`, async () => {
    assert.equal(await verify(envelope), peer)
    const stock = await RecordEnvelope.openAndCertify(unhex(envelope), DOMAIN)
    assert.equal(Buffer.from(stock.marshal()).toString('hex'), envelope)
  })
}

for (const { name, fault, envelope } of records.invalid) {
  test(`a record that is ${name} is refused as ${fault}`, async () => {
    assert.equal(await verify(envelope), fault)
  })
}

test('a record is read as it was meant', () => {
  const opened = openEnvelope(unhex(records.valid[0]?.envelope ?? ''))
  assert.ok(opened.ok)
  const record = readPayload(opened.value.payload, records.valid[0]?.peer ?? '', notation)
  assert.ok(record.ok)
  const { addresses, reachability, mapping, filtering, services, leaving } = record.value
  assert.deepEqual(
    addresses.map(({ kind }) => kind),
    ['relayed', 'external', 'lan'],
  )
  assert.equal(addresses[1]?.address, '/ip4/9.9.9.9/tcp/50123')
  assert.deepEqual(
    [reachability, mapping, filtering, services, leaving],
    ['private', 'endpoint-independent', 'address-and-port-dependent', ['web'], false],
  )
})

test('an expired record is believed for ten minutes longer, since clocks differ', () => {
  const opened = openEnvelope(unhex(records.valid[0]?.envelope ?? ''))
  assert.ok(opened.ok)
  const record = readPayload(opened.value.payload, 'p', notation)
  assert.ok(record.ok)
  const network = networkIdOf(records.network)
  const end = records.nowMs + limits.ownTtlS * 1000
  assert.equal(judge(record.value, network, end + 599_000), undefined)
  assert.equal(judge(record.value, network, end + 600_000), 'expired')
  assert.equal(judge(record.value, network, records.nowMs - 600_000), undefined)
  assert.equal(judge(record.value, network, records.nowMs - 601_000), 'issued-in-future')
})

test('bytes at random never throw, and what is read can be written', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const decoded = decodeFrame(bytes)
      if (decoded.ok) encodeFrame(decoded.value)
      const opened = openEnvelope(bytes)
      if (opened.ok) readPayload(opened.value.payload, 'p', notation)
      readPayload(bytes, 'p', notation)
    }),
    { numRuns: 2_000 },
  )
})

test('a valid frame cut off, or with a byte changed, never throws', () => {
  const valid = fc.constantFrom(...frames.valid.map(({ frame }) => unhex(frame)))
  fc.assert(
    fc.property(valid, fc.nat(), fc.nat(255), (bytes, at, value) => {
      const place = at % bytes.length
      decodeFrame(bytes.subarray(0, place))
      decodeFrame(bytes.with(place, value))
    }),
    { numRuns: 2_000 },
  )
})

test('a frame of one byte too many is not even decoded', () => {
  const bytes = new Uint8Array(limits.frameBytes + 1)
  assert.deepEqual(decodeFrame(bytes), { ok: false, fault: 'frame-too-large' })
})

test('messages in messages in messages are refused by the first table that knows no deeper one', () => {
  let bytes = Uint8Array.of(0x0a, 0)
  while (bytes.length < 120) bytes = Uint8Array.of(0x0a, bytes.length, ...bytes)
  assert.equal(decodeFrame(bytes).ok, false)
})

test('every frame that can be made is read back as it was', () => {
  const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const bytes = fc.uint8Array({ maxLength: 64 })
  const plain = { noNullPrototype: true } as const
  const entry = fc.record({ envelope: bytes, observedAgeS: uint32, firstHand: fc.boolean() }, plain)
  const frame: fc.Arbitrary<Frame> = fc.oneof(
    fc.record(
      {
        type: fc.constant('hello' as const),
        v: uint32,
        networkId: id,
        envelope: bytes,
        nowS: fc.maxSafeNat(),
        caps: uint32,
        seenAddr: bytes,
      },
      plain,
    ),
    fc.record({ type: fc.constant('want' as const), ids: fc.array(id, { maxLength: 64 }) }, plain),
    fc.record(
      {
        type: fc.constant('push' as const),
        hops: uint32,
        entries: fc.array(entry, { maxLength: 16 }),
      },
      plain,
    ),
    fc.array(fc.tuple(id, uint32), { maxLength: 256 }).map((list): Frame => ({
      type: 'sample',
      same: false,
      ids: list.map(([one]) => one),
      seqLo: list.map(([, seq]) => seq),
    })),
  )
  fc.assert(
    fc.property(frame, (before) => {
      assert.deepEqual(decodeFrame(encodeFrame(before)), { ok: true, value: before })
    }),
    { numRuns: 300 },
  )
})
