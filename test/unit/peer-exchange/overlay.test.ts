import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../../protocols/membership/limits.ts'
import { World } from './world.ts'
import type { VirtualNode } from './world.ts'

function overlay(size: number, seed = 1): { world: World; nodes: VirtualNode[] } {
  const world = new World(seed)
  const first = world.join('node 0')
  for (let i = 1; i < size; i++) world.join(`node ${i}`, [first])
  return { world, nodes: world.nodes }
}

const everybodyKnows = (world: World, nodes: VirtualNode[]) => () =>
  nodes.every((node) => node.knows(world.now).length === nodes.length - 1)

test('50 nodes that start at once with one bootstrap know each other within 5 virtual seconds', (t) => {
  const { world, nodes } = overlay(50)
  const ms = world.runUntil(everybodyKnows(world, nodes), 5_000)
  t.diagnostic(`${ms} ms`)
  assert.ok(ms <= 5_000, 'not everybody knows everybody')
  assert.deepEqual(
    nodes.flatMap(({ faults }) => faults),
    [],
  )
})

test('the ninth node to join an old overlay of eight is known to all within a second', (t) => {
  const { world, nodes } = overlay(8)
  world.runFor(600_000)
  world.join('late', [nodes[3] as VirtualNode])
  const ms = world.runUntil(everybodyKnows(world, nodes), 5_000)
  t.diagnostic(`${ms} ms`)
  assert.ok(ms <= 1_000)
})

test('in an overlay of eight everybody is linked to everybody', () => {
  const { world, nodes } = overlay(8)
  world.runFor(10_000)
  assert.deepEqual(
    nodes.map(({ links }) => links.size),
    nodes.map(() => 7),
  )
})

test('in an overlay of forty a node keeps a few links, not all', () => {
  const { world, nodes } = overlay(40)
  world.runFor(60_000)
  const degrees = nodes.slice(1).map(({ links }) => links.size)
  assert.ok(Math.min(...degrees) >= limits.chosen, `least ${Math.min(...degrees)}`)
  const mean = degrees.reduce((sum, degree) => sum + degree, 0) / degrees.length
  assert.ok(mean <= 16, `mean ${mean}`)
})

test('the overlay stays whole and keeps learning when its only bootstrap is gone', () => {
  const { world, nodes } = overlay(20)
  world.runFor(20_000)
  world.crash(nodes[0] as VirtualNode)
  world.runFor(5_000)
  world.join('late', [nodes[7] as VirtualNode])
  const living = nodes.slice(1)
  const all = () =>
    living.every((a) => living.every((b) => a === b || a.knows(world.now).includes(b.peer)))
  assert.ok(world.runUntil(all, 10_000) <= 10_000)
})

test('a node that leaves is forgotten by all within a second and does not come back by hearsay', () => {
  const { world, nodes } = overlay(12)
  world.runFor(20_000)
  const leaver = nodes[5] as VirtualNode
  world.feed(leaver, { type: 'leave' })
  world.runFor(200)
  world.crash(leaver)
  const others = nodes.filter((node) => node !== leaver)
  const forgotten = () => others.every((node) => !node.knows(world.now).includes(leaver.peer))
  assert.ok(world.runUntil(forgotten, 1_000) <= 1_000)
  world.runFor(120_000)
  assert.ok(forgotten())
})

test('a node that crashes is forgotten after a few dials in vain, and the living never are', () => {
  const { world, nodes } = overlay(5)
  world.runFor(20_000)
  world.crash(nodes[4] as VirtualNode)
  const others = nodes.slice(0, 4)
  const known = () => others.map((node) => node.knows(world.now).length)
  assert.ok(world.runUntil(() => known().every((count) => count === 3), 60_000) <= 60_000)
  world.runFor(6 * 3_600_000)
  assert.deepEqual(known(), [3, 3, 3, 3], 'the living refresh')
})

test('an idle overlay of twenty costs a node less than 100 bytes a second', (t) => {
  const { world, nodes } = overlay(20)
  world.runFor(120_000)
  for (const node of nodes) node.sentBytes = 0
  world.runFor(600_000)
  const rate = nodes.reduce((sum, { sentBytes }) => sum + sentBytes, 0) / nodes.length / 600
  t.diagnostic(`${rate.toFixed(1)} B/s`)
  assert.ok(rate < 100)
})
