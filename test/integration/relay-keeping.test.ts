import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { StockReservations } from '../../src/drivers/stock-reservations.ts'
import { makeBadRelay } from '../support/bad-relay.ts'
import type { Badness } from '../support/bad-relay.ts'
import { makeClient, makeNode, makeRelay, until } from './relay-nodes.ts'
import type { ClientNode, TestNode } from './relay-nodes.ts'

const quick = { timeout: 60_000 }

type Offered = Pick<TestNode, 'id' | 'address'>

const known = (...relays: Offered[]) =>
  relays.map((relay) => ({ id: relay.id, address: relay.address() }))

function offer(client: ClientNode, ...relays: Offered[]): void {
  for (const { id } of relays) client.relaying.candidate({ peer: id, source: 'exchange' })
  client.relaying.need(true)
}

const held = (client: ClientNode): string[] => client.relaying.held().map(({ peer }) => peer)

/** Resolves with the milliseconds that it took. */
async function timed(condition: () => boolean, what: string, ms?: number): Promise<number> {
  const began = performance.now()
  await until(condition, what, ms)
  return performance.now() - began
}

test('a held relay is tested by a circuit to ourselves, and a good one passes', quick, async () => {
  await using relay = await makeRelay()
  await using client = await makeClient(() => known(relay))
  offer(client, relay)
  await until(() => client.relaying.relays()[0]?.forwards === true, 'the test came through')
  assert.equal(relay.service.stats().circuits, 0, 'which is no circuit of its own')
  assert.equal(relay.service.stats().bytesRelayed, 0)
  assert.equal(client.libp2p.getConnections().length, 1, 'and no connection')
})

test('while a test is on, visitors come through all the same', quick, async () => {
  await using relay = await makeRelay()
  await using client = await makeClient(() => known(relay))
  await using visitor = await makeClient(() => known(relay))
  offer(client, relay)
  await until(() => client.relaying.relays()[0]?.forwards === true, 'the first test is over')
  const [connection] = client.libp2p.getConnections()
  assert.ok(connection)
  const [address] = client.relaying.held()[0]?.addresses ?? []
  const signal = AbortSignal.timeout(20_000)
  for (let i = 0; i < 10; i++) {
    const testing = client.circuitTest.run(connection, signal)
    const visit = await visitor.libp2p.dial(multiaddr(address ?? ''))
    assert.equal(visit.remotePeer.toString(), client.id)
    assert.equal((await testing).outcome, 'forwards')
    await visit.close()
  }
})

for (const badness of ['mute', 'accepts', 'swallows', 'one-way', 'forgets'] as Badness[]) {
  test(`a relay that ${words(badness)} is found out and replaced`, quick, async () => {
    await using bad = await makeBadRelay(badness)
    await using good = await makeRelay()
    await using better = await makeRelay()
    await using client = await makeClient(() => known(bad, good, better))
    offer(client, bad, good)
    await until(() => held(client).includes(bad.id), 'it is believed at first')
    const whole = () => held(client).includes(better.id) && held(client).includes(good.id)
    offer(client, better)
    const ms = await timed(
      () => whole() && !held(client).includes(bad.id),
      'it is replaced',
      15_000,
    )
    assert.ok(bad.asked >= 1, 'it was tested')
    assert.ok(ms < 9_000, `${ms} ms`)
    const reason = client.told.find(({ type, peer }) => type === 'relay:lost' && peer === bad.id)
    assert.equal(reason?.reason, 'it passes nothing on')
    const losses = client.told.filter(({ type }) => type === 'relay:lost')
    assert.equal(losses.length, 1, 'and nobody else was given up')
    const order = client.told.map(({ type, peer }) => `${type} ${peer}`)
    assert.ok(
      order.indexOf(`relay:held ${better.id}`) < order.indexOf(`relay:lost ${bad.id}`),
      'the other was held first',
    )
  })
}

function words(badness: Badness): string {
  return {
    mute: 'answers to no circuit',
    accepts: 'accepts circuits and tells nobody',
    swallows: 'makes circuits and passes nothing on',
    'one-way': 'lets nothing come back',
    forgets: 'grants and forgets',
    denies: 'denies every circuit',
  }[badness]
}

