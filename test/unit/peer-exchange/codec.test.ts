import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { RecordEnvelope } from '@libp2p/peer-record'
import { decodeFrame, encodeFrame } from '../../../protocols/peer-exchange/codec.ts'
import { DOMAIN, openEnvelope } from '../../../protocols/peer-exchange/envelope.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
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
  valid: { name: string; envelope: string; peer: string; addresses: number }[]
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

/** Every check in the order of the specification; the fault, or whom the record is about and how many addresses can be read. */
async function verify(hex: string): Promise<string> {
  const opened = openEnvelope(unhex(hex))
  if (!opened.ok) return opened.fault
  if (!(await isGenuine(opened.value.signed))) return 'signature-invalid'
  const peer = notation.peerText(opened.value.signer) ?? assert.fail('no peer id')
  const record = readPayload(opened.value.payload, peer, notation)
  if (!record.ok) return record.fault
  const fault = judge(record.value, networkIdOf(records.network), records.nowMs)
  return fault ?? `${record.value.peer} ${record.value.addresses.length}`
}

for (const { name, envelope, peer, addresses } of records.valid) {
  test(`the record of ${name} is believed, by libp2p's own reader too`, async () => {
    assert.equal(await verify(envelope), `${peer} ${addresses}`)
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

test('a frame of one byte too many is not even decoded', () => {
  const bytes = new Uint8Array(limits.frameBytes + 1)
  assert.deepEqual(decodeFrame(bytes), { ok: false, fault: 'frame-too-large' })
})

test('messages in messages in messages are refused by the first table that knows no deeper one', () => {
  let bytes = Uint8Array.of(0x0a, 0)
  while (bytes.length < 120) bytes = Uint8Array.of(0x0a, bytes.length, ...bytes)
  assert.equal(decodeFrame(bytes).ok, false)
})
