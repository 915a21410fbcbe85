import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decode, encode } from '../../../protocols/nat-probe/codec.ts'
import type { Decoded, ProbeMessage } from '../../../protocols/nat-probe/codec.ts'
import { PROBE_LIMITS } from '../../../protocols/nat-probe/limits.ts'

type Sent = Exclude<ProbeMessage, { type: 'skip' }>

interface Vectors {
  valid: { name: string; hex: string; message: object }[]
  readOnly: { name: string; hex: string; message: object }[]
  invalid: { name: string; hex: string; violation: string }[]
}

const file = new URL('../../../protocols/nat-probe/vectors/messages.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

/** The message as vectors write it. */
function written(decoded: Decoded): unknown {
  if (!decoded.ok) return decoded.violation
  return Object.fromEntries(
    Object.entries(decoded.value).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    ]),
  )
}

for (const { name, hex, message } of vectors.valid) {
  test(`messages.json: ${name}`, () => {
    const decoded = decode(bytes(hex))
    assert.deepEqual(written(decoded), message)
    assert.ok(decoded.ok)
    assert.equal(Buffer.from(encode(decoded.value as Sent)).toString('hex'), hex)
  })
}

for (const { name, hex, message } of vectors.readOnly) {
  test(`messages.json: ${name} is read`, () => {
    assert.deepEqual(written(decode(bytes(hex))), message)
  })
}

for (const { name, hex, violation } of vectors.invalid) {
  test(`messages.json: ${name} is no message: ${violation}`, () => {
    assert.equal(written(decode(bytes(hex))), violation)
  })
}

test('there is a vector for every kind of message and for every way to be none', () => {
  const kinds = 'sample opened seen back outcome errand knock refused'.split(' ')
  const shown = new Set(vectors.valid.map(({ message }) => (message as ProbeMessage).type))
  assert.deepEqual([...shown].sort(), kinds.sort())
  const violations =
    'too-long malformed ambiguous connections endpoint port nonce outcome signature'.split(' ')
  const seen = new Set(vectors.invalid.map(({ violation }) => violation))
  assert.deepEqual([...seen].sort(), violations.sort())
})

const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 })
const port = fc.integer({ min: 1, max: 65_535 })
const endpoint = fc.record({ ip: fc.ipV4(), port }, { noNullPrototype: true })
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>
const is = <T extends string>(type: T): fc.Arbitrary<T> => fc.constant(type)
const message: fc.Arbitrary<Sent> = fc.oneof(
  record({ type: is('sample'), connections: fc.integer({ min: 1, max: 6 }) }),
  record({ type: is('opened'), seen: endpoint, port }),
  record({ type: is('seen'), tag: nonce, endpoint }),
  record({
    type: is('back'),
    nonce,
    port: fc.integer({ min: 0, max: 65_535 }),
    byOther: fc.boolean(),
  }),
  record({
    type: is('outcome'),
    outcome: fc.constantFrom('reached', 'refused', 'silent', 'failed'),
  }),
  record({
    type: is('errand'),
    voucher: fc.uint8Array({ maxLength: 400 }),
    signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
  }),
  record({ type: is('knock'), nonce }),
  record({
    type: is('refused'),
    code: fc.constantFrom('too-many', 'no-third', 'unsupported', 'voucher', 'unknown'),
  }),
)

test('every message survives the way, and fits', () => {
  fc.assert(
    fc.property(message, (one) => {
      const wire = encode(one)
      assert.ok(wire.byteLength <= PROBE_LIMITS.messageBytes)
      assert.deepEqual(decode(wire), { ok: true, value: one })
    }),
    { numRuns: 1_000 },
  )
})

test('any bytes are a message or a violation, and decoding never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (input) => {
      const decoded = decode(input)
      if (!decoded.ok || decoded.value.type === 'skip') return
      assert.deepEqual(decode(encode(decoded.value)), decoded)
    }),
    { numRuns: 3_000 },
  )
})

test('a message with any byte changed is a message or a violation', () => {
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), (one, where, value) => {
      const wire = encode(one)
      wire[where % wire.length] = value
      const decoded = decode(wire)
      if (decoded.ok && decoded.value.type !== 'skip') assert.ok(decode(encode(decoded.value)).ok)
    }),
    { numRuns: 2_000 },
  )
})
