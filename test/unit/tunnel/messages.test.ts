import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Answer, Open } from '../../../protocols/tunnel/messages.ts'
import { holdAgainstProto, messagesIn } from '../../support/proto.ts'

test('the tables have the fields of the .proto file', () => {
  const proto = new URL('../../../protocols/tunnel/tunnel.proto', import.meta.url)
  assert.deepEqual(holdAgainstProto(proto, { Open, Answer }), messagesIn(proto))
})
