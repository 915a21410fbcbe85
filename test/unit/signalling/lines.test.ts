import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SIGNAL_LIMITS } from '../../../protocols/signalling/limits.ts'
import { Lines } from '../../../protocols/signalling/lines.ts'
import type { LineInput } from '../../../protocols/signalling/lines.ts'

const { reopen, unsupported, idleMs, provenMs } = SIGNAL_LIMITS

/** Lines whose pauses are not spread. */
const lines = (): Lines => new Lines(() => 0.5)
const keep = (relay: string, on = true): LineInput => ({ type: 'keep', relay, on })
const opened = (relay: string): LineInput => ({ type: 'opened', relay })
const broke = (relay: string, unsupported = false): LineInput => ({
  type: 'broke',
  relay,
  unsupported,
})
const TICK: LineInput = { type: 'tick' }
const OPEN_R = [{ type: 'open', relay: 'R' }]
const CLOSE_R = [{ type: 'close', relay: 'R' }]

test('a kept line is opened at once and stays open without a plan', () => {
  const machine = lines()
  assert.deepEqual(machine.step(keep('R'), 0), OPEN_R)
  assert.deepEqual(machine.step(keep('R'), 1), [])
  assert.deepEqual(machine.step(opened('R'), 2), [])
  assert.equal(machine.nextWake(), undefined)
})

test('a kept line that breaks is opened again, later each time', () => {
  const machine = lines()
  machine.step(keep('R'), 0)
  let now = 0
  const pauses = [1, 2, 4, 8].map((times) => times * reopen.firstMs)
  for (const pause of pauses) {
    machine.step(broke('R'), now)
    assert.equal(machine.nextWake(), now + pause)
    assert.deepEqual(machine.step(TICK, now + pause - 1), [])
    assert.deepEqual(machine.step(TICK, now + pause), OPEN_R)
    now += pause
  }
})

test('a stream that ends right after opening is no success: the pauses go on growing', () => {
  const machine = lines()
  machine.step(keep('R'), 0)
  machine.step(broke('R'), 0)
  machine.step(TICK, reopen.firstMs)
  machine.step(opened('R'), 1_000)
  machine.step(broke('R'), 1_001)
  assert.equal(machine.nextWake(), 1_001 + 2 * reopen.firstMs)
  machine.step(TICK, 10_000)
  machine.step(opened('R'), 10_000)
  machine.step(broke('R'), 10_000 + provenMs)
  assert.equal(machine.nextWake(), 10_000 + provenMs + reopen.firstMs)
})

test('a relay without the protocol is asked again much later', () => {
  const machine = lines()
  machine.step(keep('R'), 0)
  machine.step(broke('R', true), 0)
  assert.equal(machine.nextWake(), unsupported.firstMs)
})

test('a new connection, a new reservation and a waiting message do not wait for the pause', () => {
  for (const input of [
    { type: 'connected', relay: 'R' },
    { type: 'want', relay: 'R' },
    keep('R'),
  ] as const) {
    const machine = lines()
    machine.step(keep('R'), 0)
    machine.step(broke('R'), 0)
    assert.deepEqual(machine.step(input, 1), OPEN_R, input.type)
  }
})

test('a connection to a relay that is not kept opens nothing', () => {
  assert.deepEqual(lines().step({ type: 'connected', relay: 'R' }, 0), [])
})

test('a line opened for a message closes when no answer can come any more', () => {
  const machine = lines()
  assert.deepEqual(machine.step({ type: 'want', relay: 'R' }, 0), OPEN_R)
  machine.step(opened('R'), 10)
  machine.step({ type: 'used', relay: 'R' }, 20)
  assert.equal(machine.nextWake(), 20 + idleMs)
  assert.deepEqual(machine.step(TICK, 20 + idleMs), CLOSE_R)
  assert.equal(machine.nextWake(), undefined)
})

test('a line opened for a message is not opened again when it breaks', () => {
  const machine = lines()
  machine.step({ type: 'want', relay: 'R' }, 0)
  machine.step(broke('R'), 10)
  assert.equal(machine.nextWake(), undefined)
})

test('a line that is let go stays as long as an answer may come', () => {
  const machine = lines()
  machine.step(keep('R'), 0)
  machine.step(opened('R'), 0)
  assert.deepEqual(machine.step(keep('R', false), idleMs - 1), [])
  assert.deepEqual(machine.step(TICK, idleMs), CLOSE_R)

  machine.step(keep('R'), 0)
  machine.step(opened('R'), 0)
  assert.deepEqual(machine.step(keep('R', false), idleMs), CLOSE_R)

  machine.step(keep('R'), 0)
  machine.step(broke('R'), 0)
  machine.step(keep('R', false), 1)
  assert.equal(machine.nextWake(), undefined)
})

test('at the bound the line that was used longest ago makes room, and never a kept one', () => {
  const machine = lines()
  for (let i = 0; i < SIGNAL_LIMITS.lines; i++) {
    machine.step(i === 0 ? keep('R0') : { type: 'want', relay: `R${i}` }, i)
    machine.step(opened(`R${i}`), i)
  }
  assert.deepEqual(machine.step({ type: 'want', relay: 'new' }, 100), [
    { type: 'close', relay: 'R1' },
    { type: 'open', relay: 'new' },
  ])
  for (let i = 2; i < SIGNAL_LIMITS.lines; i++) machine.step(keep(`R${i}`), 100)
  machine.step(opened('new'), 100)
  machine.step(keep('new'), 100)
  assert.deepEqual(machine.step({ type: 'want', relay: 'too many' }, 100), [])
})

test('whatever happens, a relay has one line, and no more lines are open than the bound', () => {
  const relay = fc.nat(SIGNAL_LIMITS.lines + 20).map(String)
  const input: fc.Arbitrary<LineInput> = fc.oneof(
    fc.constant(TICK),
    fc.record({ type: fc.constant('keep' as const), relay, on: fc.boolean() }),
    fc.record({ type: fc.constantFrom('want', 'connected', 'opened', 'used'), relay }),
    fc.record({ type: fc.constant('broke' as const), relay, unsupported: fc.boolean() }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.nat(60_000)), { maxLength: 400 }), (inputs) => {
      const machine = lines()
      const alive = new Set<string>()
      let now = 0
      for (const [input, later] of inputs) {
        now += later
        // The world reports only on lines that it was told to open.
        const reports = input.type === 'opened' || input.type === 'used' || input.type === 'broke'
        if (reports && !alive.has(input.relay)) continue
        if (input.type === 'broke') alive.delete(input.relay)
        for (const output of machine.step(input, now)) {
          assert.equal(alive.has(output.relay), output.type === 'close')
          if (output.type === 'open') alive.add(output.relay)
          else alive.delete(output.relay)
        }
        assert.ok(alive.size <= SIGNAL_LIMITS.lines)
      }
    }),
  )
})
