import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits as member } from '../../../protocols/membership/limits.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../protocols/peer-exchange/snapshot.ts'
import { notation } from '../../../src/drivers/overlay-records.ts'
import { World } from '../peer-exchange/world.ts'
import type { VirtualNode } from '../peer-exchange/world.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

function overlay(size: number, seed = 1): World {
  const world = new World(seed)
  const first = world.join('node 0')
  for (let i = 1; i < size; i++) world.join(`node ${i}`, [first])
  return world
}

const neighbours = (node: VirtualNode): string[] =>
  node.overlay.neighbours().map(({ peer }) => peer)

const chosen = (node: VirtualNode): number =>
  node.overlay.neighbours().filter(({ role }) => role === 'chosen').length

/** Whether every node reaches every other one over neighbours. */
function isWhole(nodes: VirtualNode[]): boolean {
  const byPeer = new Map(nodes.map((node) => [node.peer, node]))
  const seen = new Set<VirtualNode>()
  const next = nodes.slice(0, 1)
  for (let node = next.pop(); node !== undefined; node = next.pop()) {
    if (seen.has(node)) continue
    seen.add(node)
    next.push(...neighbours(node).flatMap((peer) => byPeer.get(peer) ?? []))
  }
  return seen.size === nodes.length
}

/** Links that only one of both sides takes for a neighbour. */
function oneSided(nodes: VirtualNode[]): number {
  const byPeer = new Map(nodes.map((node) => [node.peer, node]))
  const pairs = nodes.flatMap((node) => neighbours(node).map((peer) => [node, peer] as const))
  return pairs.filter(([node, peer]) => {
    const other = byPeer.get(peer)
    return other !== undefined && !neighbours(other).includes(node.peer)
  }).length
}

/** Making the largest overlay is most of the work: the searches go on in the one whose joining was watched. */
let largest: World | undefined
function large(): World {
  if (largest === undefined) {
    largest = overlay(200)
    largest.runFor(30_000)
  }
  return largest
}

for (const [size, ms] of [
  [10, 3_000],
  [60, 6_000],
  [200, 15_000],
] as const) {
  test(`${size} nodes that start at once are one overlay of five chosen neighbours each within ${ms} ms`, (t) => {
    const world = overlay(size)
    const { nodes } = world
    const isDone = () =>
      nodes.every((node) => chosen(node) >= Math.min(member.chosen, size - 1)) && isWhole(nodes)
    t.diagnostic(`${world.runUntil(isDone, ms)} ms`)
    assert.ok(isDone())
    world.runFor(30_000)
    assert.equal(oneSided(nodes), 0, 'neighbours by consent')
    const mostLinks = Math.max(...nodes.map(({ links }) => links.size))
    t.diagnostic(`most links ${mostLinks}`)
    assert.ok(mostLinks <= member.accepted.public + member.everybody + 5, `${mostLinks} links`)
    const seeds = nodes.map(({ overlay: one }) => one.estimate())
    if (size === 200) {
      const known = seeds.flatMap((one) => one ?? []).sort((a, b) => a - b)
      const median = known[known.length >> 1] ?? 0
      t.diagnostic(`median estimate ${median.toFixed(0)}`)
      assert.ok(median > 90 && median < 260)
      largest = world
    }
    assert.deepEqual(
      nodes.flatMap(({ faults }) => faults),
      [],
    )
  })
}

test('after hours of talk and exchanges no version went twice from one node to another, and neighbours agree', (t) => {
  const world = overlay(30)
  world.runFor(2 * HOUR)
  const repeated = [...world.handed].filter(([, count]) => count > 1)
  t.diagnostic(`${world.handed.size} handed over`)
  assert.ok(world.handed.size > 1_000)
  assert.deepEqual(repeated, [])
  assert.equal(oneSided(world.nodes), 0)
  assert.ok(isWhole(world.nodes))
})

