import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Probe, Voucher } from '../../../protocols/nat-probe/messages.ts'
import { holdAgainstProto, messagesIn } from '../../support/proto.ts'

test('the tables have the fields of the .proto file', () => {
  const proto = new URL('../../../protocols/nat-probe/nat-probe.proto', import.meta.url)
  assert.deepEqual(holdAgainstProto(proto, { Probe, Voucher }), messagesIn(proto))
})
