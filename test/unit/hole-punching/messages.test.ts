import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Punch } from '../../../protocols/hole-punching/messages.ts'
import { holdAgainstProto, messagesIn } from '../../support/proto.ts'

test('the tables have the fields of the .proto file', () => {
  const proto = new URL('../../../protocols/hole-punching/punch.proto', import.meta.url)
  assert.deepEqual(holdAgainstProto(proto, { Punch }), messagesIn(proto))
})