test('an overlay that was split for half an hour is one again, and knows that it was split', (t) => {
  const world = overlay(40)
  const { nodes } = world
  world.runFor(10 * MINUTE)
  world.split((_, i) => i % 2)
  world.runFor(30 * MINUTE)
  for (const side of [0, 1]) assert.ok(isWhole(nodes.filter((node) => node.side === side)))
  assert.ok(!isWhole(nodes))
  world.split(() => 0)
  const ms = world.runUntil(() => isWhole(nodes), 15 * MINUTE)
  t.diagnostic(`whole after ${Math.round(ms / 1_000)} s`)
  assert.ok(isWhole(nodes))
  world.runFor(HOUR)
  const crossing = nodes.flatMap((node, i) =>
    neighbours(node).map((peer) => (nodes.findIndex((other) => other.peer === peer) - i) % 2 !== 0),
  )
  const share = crossing.filter(Boolean).length / crossing.length
  const healed = nodes.filter(({ healings }) => healings > 0).length
  t.diagnostic(`${(share * 100).toFixed(0)} % of neighbours across, ${healed} nodes healed`)
  assert.ok(healed >= nodes.length * 0.9, 'in both halves')
  assert.ok(share > 0.3)
  assert.equal(oneSided(nodes), 0)
})

test('when nine of ten nodes vanish at once the others are one overlay again within minutes', (t) => {
  const world = overlay(60)
  const { nodes } = world
  world.runFor(5 * MINUTE)
  const survivors = nodes.filter((_, i) => i % 10 === 3)
  for (const node of nodes) if (!survivors.includes(node)) world.crash(node)
  t.diagnostic(`${Math.round(world.runUntil(() => isWhole(survivors), 5 * MINUTE) / 1_000)} s`)
  assert.ok(isWhole(survivors))
})

test('a node that comes back finds its neighbours from its own book when every bootstrap is gone', (t) => {
  const world = overlay(40)
  const [first, leaver] = world.nodes as [VirtualNode, VirtualNode]
  world.runFor(10 * MINUTE)
  const { book, ownSeq } = leaver.overlay.exchange
  const bytes = encodeSnapshot(book, ownSeq)
  for (const node of [first, leaver]) world.crash(node)
  world.runFor(30 * MINUTE)
  const back = world.join('node 1')
  assert.equal(back.peer, leaver.peer)
  const snapshot = decodeSnapshot(bytes) ?? assert.fail('no snapshot')
  world.feed(back, { type: 'restore', ...snapshot })
  const ms = world.runUntil(() => chosen(back) >= member.chosen, MINUTE)
  t.diagnostic(`${ms} ms`)
  assert.ok(ms <= MINUTE)
  assert.ok(isWhole(world.nodes.filter(({ up }) => up)))
})

test('a clock that is set back a day stops neither pulls nor dials', () => {
  const world = overlay(12)
  const [node] = world.nodes as [VirtualNode]
  world.runFor(5 * MINUTE)
  const day = 86_400_000
  const { overlay: one } = node
  const out = one.step({ type: 'tick' }, world.now - day)
  assert.ok(out.length >= 0)
  assert.ok((one.nextWake() ?? Infinity) < world.now - day + MINUTE)
  for (const { peer } of one.neighbours()) {
    one.step({ type: 'unlinked', peer }, world.now - day)
  }
  let dials = 0
  const end = world.now - day + MINUTE
  for (let at = one.nextWake(); at !== undefined && at < end;) {
    dials += one.step({ type: 'tick' }, at).filter(({ type }) => type === 'dial').length
    at = one.nextWake()
  }
  assert.ok(dials > 0)
})

// --- looking for others -----------------------------------------------------------------------------------

test('a new node finds who offers a service and who relays, though its contacts do not know them', (t) => {
  const world = large()
  const [through] = world.nodes.slice(150) as [VirtualNode]
  const rare = world.join('rare', [through], { services: ['rare'] })
  const relay = { slotsTotal: 8, slotsFree: 8, unlimited: false }
  const relays = [0, 1].map((i) => world.join(`relay ${i}`, [through], { relay }))
  world.runFor(3_000)
  const asker = world.nodes.find(
    (node) => ![rare, ...relays].some(({ peer }) => node.knows(world.now).includes(peer)),
  )
  assert.ok(asker, 'everybody knows them')
  world.feed(asker, { type: 'search', search: 1, service: 'rare' })
  world.feed(asker, { type: 'search', search: 2, relay: true })
  world.feed(asker, { type: 'search', search: 3, service: 'nobody offers this' })
  world.runFor(limits.searchMs)
  assert.deepEqual(asker.searched.get(1), [rare.peer])
  const found = asker.searched.get(2) ?? []
  t.diagnostic(`${found.length} of 2 relays`)
  assert.ok(found.length >= 1 && found.every((peer) => relays.some((one) => one.peer === peer)))
  assert.deepEqual(asker.searched.get(3), [])
})

