import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as messages from '../../../protocols/peer-exchange/messages.ts'
import { holdAgainstProto, messagesIn } from '../../support/proto.ts'

test('the tables have the fields of the .proto file', () => {
  const proto = new URL('../../../protocols/peer-exchange/peer-exchange.proto', import.meta.url)
  const compared = holdAgainstProto(proto, {
    RecordPayload: messages.RecordPayload,
    Frame: messages.FrameMessage,
    Snapshot: messages.SnapshotMessage,
  })
  assert.deepEqual(compared, messagesIn(proto), 'every message of the file is one of ours')
})

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
