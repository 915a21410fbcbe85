import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decode, encode } from '../../../protocols/hole-punching/codec.ts'
import type { PunchMessage } from '../../../protocols/hole-punching/codec.ts'
import { LIMITS } from '../../../protocols/hole-punching/limits.ts'
import { messages } from './inputs.ts'

interface Vectors {
  valid: { name: string; hex: string; message: PunchMessage }[]
  invalid: { name: string; hex: string; violation: string }[]
}

const file = new URL('../../../protocols/hole-punching/vectors/messages.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

for (const { name, hex, message } of vectors.valid) {
  test(`vector: ${name}`, () => {
    assert.deepEqual(decode(bytes(hex)), { ok: true, value: message })
    assert.equal(Buffer.from(encode(message)).toString('hex'), hex)
  })
}

for (const { name, hex, violation } of vectors.invalid) {
  test(`vector: ${name} is no message: ${violation}`, () => {
    assert.deepEqual(decode(bytes(hex)), { ok: false, violation })
  })
}

test('there is a vector for every way to be no message', () => {
  const shown = new Set(vectors.invalid.map(({ violation }) => violation))
  const all = ['too-long', 'malformed', 'version', 'campaign', 'round', 'body', 'endpoint', 'port']
  assert.deepEqual([...shown].sort(), all.sort())
})

test('every message survives the way, and fits', () => {
  fc.assert(
    fc.property(messages, (message) => {
      const wire = encode(message)
      assert.ok(wire.byteLength <= LIMITS.messageBytes)
      assert.deepEqual(decode(wire), { ok: true, value: message })
    }),
    { numRuns: 1_000 },
  )
})

test('any bytes are a message or a violation, and decoding never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (input) => {
      const decoded = decode(input)
      if (decoded.ok) assert.deepEqual(decode(encode(decoded.value)), decoded)
    }),
    { numRuns: 3_000 },
  )
})

test('a message with any byte changed is a message or a violation', () => {
  fc.assert(
    fc.property(messages, fc.nat(), fc.nat(255), (message, where, value) => {
      const wire = encode(message)
      wire[where % wire.length] = value
      const decoded = decode(wire)
      if (decoded.ok) assert.ok(decode(encode(decoded.value)).ok)
    }),
    { numRuns: 2_000 },
  )
})
