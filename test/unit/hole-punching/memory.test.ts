import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import type { SideFacts } from '../../../protocols/hole-punching/facts.ts'
import { LIMITS } from '../../../protocols/hole-punching/limits.ts'
import { Memory } from '../../../protocols/hole-punching/memory.ts'

const seenAt = (ip: string): SideFacts => ({ ...NOTHING_KNOWN, external: [{ ip, port: 4001 }] })
const own = seenAt('51.0.0.1')
const place = (i: number): SideFacts => seenAt(`51.1.${i >> 8}.${i & 255}`)

test('what worked is known for the pair of addresses, whatever the port, until it is too old', () => {
  const memory = new Memory()
  memory.note(own, seenAt('51.0.1.1'), 'search', 0)
  const neighbour = { ...seenAt('51.0.1.1'), external: [{ ip: '51.0.1.1', port: 9 }] }
  assert.equal(memory.worked(own, neighbour, 1), 'search')
  assert.equal(memory.worked(own, seenAt('51.0.1.2'), 1), undefined)
  assert.equal(memory.worked(own, neighbour, LIMITS.memoryMs), undefined)
})

test('another network of our own forgets everything', () => {
  const memory = new Memory()
  memory.note(own, seenAt('51.0.1.1'), 'search', 0)
  memory.clear()
  assert.equal(memory.worked(own, seenAt('51.0.1.1'), 1), undefined)
})

test('without an address there is nothing to remember it by', () => {
  const memory = new Memory()
  memory.note(own, NOTHING_KNOWN, 'search', 0)
  assert.equal(memory.worked(own, NOTHING_KNOWN, 1), undefined)
})

test('the oldest memory leaves when there are too many', () => {
  const memory = new Memory()
  for (let i = 0; i <= LIMITS.memories; i++) memory.note(own, place(i), 'meet', 0)
  assert.equal(memory.worked(own, place(0), 1), undefined)
  assert.equal(memory.worked(own, place(LIMITS.memories), 1), 'meet')
})
