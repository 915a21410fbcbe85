import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeFrame, encodeFrame } from '../../../protocols/peer-exchange/codec.ts'
import { openEnvelope } from '../../../protocols/peer-exchange/envelope.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import { readPayload } from '../../../protocols/peer-exchange/record.ts'
import { decodeSnapshot } from '../../../protocols/peer-exchange/snapshot.ts'
import { notation } from '../../../src/drivers/overlay-records.ts'

/** `FUZZ_RUNS=1000000 node --test test/unit/peer-exchange/fuzz.test.ts` is the long run. */
const numRuns = Number(process.env.FUZZ_RUNS ?? 2_000)

type Bytes = Uint8Array<ArrayBuffer>

const folder = new URL('../../../protocols/peer-exchange/vectors/', import.meta.url)
const load = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
const bytesOf = (hex: string): Bytes => new Uint8Array(Buffer.from(hex, 'hex'))
const hexes = (list: Record<string, string>[], key: string): string[] =>
  list.flatMap((one) => one[key] ?? [])
const { valid, invalid } = load('frames.json')
const records = load('records.json')
const frames = hexes([...valid, ...invalid], 'frame').map(bytesOf)
const envelopes = hexes([...records.valid, ...records.invalid], 'envelope').map(bytesOf)

/** Reads bytes as whatever a peer may send them as. Whatever is read must be within the limits, and stay the same. */
function readAll(bytes: Uint8Array): void {
  const decoded = decodeFrame(bytes)
  if (decoded.ok) {
    assert.ok(bytes.length <= limits.frameBytes)
    const again = decodeFrame(encodeFrame(decoded.value))
    // What was written wastefully may come out shorter, never longer: a frame that was read can be sent.
    assert.deepEqual(again, decoded)
    checkLimits(decoded.value)
  }
  const opened = openEnvelope(bytes)
  if (opened.ok) {
    const record = readPayload(opened.value.payload, 'p', notation)
    if (record.ok) {
      assert.ok(record.value.addresses.length <= limits.addresses)
      assert.ok(record.value.services.length <= limits.services)
      assert.ok(Number.isSafeInteger(record.value.seq))
    }
  }
  readPayload(bytes, 'p', notation)
  decodeSnapshot(bytes)
}

const MOST_ENTRIES: Partial<Record<Frame['type'], number>> = {
  helloAck: limits.helloEntries,
  records: limits.wantIds,
  push: limits.pushEntries,
  neighbourAck: limits.alternatives,
  neighbourEnd: limits.alternatives,
}

function checkLimits(frame: Frame): void {
  if ('entries' in frame) {
    assert.ok(frame.entries.length <= (MOST_ENTRIES[frame.type] ?? 0))
    for (const one of frame.entries) assert.ok(one.envelope.length <= limits.envelopeBytes)
  }
  if ('ids' in frame) {
    assert.ok(frame.ids.length <= (frame.type === 'want' ? limits.wantIds : limits.sampleIds))
    assert.ok(frame.ids.every(Number.isSafeInteger))
  }
  if (frame.type === 'find') assert.ok(frame.peers.length <= limits.findPeers)
}

const start = fc.constantFrom(...frames, ...envelopes)
type Change = (bytes: Bytes) => Bytes
const place = (at: number, bytes: Uint8Array) => at % (bytes.length + 1)
const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(255)).map(
    ([at, value]): Change =>
      (bytes) =>
        bytes.length === 0 ? bytes : bytes.with(at % bytes.length, value),
  ),
  fc.nat().map(
    (at): Change =>
      (bytes) =>
        bytes.subarray(0, place(at, bytes)),
  ),
  fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 12 })).map(([at, more]): Change => (bytes) => {
    const from = place(at, bytes)
    return Uint8Array.of(...bytes.subarray(0, from), ...more, ...bytes.subarray(from))
  }),
  fc.tuple(fc.nat(), fc.nat(40)).map(([at, count]): Change => (bytes) => {
    const from = place(at, bytes)
    return Uint8Array.of(...bytes.subarray(0, from), ...bytes.subarray(from + count))
  }),
  start.map(
    (other): Change =>
      (bytes) =>
        Uint8Array.of(...bytes, ...other),
  ),
)

test('bytes at random never throw, and what is read is within the limits', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), readAll), { numRuns })
})

test('valid bytes with a few changes never throw, and what is read is within the limits', () => {
  fc.assert(
    fc.property(start, fc.array(changes, { minLength: 1, maxLength: 5 }), (bytes, list) =>
      readAll(list.reduce<Bytes>((so, change) => change(so), bytes)),
    ),
    { numRuns },
  )
})

/** Frames of one kind with such bodies. */
const kind = <T extends Frame['type'], R>(type: T, rest: { [K in keyof R]: fc.Arbitrary<R[K]> }) =>
  fc.record(rest, { noNullPrototype: true }).map((body) => ({ type, ...body }))

test('every frame that can be made is read back as it was', () => {
  const id = fc.maxSafeNat()
  const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const bytes = fc.uint8Array({ maxLength: 64 })
  const entry = fc.record(
    { envelope: bytes, observedAgeS: uint32, firstHand: fc.boolean() },
    { noNullPrototype: true },
  )
  const entries = (maxLength: number) => fc.array(entry, { maxLength })
  const hello = { envelope: bytes, nowS: fc.maxSafeNat(), seenAddr: bytes }
  const frame: fc.Arbitrary<Frame> = fc.oneof<fc.Arbitrary<Frame>[]>(
    kind('hello', { ...hello, v: uint32, caps: uint32, networkId: fc.bigInt(0n, 2n ** 64n - 1n) }),
    kind('helloAck', { ...hello, entries: entries(limits.helloEntries) }),
    kind('sampleReq', { max: uint32, setHash: uint32 }),
    fc.array(fc.tuple(id, uint32, uint32), { maxLength: limits.sampleIds }).map((list): Frame => ({
      type: 'sample',
      same: false,
      ids: list.map(([one]) => one),
      seqLo: list.map(([, seq]) => seq),
      groups: list.map(([, , group]) => group),
    })),
    kind('want', { ids: fc.array(id, { maxLength: limits.wantIds }) }),
    kind('records', {
      entries: entries(limits.wantIds),
      unknown: fc.array(id, { maxLength: limits.wantIds }),
    }),
    kind('push', { entries: entries(limits.pushEntries), hops: uint32 }),
    kind('find', {
      peers: fc.array(bytes, { maxLength: limits.findPeers }),
      service: fc.string({ maxLength: 12 }),
      relay: fc.boolean(),
      hops: uint32,
    }),
    kind('neighbourReq', { isolated: fc.boolean() }),
    kind('neighbourAck', {
      verdict: fc.constantFrom('refused', 'accepted', 'full', 'group-full', 'too-often'),
      retryS: uint32,
      entries: entries(limits.alternatives),
    }),
    kind('neighbourEnd', { entries: entries(limits.alternatives), evicted: fc.boolean() }),
    kind('err', { code: uint32, retryS: uint32 }),
  )
  fc.assert(
    fc.property(frame, (before) => {
      assert.deepEqual(decodeFrame(encodeFrame(before)), { ok: true, value: before })
    }),
    { numRuns: Math.ceil(numRuns / 5) },
  )
})
