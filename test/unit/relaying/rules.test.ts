import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { circuitAddresses } from '../../../protocols/relaying/addresses.ts'
import { SERVING_LIMITS } from '../../../protocols/relaying/limits.ts'
import { admitCircuit, admitReservation, shouldServe } from '../../../protocols/relaying/serving.ts'
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

test('reservations are admitted up to the limits, renewals always', () => {
  const { maxReservations, maxReservationsPerIp } = SERVING_LIMITS
  assert.equal(admitReservation({ total: 0, ofIp: 0, renewal: false }), undefined)
  assert.equal(admitReservation({ total: maxReservations, ofIp: 0, renewal: false }), 'full')
  const crowded = { total: 20, ofIp: maxReservationsPerIp }
  assert.equal(admitReservation({ ...crowded, renewal: false }), 'too-many-of-address')
  assert.equal(admitReservation({ ...crowded, renewal: true }), undefined)
})

test('circuits are admitted up to the limits of both ends', () => {
  const { maxCircuits, maxCircuitsPerPeer } = SERVING_LIMITS
  assert.equal(admitCircuit({ total: 0, ofSource: 0, ofTarget: 0 }), undefined)
  assert.equal(admitCircuit({ total: maxCircuits, ofSource: 0, ofTarget: 0 }), 'full')
  const busy = { total: 20, ofSource: 0, ofTarget: maxCircuitsPerPeer }
  assert.equal(admitCircuit(busy), 'too-many-circuits')
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
    }),
  )
})

test('an incomplete or oversized frame is none', () => {
  assert.equal(wire.readFrame(bytes('0501')), undefined)
  assert.equal(wire.readFrame(bytes('ffffff7f00')), undefined)
  assert.equal(wire.readFrame(bytes('')), undefined)
})
