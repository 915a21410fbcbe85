import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { encodeFrame, FrameReader } from '../../../protocols/resumption/codec.ts'
import type { Frame, Violation } from '../../../protocols/resumption/codec.ts'

interface Vector {
  name: string
  hex: string
  /** What the bytes mean, blobs in hex, or the code of what is wrong with them. */
  frame?: Record<string, unknown>
  violation?: string
}

const vectors: Vector[] = JSON.parse(
  readFileSync(
    new URL('../../../protocols/resumption/vectors/frames.json', import.meta.url),
    'utf8',
  ),
)

const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

function readAll(chunks: Uint8Array[]): { frames: Frame[]; wrong: Violation | undefined } {
  const reader = new FrameReader()
  const frames: Frame[] = []
  let wrong: Violation | undefined
  for (const chunk of chunks) wrong ??= reader.read(chunk, (frame) => frames.push(frame))
  return { frames, wrong }
}

/** The frame as vectors write it. */
function shown(frame: Frame | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(frame ?? {}).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    ]),
  )
}

for (const vector of vectors) {
  test(`frames.json: ${vector.name}`, () => {
    const { frames, wrong } = readAll([fromHex(vector.hex)])
    if (vector.violation !== undefined) return assert.equal(wrong?.code, vector.violation)
    assert.deepEqual(frames.map(shown), [vector.frame])
    const later = vector.name.includes('later version')
    const again = Buffer.concat(encodeFrame(frames[0] as Frame)).toString('hex')
    if (!later) assert.equal(again, vector.hex)
  })
}

test('frames cut anywhere read as the same frames, data in pieces', () => {
  const valid = vectors.filter(({ violation }) => violation === undefined)
  const whole = Buffer.concat(valid.map(({ hex }) => fromHex(hex)))
  const expected = joined(readAll([new Uint8Array(whole)]).frames)
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length), { maxLength: 30 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), whole.length]
      const chunks = at.slice(1).map((end, i) => new Uint8Array(whole.subarray(at[i], end)))
      assert.deepEqual(joined(readAll(chunks).frames), expected)
    }),
  )
})

/** Puts the pieces of a data frame together again. */
function joined(frames: Frame[]): unknown[] {
  const out: Record<string, unknown>[] = []
  for (const frame of frames) {
    const last = out.at(-1)
    const goesOn =
      frame.type === 'data' &&
      last?.type === 'data' &&
      frame.offset === (last.offset as number) + (last.bytes as string).length / 2
    if (!goesOn) out.push(shown(frame))
    else {
      last.bytes = `${last.bytes as string}${Buffer.from(frame.bytes).toString('hex')}`
      last.ask = frame.ask
    }
  }
  return out
}

test('any bytes read as frames or as a violation, and never throw', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 4 }), (chunks) => {
      const { frames } = readAll(chunks)
      const read = frames.reduce((sum, f) => sum + (f.type === 'data' ? f.bytes.length : 1), 0)
      assert.ok(read <= chunks.reduce((sum, { length }) => sum + length, 0))
    }),
    { numRuns: 2_000 },
  )
})

test('after a violation nothing more is read', () => {
  const { frames, wrong } = readAll([fromHex('00000000'), fromHex('08000008000000000000000a')])
  assert.equal(wrong?.code, 'type')
  assert.deepEqual(frames, [])
})
