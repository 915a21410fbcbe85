import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { agreementOn, ExpectedAnswer } from '../../../src/net/eager/agreement.ts'

const NOISE = agreementOn('/noise')

test('the agreement on a protocol is the header and its name, each as a line with its length in front', () => {
  assert.equal(Buffer.from(NOISE).toString(), '\x13/multistream/1.0.0\n\x07/noise\n')
})

test('the length of a long name takes two bytes', () => {
  const agreement = agreementOn(`/${'x'.repeat(198)}`)
  assert.deepEqual([...agreement.subarray(20, 22)], [0xc8, 0x01])
})

test('the expected answer is recognised however it is cut, and what follows it is given back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(200), { maxLength: 8 }),
      fc.uint8Array({ maxLength: 64 }),
      fc.boolean(),
      (cuts, rest, asList) => {
        const answer = new ExpectedAnswer(NOISE)
        const given: number[] = []
        let complete = false
        for (const piece of cut(Buffer.concat([NOISE, rest]), cuts)) {
          const verdict = complete ? piece : answer.take(asList ? new Uint8ArrayList(piece) : piece)
          assert.notEqual(verdict, 'refused')
          if (typeof verdict === 'string') continue
          complete = true
          given.push(...verdict.subarray())
        }
        assert.ok(complete)
        assert.deepEqual(given, [...rest])
      },
    ),
  )
})

test('an answer with one wrong byte is refused at that byte, however it is cut', () => {
  fc.assert(
    fc.property(
      fc.nat(NOISE.byteLength - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.array(fc.nat(NOISE.byteLength), { maxLength: 8 }),
      (at, change, cuts) => {
        const wrong = Buffer.from(NOISE)
        wrong[at] = (wrong[at] as number) ^ change
        const answer = new ExpectedAnswer(NOISE)
        let seen = 0
        for (const piece of cut(wrong, cuts)) {
          seen += piece.byteLength
          const verdict = answer.take(piece)
          assert.equal(verdict, seen > at ? 'refused' : 'incomplete')
          if (verdict === 'refused') return
        }
      },
    ),
  )
})

test('"na" is refused, and nothing at all decides nothing', () => {
  const answer = new ExpectedAnswer(NOISE)
  assert.equal(answer.take(new Uint8ArrayList()), 'incomplete')
  assert.equal(answer.take(NOISE.subarray(0, 20)), 'incomplete')
  assert.equal(answer.take(Buffer.from('\x03na\n')), 'refused')
})

function cut(bytes: Uint8Array, at: number[]): Uint8Array[] {
  const edges = [0, ...at.filter((edge) => edge < bytes.byteLength), bytes.byteLength]
  edges.sort((a, b) => a - b)
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))
}