test('a peer is found by its id through contacts of contacts', () => {
  const world = large()
  let found = 0
  const pairs = world.nodes.slice(20, 40).map((asker) => {
    const known = new Set(asker.knows(world.now))
    const wanted = world.nodes.find(({ peer }) => peer !== asker.peer && !known.has(peer))
    return { asker, wanted }
  })
  for (const { asker, wanted } of pairs) {
    if (wanted !== undefined) world.feed(asker, { type: 'resolve', peer: wanted.peer })
  }
  world.runFor(limits.searchMs)
  for (const { asker, wanted } of pairs) {
    if (wanted === undefined) continue
    assert.ok(asker.resolved.has(wanted.peer), 'every question ends')
    if (asker.overlay.exchange.book.get(wanted.peer) !== undefined) found++
  }
  assert.ok(found >= 19, `${found} of 20`)
})

test('a search in a small overlay ends as soon as everybody asked has answered', () => {
  const world = overlay(5)
  world.runFor(5_000)
  const asker = world.nodes[3] as VirtualNode
  world.feed(asker, { type: 'search', search: 1, service: 'web' })
  assert.ok(world.runUntil(() => asker.searched.has(1), 500) <= 500)
})

// --- liars ------------------------------------------------------------------------------------------------

test('a peer that answers every pull with the same ten friends does not keep others from being known', () => {
  const world = new World(3)
  const first = world.join('node 0')
  const honest = [first, ...Array.from({ length: 30 }, (_, i) => world.join(`h ${i}`, [first]))]
  const friends = Array.from({ length: 10 }, (_, i) => world.join(`friend ${i}`, [first]))
  world.runFor(5_000)
  const [liar] = friends as [VirtualNode]
  const names = friends.map(({ peer }) => notation.idOf(peer))
  world.tamper(liar, (frame) =>
    frame.type === 'sample'
      ? { ...frame, ids: names, seqLo: names.map(() => 1), same: false, groups: [] }
      : frame,
  )
  const late = world.join('late', [liar])
  world.runFor(MINUTE)
  assert.ok(honest.every(({ peer }) => late.knows(world.now).includes(peer)))
  const others = neighbours(late).filter((peer) => honest.some((one) => one.peer === peer))
  assert.ok(others.length >= 2, `${others.length} honest neighbours`)
  const sample = new Set(late.overlay.sample().map(({ peer }) => peer))
  const ofFriends = friends.filter(({ peer }) => sample.has(peer)).length
  assert.ok(ofFriends / sample.size < 0.45, `${ofFriends} of ${sample.size} sampled`)
})

test('a peer that sends without end costs a bounded number of checks, and others are still answered', () => {
  const world = overlay(8)
  world.runFor(10_000)
  const [victim, mallory, friend] = world.nodes as [VirtualNode, VirtualNode, VirtualNode]
  const question: Frame = { type: 'sampleReq', max: 256, setHash: 1 }
  const ask = (node: VirtualNode, frame: Frame) =>
    victim.overlay
      .step({ type: 'request', exchange: 0, peer: node.peer, frame }, world.now)
      .flatMap((output) => (output.type === 'reply' ? [output.frame?.type] : []))[0]
  let answered = 0
  for (let i = 0; i < 5_000; i++) if (ask(mallory, question) === 'sample') answered++
  assert.ok(answered <= limits.rates.sample.burst, `${answered} answered`)
  assert.equal(ask(mallory, question), undefined, 'it is not even refused any more')
  assert.equal(ask(friend, question), 'sample')
  world.runFor(HOUR + MINUTE)
  assert.equal(ask(mallory, question), 'sample', 'forgotten in time')
})

test('farewells of neighbours without end do not buy signature checks', () => {
  const world = overlay(3)
  world.runFor(10_000)
  const [victim, mallory] = world.nodes as [VirtualNode, VirtualNode]
  let checks = 0
  for (let i = 0; i < 300; i++) {
    const entries = [0, 1, 2, 3].map((k) => ({
      envelope: World.recordOf(`fake ${i} ${k}`),
      observedAgeS: 0,
      firstHand: false,
    }))
    const request = {
      type: 'request' as const,
      exchange: 0,
      peer: mallory.peer,
      frame: { type: 'neighbourEnd' as const, entries, evicted: false },
    }
    const out = victim.overlay.step(request, world.now)
    checks += out.filter(({ type }) => type === 'verify').length
  }
  assert.ok(checks <= limits.rates.push.burst, `${checks} checks`)
})
