import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { concat } from '../../../protocols/signalling/box.ts'
import { decodeFrame, encodeFrame, FrameReader } from '../../../protocols/signalling/codec.ts'
import type { Decoded, Frame } from '../../../protocols/signalling/codec.ts'
import { SIGNAL_LIMITS } from '../../../protocols/signalling/limits.ts'

interface Vector {
  name: string
  hex: string
  /** What the bytes mean, blobs in hex, or the code of what is wrong with them. */
  frame?: Record<string, unknown>
  violation?: string
}

const vectors = JSON.parse(
  readFileSync(
    new URL('../../../protocols/signalling/vectors/frames.json', import.meta.url),
    'utf8',
  ),
) as Vector[]

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

/** The frame as vectors write it. */
function written(decoded: Decoded): unknown {
  if (!decoded.ok) return decoded.violation.code
  return Object.fromEntries(
    Object.entries(decoded.frame).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    ]),
  )
}

for (const vector of vectors) {
  test(`frames.json: ${vector.name}`, () => {
    assert.deepEqual(written(decodeFrame(bytes(vector.hex))), vector.violation ?? vector.frame)
  })
}

const peer = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((key) => Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...key))
const sealed = fc.uint8Array({ maxLength: SIGNAL_LIMITS.sealedBytes })
const plain = { noNullPrototype: true }
const frame: fc.Arbitrary<Exclude<Frame, { type: 'skip' }>> = fc.oneof(
  fc.record(
    {
      type: fc.constant('pass' as const),
      to: peer,
      sealed,
      id: fc.nat({ max: 2 ** 32 - 1 }),
    },
    plain,
  ),
  fc.record(
    {
      type: fc.constant('passed' as const),
      from: peer,
      ip: fc.ipV4(),
      port: fc.integer({ min: 1, max: 65_535 }),
      sealed,
    },
    plain,
  ),
  fc.record(
    {
      type: fc.constant('refused' as const),
      id: fc.nat({ max: 2 ** 32 - 1 }),
      code: fc.constantFrom('unknown-target', 'too-big', 'too-fast', 'not-served'),
    },
    plain,
  ),
)

test('frames survive the way, however the stream cuts them', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 700 })),
      (all, cuts) => {
        const wire = concat(all.map((each) => encodeFrame(each)))
        const reader = new FrameReader()
        const read: Frame[] = []
        for (let at = 0; at < wire.length;) {
          const cut = cuts.next().value as number
          for (const decoded of reader.read(wire.subarray(at, at + cut))) {
            assert.ok(decoded.ok)
            read.push(decoded.frame)
          }
          at += cut
        }
        assert.deepEqual(read, all)
        assert.equal(reader.held, 0)
      },
    ),
  )
})

test('any bytes decode to a frame or to a violation, and never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1_600 }), (input) => {
      const decoded = decodeFrame(input)
      if (!decoded.ok) assert.ok(decoded.violation.text.length > 0)
    }),
    { numRuns: 2_000 },
  )
})

test('a valid frame with any one byte changed decodes or is a violation', () => {
  fc.assert(
    fc.property(frame, fc.nat(), fc.nat(255), (valid, at, byte) => {
      const wire = encodeFrame(valid)
      wire[at % wire.length] = byte
      for (const decoded of new FrameReader().read(wire)) written(decoded)
    }),
    { numRuns: 2_000 },
  )
})

test('a reader holds no more than one frame and its length, whatever arrives', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 4_000 })), (chunks) => {
      const reader = new FrameReader()
      for (const chunk of chunks) {
        const decoded = [...reader.read(chunk)]
        if (decoded.some(({ ok }) => !ok)) return
        assert.ok(reader.held < SIGNAL_LIMITS.frameBytes + 5, `${reader.held} bytes`)
      }
    }),
  )
})

test('a length that is too large or does not end is a violation before its frame arrives', () => {
  const tooLong = [...new FrameReader().read(bytes('810c'))] // 1,537
  assert.deepEqual(tooLong.map(written), ['too-long'])
  const endless = new FrameReader()
  assert.deepEqual([...endless.read(bytes('80808080'))], [])
  assert.deepEqual([...endless.read(bytes('80'))].map(written), ['too-long'])
})
