import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameMessage } from '../../../protocols/signalling/messages.ts'
import { holdAgainstProto, messagesIn } from '../../support/proto.ts'

test('the tables have the fields of the .proto file', () => {
  const proto = new URL('../../../protocols/signalling/signal.proto', import.meta.url)
  assert.deepEqual(holdAgainstProto(proto, { Frame: FrameMessage }), messagesIn(proto))
})
