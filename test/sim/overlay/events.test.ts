import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { EventQueue } from './world/events.ts'

test('events come by time, and those of one time in the order they were planned', () => {
  const queue = new EventQueue()
  const rng = seededRng(7)
  const planned: [number, number][] = []
  let order = 0
  const plan = (): void => {
    const at = queue.at + Math.floor(rng() * 50)
    planned.push([at, order])
    queue.push(at, order % 11, order, -1, { order })
    order++
  }
  // Far more than it has room for at first.
  for (let i = 0; i < 100_000; i++) plan()
  const taken: [number, number][] = []
  while (queue.take()) {
    taken.push([queue.at, queue.a])
    assert.equal((queue.ref as { order: number }).order, queue.a)
    assert.equal(queue.kind, queue.a % 11)
    if (order < 150_000) plan()
  }
  assert.equal(taken.length, 150_000)
  assert.deepEqual(
    taken,
    planned.toSorted(([a, i], [b, j]) => a - b || i - j),
  )
})
