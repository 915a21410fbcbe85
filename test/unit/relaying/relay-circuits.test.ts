import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger } from '../../../protocols/relaying/ledger.ts'
import { SERVING_LIMITS } from '../../../protocols/relaying/limits.ts'
import { Circuits } from '../../../src/drivers/relay-circuits.ts'
import { expirySignal } from '../../../src/drivers/relay-expiry.ts'

const { member } = SERVING_LIMITS

function makeCircuits(most: number): Circuits {
  const limitedBy = 'configuration' as const
  return new Circuits(new Ledger({ reservations: 0, circuits: most, limitedBy, busy: false }, 0))
}

test('circuits are bounded, and an ended one makes room and still counts its bytes, once', () => {
  const circuits = makeCircuits(1)
  const first = circuits.begin({ peer: 'a' }, 'b', member)
  assert.ok(typeof first === 'object')
  assert.equal(circuits.begin({ peer: 'c' }, 'd', member), 'full')
  first.bytes = 7
  assert.equal(circuits.bytesRelayed, 7)
  circuits.end(first)
  circuits.end(first)
  assert.equal(circuits.bytesRelayed, 7)
  assert.equal(typeof circuits.begin({ peer: 'c' }, 'd', member), 'object')
})

test('a test of a peer to itself is no circuit, gets few bytes and leaves no trace', () => {
  const circuits = makeCircuits(0)
  const probe = circuits.begin({ peer: 'a' }, 'a', member)
  assert.ok(typeof probe === 'object')
  assert.deepEqual(probe.limit, SERVING_LIMITS.test)
  assert.deepEqual([circuits.size, circuits.list().length], [0, 0])
  probe.bytes = 100
  circuits.end(probe)
  assert.equal(circuits.bytesRelayed, 0)
  assert.equal(typeof circuits.begin({ peer: 'a' }, 'a', member), 'object')
})

test('an expiry that was moved twice fires once, at the last time', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  let expired = 0
  const signal = expirySignal(100, () => expired++)
  context.mock.timers.tick(90)
  signal.reset()
  context.mock.timers.tick(90)
  signal.reset()
  context.mock.timers.tick(90)
  assert.equal(expired, 0)
  assert.ok(!signal.aborted)
  context.mock.timers.tick(10)
  assert.equal(expired, 1)
  assert.ok(signal.aborted)
})

test('a cleared expiry never fires', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const signal = expirySignal(100, () => assert.fail('fired'))
  signal.reset(50)
  signal.clear()
  context.mock.timers.tick(1_000)
  assert.ok(!signal.aborted)
})
