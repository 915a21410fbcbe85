import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeNatPmp, encodeNatPmp } from '../../../protocols/port-mapping/nat-pmp.ts'
import { decodePcp, encodePcp } from '../../../protocols/port-mapping/pcp.ts'
import type { Task } from '../../../protocols/port-mapping/way.ts'

interface Client {
  ip: string
  port: number
  nonce: string
}

interface Vectors {
  port: number
  questions: { name: string; client: Client; task: Task; hex: string }[]
  answers: { name: string; client: Client; task: Task; hex: string; heard: object | null }[]
}

const read = (name: string): Vectors =>
  JSON.parse(
    readFileSync(
      new URL(`../../../protocols/port-mapping/vectors/${name}.json`, import.meta.url),
      'utf8',
    ),
  ) as Vectors

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hexOf = (written: Uint8Array): string => Buffer.from(written).toString('hex')
const clientOf = ({ ip, port, nonce }: Client) => ({ ip, port, nonce: bytes(nonce) })

const pcp = read('pcp')
const natPmp = read('nat-pmp')

for (const { name, client, task, hex } of pcp.questions)
  test(`pcp.json, question: ${name}`, () => {
    assert.equal(hexOf(encodePcp(task, clientOf(client))), hex)
  })

for (const { name, client, task, hex, heard } of pcp.answers)
  test(`pcp.json, answer: ${name}`, () => {
    assert.deepEqual(decodePcp(bytes(hex), task, clientOf(client)) ?? null, heard)
  })

for (const { name, task, hex } of natPmp.questions)
  test(`nat-pmp.json, question: ${name}`, () => {
    assert.equal(hexOf(encodeNatPmp(task, natPmp.port)), hex)
  })

for (const { name, task, hex, heard } of natPmp.answers)
  test(`nat-pmp.json, answer: ${name}`, () => {
    assert.deepEqual(decodeNatPmp(bytes(hex), task, natPmp.port) ?? null, heard)
  })

const anyTask = fc.constantFrom<Task>(
  { do: 'ask' },
  { do: 'map', port: 30_000 },
  { do: 'check', port: 30_000 },
  { do: 'release', port: 30_000 },
)

/** What somebody makes of a real answer: some bytes changed, cut, and more behind. */
const spoilt = fc
  .record({
    answer: fc.constantFrom(...[...pcp.answers, ...natPmp.answers].map(({ hex }) => hex)),
    changes: fc.array(fc.tuple(fc.nat({ max: 1200 }), fc.nat({ max: 255 })), { maxLength: 6 }),
    cut: fc.nat({ max: 80 }),
    more: fc.uint8Array({ maxLength: 8 }),
  })
  .map(({ answer, changes, cut, more }) => {
    const changed = Uint8Array.of(...bytes(answer).subarray(0, 1120 - cut), ...more)
    for (const [at, value] of changes) if (at < changed.length) changed[at] = value
    return changed
  })

test('whatever bytes come, they are an answer with sound values or none', () => {
  const client = clientOf((pcp.answers[0] as Vectors['answers'][number]).client)
  fc.assert(
    fc.property(anyTask, fc.oneof(fc.uint8Array({ maxLength: 1300 }), spoilt), (task, noise) => {
      for (const heard of [decodePcp(noise, task, client), decodeNatPmp(noise, task, 4001)]) {
        if (heard?.outcome.type !== 'granted') continue
        const { port, seconds } = heard.outcome.grant
        assert.equal(task.do, 'map')
        assert.ok(port > 0 && port < 65_536 && seconds > 0)
      }
    }),
    { numRuns: 3_000 },
  )
})
