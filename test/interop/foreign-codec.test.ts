import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { decodeFrame, encodeFrame } from '../../protocols/peer-exchange/codec.ts'
import { openEnvelope } from '../../protocols/peer-exchange/envelope.ts'
import { fold } from '../../protocols/peer-exchange/ids.ts'
import { limits } from '../../protocols/peer-exchange/limits.ts'
import { Envelope, PublicKey, RecordPayload } from '../../protocols/peer-exchange/messages.ts'
import { readEnvelope } from '../../protocols/peer-exchange/read-envelope.ts'
import { judge } from '../../protocols/peer-exchange/record.ts'
import { seededRng } from '../../protocols/kernel/rng.ts'
import { isGenuine, networkIdOf, notation, seal } from '../../src/drivers/overlay-records.ts'
import { attempt, run } from '../lab/command.ts'
import { foreignCodecProgram, missingGo } from './go-build.ts'
import { mutated } from './mutate.ts'

/**
 * Two codecs that were written apart, ours and the one in test/foreign/peer-exchange, read the same bytes. Where they
 * differ, the specification is not clear or one of them is wrong.
 */

const folder = new URL('../../protocols/peer-exchange/vectors/', import.meta.url)
const load = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
const frames: { valid: { frame: string }[]; invalid: { frame: string }[] } = load('frames.json')
const records: {
  network: string
  nowMs: number
  valid: { envelope: string }[]
  invalid: { envelope: string }[]
} = load('records.json')

const FRAMES = 6_000
const ENVELOPES = 1_500
const PAYLOADS = 3_000
const SEED = Number(process.env['SEED'] ?? 20_261_121)

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7))

let codec = ''
before(async () => {
  // Not skipped: whoever runs this without Go is to know that nothing was compared.
  assert.deepEqual(await missingGo(), [])
  codec = await foreignCodecProgram()
})

test('the foreign codec reads every vector as the vectors say, and writes the valid ones as the same bytes', async () => {
  const agreed = Number(await run([codec, 'vectors', fileURLToPath(folder)]))
  const { valid, invalid } = records
  const expected = frames.valid.length + frames.invalid.length + 3 * valid.length + invalid.length
  assert.equal(agreed, expected)
})

test('the foreign codec says so when a vector is not as it reads it', async () => {
  const { stdout } = await attempt([codec, 'verdicts', 'another', String(records.nowMs)], {
    input: records.valid.map(({ envelope }) => `record ${envelope}\n`).join(''),
  })
  assert.deepEqual(new Set(stdout.trim().split('\n')), new Set(['network-different']))
  assert.equal((await attempt([codec, 'vectors', '/nowhere'])).code, 1)
})

test('both codecs judge mutated frames alike, and read the same in those that are valid', async () => {
  const rng = seededRng(SEED)
  const base = [...frames.valid, ...frames.invalid].map(({ frame }) => unhex(frame))
  const cases = Array.from({ length: FRAMES }, () => hex(mutated(base, rng)))
  const oversized = [limits.frameBytes, limits.frameBytes + 1].map((length) =>
    hex(new Uint8Array(length).fill(0x08)),
  )
  await compare('frame', [...cases, ...oversized], async (text) => verdictOfFrame(unhex(text)))
})

test('both codecs judge mutated envelopes alike', async () => {
  const rng = seededRng(SEED + 1)
  const base = [...records.valid, ...records.invalid].map(({ envelope }) => unhex(envelope))
  const cases = Array.from({ length: ENVELOPES }, () => hex(mutated(base, rng)))
  await compare('record', cases, (text) => verdictOfRecord(unhex(text)))
})

test('both codecs judge mutated records alike that are signed well, and give peers the same numbers', async () => {
  const rng = seededRng(SEED + 2)
  const base = records.valid.concat(records.invalid).flatMap(({ envelope }) => {
    const opened = openEnvelope(unhex(envelope))
    return opened.ok ? [opened.value.payload] : []
  })
  const cases: string[] = []
  for (let i = 0; i < PAYLOADS; i++) cases.push(hex(await seal(mutated(base, rng), key)))
  await compare('record', cases, (text) => verdictOfRecord(unhex(text)))
})

test('both codecs take the same texts for names of services', async () => {
  const names =
    'web,日本,é,👍,\u{1fae9},\u0378,\ue000,a\u0000,a\u007f,a\u009f,a\u00a0,a\u00ad,a\u061c,a\u200b,a\u200d,a\u2028,a\u202e,a\u2060,a\ufeff,\ufeffa,a\ufffb,a\ufffd,a\u{e0001},a\u{e1000}'
  const services = [...names.split(','), '', 'x'.repeat(48), 'é'.repeat(24)]
  const payload = openEnvelope(unhex(records.valid[0]?.envelope ?? ''))
  assert.ok(payload.ok)
  const record = RecordPayload.decode(payload.value.payload)
  const cases: string[] = []
  for (const name of services) {
    cases.push(hex(await seal(RecordPayload.encode({ ...record, services: [name] }), key)))
  }
  await compare('record', cases, (text) => verdictOfRecord(unhex(text)))
})

/** Has both judge the cases, and fails with the first few that they judge differently. */
async function compare(
  kind: 'frame' | 'record',
  cases: string[],
  judgeOurs: (text: string) => Promise<string>,
): Promise<void> {
  const input = cases.map((text) => `${kind} ${text}\n`).join('')
  const argv = [codec, 'verdicts', records.network, String(records.nowMs)]
  const theirs = (await run(argv, { input })).trimEnd().split('\n')
  assert.equal(theirs.length, cases.length)
  const ours = await Promise.all(cases.map(judgeOurs))
  const differ = cases.flatMap((bytes, i) =>
    ours[i] === theirs[i] ? [] : [{ bytes, ours: ours[i], theirs: theirs[i] }],
  )
  assert.deepEqual(differ.slice(0, 3), [], `${differ.length} of ${cases.length}, seed ${SEED}`)
  // Else the cases would say little.
  const kinds = Map.groupBy(ours, (verdict) => verdict.split(' ', 1)[0])
  assert.ok(kinds.has('ok') && kinds.size > 1)
}

function verdictOfFrame(bytes: Uint8Array): string {
  const frame = decodeFrame(bytes)
  return frame.ok ? `ok ${frame.value.type} ${hex(encodeFrame(frame.value))}` : frame.fault
}

/** In the order in which the machine checks. */
async function verdictOfRecord(bytes: Uint8Array): Promise<string> {
  const read = readEnvelope(bytes, notation)
  if (!read.ok) return read.fault
  const { record, signed } = read.value
  if (!(await isGenuine(signed))) return 'signature-invalid'
  const fault = judge(record, networkIdOf(records.network), records.nowMs)
  if (fault !== undefined) return fault
  const id = notation.idOf(record.peer)
  const print = fold(id, record.seq)
  return `ok ${record.peer} ${id} ${print} ${record.addresses.length} ${hex(writtenAnew(bytes))}`
}

function writtenAnew(bytes: Uint8Array): Uint8Array {
  const envelope = Envelope.decode(bytes)
  return Envelope.encode({
    ...envelope,
    publicKey: PublicKey.encode(PublicKey.decode(envelope.publicKey)),
    payload: RecordPayload.encode(RecordPayload.decode(envelope.payload)),
  })
}
