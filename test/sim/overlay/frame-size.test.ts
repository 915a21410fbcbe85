import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { FieldFacts } from '../../../protocols/kernel/protobuf.ts'
import { delimited } from '../../../protocols/kernel/protobuf-bytes.ts'
import { encodeFrame } from '../../../protocols/peer-exchange/codec.ts'
import { FrameMessage } from '../../../protocols/peer-exchange/messages.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import { frameSize } from './world/frame-size.ts'

/** Any value a field may have, made from the table itself. */
function valueOf({ type, most }: FieldFacts): fc.Arbitrary<unknown> {
  const single = singleOf(type)
  return most === undefined ? single : fc.array(single, { maxLength: Math.min(most, 5) })
}

function singleOf(type: FieldFacts['type']): fc.Arbitrary<unknown> {
  if (type === 'bytes') return fc.uint8Array({ maxLength: 300 })
  if (type === 'string') return fc.string({ unit: 'grapheme', maxLength: 40 })
  if (type === 'bool') return fc.boolean()
  if (type === 'fixed64') return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  if (type === 'uint32') return fc.nat({ max: 0xffffffff })
  if (type === 'uint64') return fc.maxSafeNat()
  if (Array.isArray(type)) return fc.constantFrom(...(type as string[]))
  const { fields } = type as { fields: readonly FieldFacts[] }
  return fc.record(Object.fromEntries(fields.map((field) => [field.name, valueOf(field)])))
}

for (const field of FrameMessage.fields) {
  test(`the size of a ${field.name} is that of its encoding`, () => {
    const bodies = singleOf(field.type) as fc.Arbitrary<object>
    fc.assert(
      fc.property(bodies, (body) => {
        const frame = { type: field.name, ...body } as Frame
        assert.equal(frameSize(frame), delimited(encodeFrame(frame)).length)
      }),
    )
  })
}
