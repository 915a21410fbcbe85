import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEnvelope } from '../../../protocols/peer-exchange/envelope.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import { makeOverlay } from '../../../protocols/overlay/make.ts'
import { BYTES, RELAYS, TIMES } from './world/constants.ts'
import { frameSize } from './world/frame-size.ts'
import { keyOf } from './world/notation.ts'
import { Puppet } from './world/puppet.ts'
import { isGenuine, sealed } from './world/signing.ts'
import { World } from './world/world.ts'

const QUESTION: Frame = { type: 'want', ids: [1, 2, 3] }
const ANSWER: Frame = { type: 'records', entries: [], unknown: [1, 2, 3] }

function aWorld({ loss = 0, punchShare = 0.7, seed = 1 } = {}): World {
  return new World({ seed, makeOverlay, loss, punchShare })
}

const aPublic = (world: World): Puppet =>
  new Puppet(world, world.add({ hidden: false, hostile: false }))

const aHidden = (world: World): Puppet =>
  new Puppet(world, world.add({ hidden: true, hostile: false }))

/** A hidden node that holds a reservation at the relay. */
function hiddenAt(world: World, relay: Puppet): Puppet {
  const node = aHidden(world)
  node.dials(relay)
  world.runUntil(world.now + 10_000)
  assert.deepEqual(world.relays.held(node.node), [relay.node])
  return node
}

const after = (world: World, ms: number): void => world.runUntil(world.now + ms)

test('a public node is reached after four round trips, and both are told', () => {
  const world = aWorld()
  const [a, b] = [aPublic(world), aPublic(world)]
  const way = world.wire.oneWay(a.node, b.node)
  a.dials(b)
  after(world, 7.9 * way)
  assert.equal(a.all('linked').length, 0)
  after(world, 1.5 * way)
  const [told, accepted] = [a.all('linked')[0], b.all('linked')[0]]
  assert.ok(told?.dialled === true && told.path === 'direct' && !told.limited)
  assert.equal(told.address, world.people.addresses[b.node])
  assert.ok(accepted?.dialled === false)
  assert.equal(a.all('dial-done').length, 1)
})

test('nobody reaches the dead, and half of their hosts say so at once', () => {
  const world = aWorld()
  const dialler = aPublic(world)
  const dead = Array.from({ length: 60 }, () => aPublic(world))
  for (const { node } of dead) world.stop(node, 'crash')
  for (const one of dead) dialler.dials(one)
  after(world, 1_000)
  const quick = dialler.all('dial-failed').length
  assert.ok(quick > 15 && quick < 45, `${quick}`)
  after(world, TIMES.dialMs)
  assert.equal(dialler.all('dial-failed').length, 60)
  assert.equal(dialler.all('linked').length, 0)
})

test('a hidden node is reached through a relay that serves it, and then directly by a public one', () => {
  const world = aWorld()
  const [relay, caller] = [aPublic(world), aPublic(world)]
  const target = hiddenAt(world, relay)
  caller.dials(target)
  after(world, 6_000)
  const paths = caller.all('linked').map(({ path, limited }) => `${path} ${limited}`)
  assert.deepEqual(paths, ['relayed true', 'direct false'])
  assert.deepEqual(
    target
      .all('linked')
      .slice(1)
      .map(({ path }) => path),
    ['relayed', 'direct'],
  )
})

test('a hidden node without a relay cannot be reached, nor through a relay it does not use', () => {
  const world = aWorld()
  const [relay, caller] = [aPublic(world), aPublic(world)]
  const target = aHidden(world)
  caller.dials(target)
  const peer = world.people.keys[target.node]
  caller.dials(target, 'neighbour', [`${world.notation.relayedText(relay.node)}/p2p/${peer}`])
  after(world, 10_000)
  assert.equal(caller.all('dial-failed').length, 2)
})

test('a visit over a relay stays there, and the relay ends it after two minutes', () => {
  const world = aWorld()
  const [relay, caller] = [aPublic(world), aPublic(world)]
  const target = hiddenAt(world, relay)
  caller.dials(target, 'visit')
  after(world, 60_000)
  assert.deepEqual(
    caller.all('linked').map(({ path }) => path),
    ['relayed'],
  )
  assert.equal(caller.all('unlinked').length, 0)
  after(world, 65_000)
  assert.equal(caller.all('unlinked').length, 1)
  assert.equal(target.all('unlinked').length, 1)
})