test('a relay that does not allow circuits to ourselves is not blamed for it', quick, async () => {
  await using relay = await makeBadRelay('denies')
  await using client = await makeClient(() => known(relay))
  offer(client, relay)
  await until(() => relay.asked > 0, 'it was tested')
  const [connection] = client.libp2p.getConnections()
  assert.ok(connection)
  const result = await client.circuitTest.run(connection, AbortSignal.timeout(10_000))
  assert.equal(result.outcome, 'unclear')
  assert.deepEqual(held(client), [relay.id])
})

test('when our own connection is dead, the relay is not blamed', quick, async () => {
  await using relay = await makeBadRelay('mute')
  await using client = await makeClient(() => known(relay))
  offer(client, relay)
  await until(() => held(client).length === 1, 'it is held')
  const [connection] = client.libp2p.getConnections()
  assert.ok(connection)
  const running = client.circuitTest.run(connection, AbortSignal.timeout(10_000), 10)
  connection.abort(new Error('gone'))
  assert.equal((await running).outcome, 'unclear')
})

test('the third is warm, and takes over within a round trip', quick, async () => {
  const first = await makeRelay()
  await using second = await makeRelay()
  await using third = await makeRelay()
  await using client = await makeClient(() => known(first, second, third))
  offer(client, first, second, third)
  const states = () => client.relaying.relays().map(({ state }) => state)
  await until(() => states().join() === 'held,held,warm', 'two are held and one is warm')
  const warm = client.relaying.relays()[2]?.peer as string
  const going = [first, second].find(
    ({ id }) => id !== warm && held(client).includes(id),
  ) as TestNode
  const lost = () => !held(client).includes(going.id)
  const stopping = going.libp2p.stop()
  await until(lost, 'the loss is noticed')
  const ms = await timed(() => held(client).includes(warm), 'the warm one is held')
  assert.ok(ms < 500, `${ms} ms`)
  await stopping
  await first.libp2p.stop()
})

test('a relay that restarts is held again within a second of its return', quick, async () => {
  const privateKey = await generateKeyPair('Ed25519')
  const first = await makeRelay({ privateKey })
  const port = first.port()
  const relays = known(first)
  await using client = await makeClient(() => relays)
  offer(client, first)
  await until(() => held(client).length === 1, 'it is held')
  await first.libp2p.stop()
  await until(() => held(client).length === 0, 'the loss is noticed')
  // Nobody knows when it will be back: several tries have failed by now.
  await until(() => client.dials() >= 4, 'it is tried')
  await using second = await makeRelay({ privateKey, port })
  const ms = await timed(() => held(client).length === 1, 'it is held again')
  // The longest pause is 0.98 s; connecting and reserving take the rest.
  assert.ok(ms < 1_300, `${ms} ms`)
  assert.equal(second.service.stats().reservations, 1)
})

test('a relay that refuses to renew serves on until its promise ends', quick, async () => {
  await using relay = await makeBadRelay('denies')
  relay.grantsSeconds = 60 // less than ten minutes, or the stock store would not ask at all
  await using client = await makeNode({}, {}) // without a keeper of its own
  await client.libp2p.dial(multiaddr(relay.address()))
  const id = relay.libp2p.peerId
  const removed: string[] = []
  const reservations = new StockReservations(client.seam.transportManager, {
    created: () => {},
    removed: (peer) => removed.push(peer.toString()),
  })
  reservations.start()
  const signal = AbortSignal.timeout(20_000)
  await reservations.make(id, signal)
  relay.grants = false
  await assert.rejects(
    reservations.renew(id, signal, () => true),
    /status/,
  )
  assert.ok(reservations.has(id), 'it is kept')
  assert.deepEqual(removed, [])
  relay.grants = true
  const before = relay.granted
  await reservations.renew(id, signal, () => true)
  assert.equal(relay.granted, before + 1)
  relay.grants = false
  await assert.rejects(
    reservations.renew(id, signal, () => false),
    /status/,
  )
  assert.deepEqual(removed, [relay.id], 'with the connection it ends')
  reservations.stop()
})
