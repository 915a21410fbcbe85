import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { circuitAddresses } from '../../../protocols/relaying/addresses.ts'
import { shouldServe } from '../../../protocols/relaying/serving.ts'
import * as wire from '../../../protocols/relaying/wire.ts'

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex')

test('a public node relays by itself, a hidden one does not', () => {
  const facts = { mode: 'auto', reachedInbound: false, hopeful: false } as const
  assert.ok(shouldServe({ ...facts, verdict: 'public' }).on)
  assert.ok(!shouldServe({ ...facts, verdict: 'private', reachedInbound: true, hopeful: false }).on)
  assert.ok(!shouldServe({ ...facts, verdict: 'unknown' }).on)
})

test('in a network without internet whoever is reached relays', () => {
  assert.ok(
    shouldServe({ mode: 'auto', verdict: 'unknown', reachedInbound: true, hopeful: false }).on,
  )
})

test('a node that has just started on a public address relays in hope', () => {
  const facts = { mode: 'auto', verdict: 'unknown', reachedInbound: false } as const
  assert.ok(shouldServe({ ...facts, hopeful: true }).on)
  assert.ok(!shouldServe({ ...facts, verdict: 'private', hopeful: true }).on)
})

test('the operator has the last word on relaying', () => {
  assert.ok(
    shouldServe({ mode: 'on', verdict: 'private', reachedInbound: false, hopeful: false }).on,
  )
  assert.ok(
    !shouldServe({ mode: 'off', verdict: 'public', reachedInbound: true, hopeful: false }).on,
  )
})

test('addresses behind a relay are the widest ones, without what is of no use', () => {
  const found = circuitAddresses('R', 'S', '/ip4/51.0.0.1/tcp/4001/p2p/R', [
    '/ip4/127.0.0.1/tcp/4001/p2p/R',
    '/ip4/172.17.0.1/tcp/4001/p2p/R',
    '/ip4/51.0.0.1/tcp/4001',
    '/ip6/2a00::1/tcp/4001/p2p/R',
    '/ip4/62.0.0.1/tcp/4001/p2p/SomebodyElse',
    '/ip4/62.0.0.1/tcp/4001/p2p/X/p2p-circuit/p2p/R',
    'rubbish',
  ])
  assert.deepEqual(found, [
    '/ip4/51.0.0.1/tcp/4001/p2p/R/p2p-circuit/p2p/S',
    '/ip6/2a00::1/tcp/4001/p2p/R/p2p-circuit/p2p/S',
  ])
})

test('a relay reached over the LAN keeps its LAN address beside the public one', () => {
  const found = circuitAddresses('R', 'S', '/ip4/10.0.0.2/tcp/4001', ['/ip4/51.0.0.1/tcp/4001'])
  assert.deepEqual(found, [
    '/ip4/51.0.0.1/tcp/4001/p2p/R/p2p-circuit/p2p/S',
    '/ip4/10.0.0.2/tcp/4001/p2p/R/p2p-circuit/p2p/S',
  ])
})

test('a relay that lists thousands of addresses gives us four', () => {
  const listed = Array.from({ length: 5_000 }, (_, i) => `/ip4/51.0.${i >> 8}.${i & 255}/tcp/4001`)
  assert.equal(circuitAddresses('R', 'S', '/ip4/51.9.9.9/tcp/4001', listed).length, 4)
})

test('a circuit answer says its limit in seconds and bytes', () => {
  // STATUS, OK
  const answer = bytes('08022864')
  assert.deepEqual(wire.readHopAnswer(answer), { status: wire.STATUS_OK, reservation: false })
  // field 4, eight bytes: 1,800 as field 1, 128 MiB as field 2
  const limit = '220808880e1080808040'
  const limited = wire.hopWithLimit(answer, { seconds: 1_800, bytes: 134_217_728 })
  assert.equal(hex(limited), '08022864' + limit)
})

test('a stop request says its limit in field three', () => {
  assert.equal(hex(wire.stopWithLimit(bytes('0800'), { seconds: 1, bytes: 2 })), '08001a0408011002')
})

test('a refusal gets its own status, which replaces the first', () => {
  const refused = wire.hopWithStatus(bytes('080228ca01'), wire.STATUS_RESOURCE_LIMIT_EXCEEDED)
  assert.deepEqual(wire.readHopAnswer(refused), { status: 201, reservation: false })
})

test('a circuit is asked for and accepted in the words of the protocol', () => {
  // CONNECT, peer {id}
  assert.equal(hex(wire.hopConnect(bytes('0024aa'))), '080112050a030024aa')
  // STATUS, OK
  assert.equal(hex(wire.stopAccept()), '08012064')
  // STATUS, RESOURCE_LIMIT_EXCEEDED
  const refusal = wire.hopRefusal(wire.STATUS_RESOURCE_LIMIT_EXCEEDED)
  assert.equal(hex(refusal), '080228c901')
})

test('a request for a circuit names its source, and other messages name nobody', () => {
  // CONNECT is 0, and stated, as the field was required once
  assert.equal(hex(wire.readStopRequest(bytes('080012050a030024aa')) ?? bytes('')), '0024aa')
  assert.equal(wire.readStopRequest(bytes('08012064')), undefined)
  assert.equal(wire.readStopRequest(bytes('0800')), undefined)
  assert.equal(wire.readStopRequest(bytes('ff')), undefined)
})

test('an answer with a reservation is recognised', () => {
  assert.deepEqual(wire.readHopAnswer(bytes('08021a0208012864')), {
    status: 100,
    reservation: true,
  })
})

test('frames survive the way there and back, and any bytes are read without harm', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (message) => {
      assert.deepEqual(wire.readFrame(wire.frame(message)), message)
      wire.readFrame(message)
      wire.readHopAnswer(message)
      wire.readStopRequest(message)
    }),
  )
})

test('an incomplete or oversized frame is none', () => {
  assert.equal(wire.readFrame(bytes('0501')), undefined)
  assert.equal(wire.readFrame(bytes('ffffff7f00')), undefined)
  assert.equal(wire.readFrame(bytes('')), undefined)
})