test('holes between hidden nodes open for the stated share of pairs, the same ones every time', () => {
  const world = aWorld({ punchShare: 0.7 })
  const nodes = Array.from({ length: 120 }, () => world.add({ hidden: true, hostile: false }))
  let [met, pairs] = [0, 0]
  for (const a of nodes) {
    for (const b of nodes) {
      if (a === b) continue
      pairs++
      if (world.links.canMeet(a, b)) met++
      assert.equal(world.links.canMeet(a, b), world.links.canMeet(b, a))
    }
  }
  assert.ok(Math.abs(met / pairs - 0.7) < 0.04, `${met / pairs}`)
})

test('a question is answered, and once its link is closed answered with nothing', () => {
  const world = aWorld()
  const [a, b] = [aPublic(world), aPublic(world)]
  b.answer = ANSWER
  a.dials(b)
  after(world, 2_000)
  a.asks(b, QUESTION)
  after(world, 1_000)
  assert.deepEqual(
    a.all('answer').map(({ frame }) => frame),
    [ANSWER],
  )
  a.asks(b, QUESTION)
  b.releases(a)
  after(world, 1_000)
  assert.equal(a.all('answer')[1]?.frame, undefined)
  assert.deepEqual([a.all('unlinked').length, b.all('unlinked').length], [1, 1])
  a.asks(b, QUESTION)
  after(world, 1)
  assert.equal(a.all('answer').length, 3)
})

test('the one who closes knows at once, the other one way later', () => {
  const world = aWorld()
  const [a, b] = [aPublic(world), aPublic(world)]
  a.dials(b)
  after(world, 2_000)
  const at = world.now
  a.releases(b)
  after(world, 1_000)
  assert.equal(a.all('unlinked')[0]?.at, at)
  const way = world.wire.oneWay(a.node, b.node)
  const heardAfter = (b.all('unlinked')[0]?.at ?? NaN) - at
  assert.ok(heardAfter >= way && heardAfter < 1.2 * way)
})

test('a silent death is found out within 40 s, a question to the dead after five', () => {
  const world = aWorld()
  const [a, b] = [aPublic(world), aPublic(world)]
  a.dials(b)
  after(world, 2_000)
  world.stop(b.node, 'crash')
  const at = world.now
  a.asks(b, QUESTION)
  after(world, 60_000)
  assert.deepEqual(
    a.all('answer').map((one) => one.at - at),
    [TIMES.answerMs],
  )
  const detected = (a.all('unlinked')[0]?.at ?? NaN) - at
  assert.ok(detected >= 6_000 && detected <= 40_000)
})

test('loss delays what it hits, and loses nothing', () => {
  const world = aWorld({ loss: 0.3 })
  const [a, b] = [aPublic(world), aPublic(world)]
  b.answer = ANSWER
  a.dials(b)
  after(world, 10_000)
  for (let i = 0; i < 200; i++) {
    a.asks(b, QUESTION)
    after(world, 5_000)
  }
  const answers = a.all('answer')
  assert.equal(answers.filter(({ frame }) => frame !== undefined).length, 200)
  const slow = b.all('request').filter(({ at }) => at % 5_000 > 200).length
  assert.ok(slow > 30 && slow < 100, `${slow}`)
})

test('a partition ends links in silence and lets no dial through; when it heals dials work again', () => {
  const world = aWorld()
  const [a, b, c] = [aPublic(world), aPublic(world), aPublic(world)]
  for (const other of [b, c]) a.dials(other)
  after(world, 2_000)
  world.people.side[c.node] = 1
  world.split()
  after(world, 41_000)
  const lost = a.all('unlinked').map(({ peer }) => peer)
  assert.deepEqual(lost, [world.people.keys[c.node]])
  assert.equal(c.all('unlinked').length, 1)
  a.dials(c)
  after(world, TIMES.dialMs)
  assert.equal(a.all('dial-failed').length, 1)
  world.heal()
  a.dials(c)
  after(world, 2_000)
  assert.equal(a.all('linked').length, 3)
})

test('a relay serves no more than it has places for, and a lost relay is replaced', () => {
  const world = aWorld()
  const relays = [aPublic(world), aPublic(world)]
  const many = Array.from({ length: RELAYS.capacity + 10 }, () => aHidden(world))
  for (const one of many) one.dials(relays[0] as Puppet)
  after(world, 30_000)
  const served = many.filter(({ node }) => world.relays.held(node).length === 1)
  assert.equal(served.length, RELAYS.capacity)
  const [first] = served as [Puppet]
  first.dials(relays[1] as Puppet)
  world.stop((relays[0] as Puppet).node, 'crash')
  after(world, 60_000)
  assert.deepEqual(world.relays.held(first.node), [relays[1]?.node])
  const facts = first.all('self').at(-1)?.facts
  const text = world.notation.relayedText(relays[1]?.node ?? -1)
  assert.equal(facts?.addresses[0]?.address, text)
})

