import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  everyTwo,
  pairsAround,
  pairsBeside,
  partsOf,
  unknownPairs,
} from '../../support/overlay-views.ts'

const view = (peer: string, ...links: string[]) => ({ peer, links })
const PEERS = Array.from({ length: 30 }, (_, i) => `p${i}`)
const both = PEERS.flatMap((from) => PEERS.filter((to) => to !== from).map((to) => `${from} ${to}`))

test('an overlay has as many parts as its links leave, and a link that one side denies is none', () => {
  const ring = [view('a', 'b'), view('b', 'a', 'c'), view('c', 'b')]
  assert.deepEqual(partsOf(ring), { parts: 1, largest: 3 })
  assert.deepEqual(partsOf([...ring, view('d', 'gone')]), { parts: 2, largest: 3 })
  assert.deepEqual(partsOf([view('a', 'b'), view('b', 'a', 'c'), view('c')]), {
    parts: 2,
    largest: 2,
  })
})

test('pairs of which one knows no address of the other', () => {
  const views = [
    { peer: 'a', addressed: ['b'] },
    { peer: 'b', addressed: [] },
  ]
  assert.deepEqual(unknownPairs(views), [{ from: 'b', to: 'a' }])
})

test('each calls as many others as asked for, and no two call each other', () => {
  const pairs = pairsAround(PEERS, 10)
  assert.equal(pairs.length, 300)
  assert.equal(pairsBeside(pairs, []).length, 300)
  for (const peer of PEERS) assert.equal(pairs.filter(({ from }) => from === peer).length, 10)
})

test('every two are one pair', () => {
  assert.equal(everyTwo(PEERS.slice(1)).length, (29 * 28) / 2)
  const pairs = everyTwo(PEERS)
  assert.equal(pairsBeside(pairs, []).length, (30 * 29) / 2)
  assert.deepEqual(
    pairs.flatMap(({ from, to }) => [`${from} ${to}`, `${to} ${from}`]).sort(),
    both.sort(),
  )
  assert.equal(pairsBeside(pairs, [{ from: 'p1', to: 'p0' }]).length, (30 * 29) / 2 - 1)
})
