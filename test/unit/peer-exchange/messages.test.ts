import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as messages from '../../../protocols/peer-exchange/messages.ts'

const folder = new URL('../../../protocols/peer-exchange/', import.meta.url)
const proto = readFileSync(new URL('peer-exchange.proto', folder), 'utf8')
const tables = readFileSync(new URL('messages.ts', folder), 'utf8')

/** `name = number` of every field of a message in the .proto file. */
function inProto(message: string): string[] {
  const body = new RegExp(`^message ${message} \\{([\\s\\S]*?)^\\}`, 'm').exec(proto)?.[1]
  assert.ok(body, `no message ${message} in the .proto file`)
  const fields = body.matchAll(/^\s+(?:repeated |optional )?\w+ (\w+) = (\d+)/gm)
  return [...fields].map(([, name = '', number]) => `${camel(name)} = ${number}`).sort()
}

/** The same of a table, from its source. */
function inTable(start: string): string[] {
  const from = tables.indexOf(start)
  assert.ok(from >= 0, `no table ${start}`)
  const end = /\}\)/.exec(tables.slice(from))
  const body = tables.slice(from, from + (end?.index ?? 0))
  const fields = body.matchAll(/(\w+): \w+\(\s*(\d+)/g)
  return [...fields].map(([, name, number]) => `${name} = ${number}`).sort()
}

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

const pairs: [message: string, table: string][] = [
  ['RecordAddress', 'const RecordAddress = '],
  ['RelayOffer', 'const RelayOffer = '],
  ['RecordPayload', 'export const RecordPayload = '],
  ['Entry', 'const EntryMessage = '],
  ['Hello', '  hello: message('],
  ['HelloAck', '  helloAck: message('],
  ['SampleReq', '  sampleReq: message('],
  ['Sample', '  sample: message('],
  ['Want', '  want: message('],
  ['Records', '  records: message('],
  ['Push', '  push: message('],
  ['Resolve', '  resolve: message('],
  ['Err', '  err: message('],
  ['Frame', 'export const FrameMessage = '],
]
for (const [message, table] of pairs) {
  test(`the table of ${message} has the fields of the .proto file`, () => {
    assert.notEqual(inProto(message).length, 0)
    assert.deepEqual(inTable(table), inProto(message))
  })
}

test('every message leaves out what has its default, and reads it back', () => {
  assert.deepEqual(messages.RecordPayload.encode({}), new Uint8Array())
  const { services, leaving, seq, relay } = messages.RecordPayload.decode(new Uint8Array())
  assert.deepEqual(
    { services, leaving, seq, relay },
    {
      services: [],
      leaving: false,
      seq: 0,
      relay: undefined,
    },
  )
})

test('fields of a later version are skipped', () => {
  const later = Uint8Array.of(0xfa, 0x01, 2, 1, 2, 0x08, 1) // field 31, then v = 1
  assert.equal(messages.RecordPayload.decode(later).v, 1)
})
