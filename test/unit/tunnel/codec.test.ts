import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { refusal } from '../../../protocols/tunnel/admission.ts'
import {
  decodeAnswer,
  decodeOpen,
  encodeAnswer,
  encodeOpen,
} from '../../../protocols/tunnel/codec.ts'
import { isServiceName, TUNNEL_LIMITS } from '../../../protocols/tunnel/limits.ts'

interface Vector {
  name: string
  hex: string
  /** What the bytes mean, or the code of what is wrong with them. */
  open?: unknown
  answer?: unknown
  violation?: string
}

const read = (file: string): Vector[] =>
  JSON.parse(
    readFileSync(new URL(`../../../protocols/tunnel/vectors/${file}`, import.meta.url), 'utf8'),
  )

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

for (const [file, decode] of [
  ['open.json', decodeOpen],
  ['answer.json', decodeAnswer],
] as const) {
  for (const vector of read(file)) {
    test(`${file}: ${vector.name}`, () => {
      const decoded = decode(bytes(vector.hex))
      if (vector.violation !== undefined) {
        assert.equal(decoded.ok ? 'valid' : decoded.violation.code, vector.violation)
      } else {
        assert.deepEqual(decoded, { ok: true, value: vector.open ?? vector.answer })
      }
    })
  }
}

test('what is encoded is what the vectors say', () => {
  const open = { service: 'web', flags: 0 }
  const vector = read('open.json').find((v) => v.violation === undefined)
  assert.equal(Buffer.from(encodeOpen(open)).toString('hex'), vector?.hex)
})

test('an answer that both opens and refuses is neither', () => {
  const decoded = decodeAnswer(bytes('080112001a020801'))
  assert.equal(decoded.ok ? 'valid' : decoded.violation.code, 'answer')
})

test('text that is not UTF-8 makes a message malformed', () => {
  const decoded = decodeOpen(bytes('08011a01ff'))
  assert.equal(decoded.ok ? 'valid' : decoded.violation.code, 'malformed')
})

test('any bytes decode to a value or to a violation, and never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1200 }), (input) => {
      for (const decoded of [decodeOpen(input), decodeAnswer(input)]) {
        if (!decoded.ok) assert.ok(decoded.violation.text.length > 0)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('every refusal survives the way, on one line and within the message limit', () => {
  const code = fc.constantFrom('unknown', 'denied', 'unavailable', 'busy')
  fc.assert(
    fc.property(code, fc.string({ unit: 'binary', maxLength: 500 }), (code, message) => {
      const wire = encodeAnswer({ opened: false, code, message })
      assert.ok(wire.byteLength <= TUNNEL_LIMITS.messageBytes)
      const decoded = decodeAnswer(wire)
      assert.ok(decoded.ok && !decoded.value.opened)
      assert.equal(decoded.value.code, code)
      assert.doesNotMatch(decoded.value.message, /[\p{Cc}\u2028\u2029]/u)
    }),
  )
})

test('names are short, lower case and safe in a path', () => {
  for (const good of ['web', '0', 'team.api_v2-x', 'a'.repeat(48)])
    assert.ok(isServiceName(good), good)
  for (const bad of ['', '.web', '-x', 'Web', 'a/b', 'a b', 'ä', 'a\n', 'a'.repeat(49)]) {
    assert.ok(!isServiceName(bad), JSON.stringify(bad))
  }
})

test('admission says unknown, denied and busy, and otherwise lets in', () => {
  const asked = { peer: 'P', service: 'web', allow: ['P'], openForPeer: 0, openInAll: 0 }
  assert.equal(refusal(asked), undefined)
  assert.equal(refusal({ ...asked, allow: 'all' }), undefined)
  assert.equal(refusal({ ...asked, allow: undefined })?.code, 'unknown')
  assert.equal(refusal({ ...asked, allow: ['Q'] })?.code, 'denied')
  assert.equal(refusal({ ...asked, allow: [] })?.code, 'denied')
  assert.equal(refusal({ ...asked, openForPeer: TUNNEL_LIMITS.streamsPerPeer })?.code, 'busy')
  assert.equal(refusal({ ...asked, openInAll: TUNNEL_LIMITS.streamsTotal })?.code, 'busy')
})