test('releasing a link leaves a reservation that rests on it alone', () => {
  const world = aWorld()
  const relay = aPublic(world)
  const node = hiddenAt(world, relay)
  node.releases(relay)
  after(world, 5_000)
  assert.equal(node.all('unlinked').length, 0)
})

test('bytes are counted on both sides, and those through a relay at the relay as well', () => {
  const world = aWorld()
  const [relay, caller] = [aPublic(world), aPublic(world)]
  const target = hiddenAt(world, relay)
  target.answer = ANSWER
  caller.dials(target, 'visit')
  after(world, 5_000)
  world.picture()
  const { sent, received } = world.people
  const before = [sent[caller.node], received[caller.node], sent[relay.node]] as [
    number,
    number,
    number,
  ]
  caller.asks(target, QUESTION)
  after(world, 1_000)
  const [asked, replied] = [QUESTION, ANSWER].map((frame) => BYTES.stream + frameSize(frame)) as [
    number,
    number,
  ]
  assert.equal((sent[caller.node] as number) - before[0], asked)
  assert.equal((received[caller.node] as number) - before[1], replied)
  assert.equal((sent[relay.node] as number) - before[2], asked + replied)
})

test('a flood goes over neighbours, and on to one that is gained while it is new', () => {
  const world = aWorld()
  const [a, b, c, d] = [aPublic(world), aPublic(world), aPublic(world), aPublic(world)]
  for (const [from, to] of [
    [a, b],
    [b, c],
    [c, d],
  ] as const)
    from.dials(to)
  after(world, 2_000)
  for (const [from, to] of [
    [a, b],
    [b, c],
  ] as const) {
    from.takes(to, 'chosen')
    to.takes(from, 'accepted')
  }
  const flood = world.flood(a.node, 30_000)
  after(world, 5_000)
  assert.deepEqual([...flood.hops].slice(0, 4), [1, 2, 3, 0])
  c.takes(d, 'chosen')
  after(world, 1_000)
  assert.equal(flood.hops[d.node], 4)
})

test('a signature is its subject’s alone', () => {
  const world = aWorld()
  const [a, b] = [
    world.add({ hidden: false, hostile: false }),
    world.add({ hidden: true, hostile: false }),
  ]
  const opened = openEnvelope(sealed(a, Uint8Array.of(1, 2, 3)))
  assert.ok(opened.ok)
  assert.equal(world.notation.peerText(opened.value.signer), world.people.keys[a])
  assert.ok(isGenuine(opened.value.signed))
  assert.ok(!isGenuine({ ...opened.value.signed, key: keyOf(b) }))
  assert.ok(!isGenuine({ ...opened.value.signed, bytes: Uint8Array.of(1) }))
})

test('addresses and peers come back from bytes as the very same texts', () => {
  const { notation, people } = aWorld()
  const nodes = Array.from({ length: 50 }, (_, i) =>
    people.add({ hidden: i % 2 === 0, hostile: false }),
  )
  for (const node of nodes) {
    const texts = [people.addresses[node] as string, notation.relayedText(node)]
    for (const text of [...texts, '/ip4/9.8.7.6/tcp/1234']) {
      assert.equal(notation.addressText(notation.addressBytes(text) ?? new Uint8Array()), text)
    }
    const peer = people.keys[node] as string
    assert.equal(notation.peerText(notation.peerBytes(peer) ?? new Uint8Array()), peer)
    assert.ok(Number.isSafeInteger(notation.idOf(peer)))
  }
})

test('one-way times lie between 5 and 150 ms, half of them below about 40', () => {
  const { people, wire } = aWorld()
  for (let i = 0; i < 300; i++) people.add({ hidden: false, hostile: false })
  const ways: number[] = []
  for (let a = 0; a < 300; a++) for (let b = 0; b < a; b++) ways.push(wire.oneWay(a, b))
  ways.sort((a, b) => a - b)
  const median = ways[ways.length >> 1] as number
  assert.ok((ways[0] as number) >= 5 && (ways.at(-1) as number) <= 150)
  assert.ok(median > 34 && median < 46, `${median}`)
})
