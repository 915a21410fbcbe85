import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { RELAY_PROTOCOL } from '../../src/drivers/relay-service.ts'
import { makeClient, makeRelay, until } from './relay-nodes.ts'
import type { ClientNode, RelayNode } from './relay-nodes.ts'

const ECHO = '/test/echo/1.0.0'
const quick = { timeout: 30_000 }

async function heldAt(relay: RelayNode, client: ClientNode): Promise<void> {
  client.relaying.candidate({ peer: relay.id, source: 'bootstrap' })
  client.relaying.need(true)
  await until(() => client.relaying.held().length === 1, 'the reservation is held')
}

/** Sends `size` bytes to the echo protocol of the other side and counts what comes back. */
async function echo(
  from: ClientNode,
  to: ClientNode,
  address: string,
  size: number,
): Promise<number> {
  await to.libp2p.handle(
    ECHO,
    async (stream) => {
      for await (const chunk of stream) stream.send(chunk.subarray())
      await stream.close()
    },
    { runOnLimitedConnection: true },
  )
  const connection = await from.libp2p.dial(multiaddr(address))
  const stream = await connection.newStream(ECHO, { runOnLimitedConnection: true })
  stream.send(new Uint8Array(size))
  const closed = stream.close()
  let received = 0
  for await (const chunk of stream) received += chunk.byteLength
  await closed
  return received
}

test('a reservation is held and its addresses lead to the client', quick, async () => {
  await using relay = await makeRelay()
  const known = () => [{ id: relay.id, address: relay.address() }]
  await using client = await makeClient(known)
  await using visitor = await makeClient(known)
  await heldAt(relay, client)

  const [held] = client.relaying.held()
  const address = `${relay.address()}/p2p-circuit/p2p/${client.id}`
  assert.deepEqual(held?.addresses, [address])
  assert.equal(relay.service.stats().reservations, 1)
  assert.equal(await echo(visitor, client, address, 100_000), 100_000)
  assert.deepEqual(
    client.told.map(({ type }) => type),
    ['relay:held'],
  )
})

test('the relay counts circuits and the bytes they carry, both ways', quick, async () => {
  await using relay = await makeRelay()
  const known = () => [{ id: relay.id, address: relay.address() }]
  await using client = await makeClient(known)
  await using visitor = await makeClient(known)
  await heldAt(relay, client)
  assert.equal(relay.service.stats().bytesRelayed, 0)

  await echo(visitor, client, client.relaying.held()[0]?.addresses[0] as string, 1_000_000)
  const { circuits, bytesRelayed } = relay.service.stats()
  assert.equal(circuits, 1)
  assert.ok(bytesRelayed > 2_000_000 && bytesRelayed < 2_300_000, `${bytesRelayed} bytes`)

  await visitor.libp2p.hangUp(client.libp2p.peerId)
  await until(() => relay.service.stats().circuits === 0, 'the circuit has ended')
  assert.ok(relay.service.stats().bytesRelayed >= bytesRelayed, 'ended circuits still count')
})

test('both ends learn the limit of a circuit in seconds', quick, async () => {
  await using relay = await makeRelay({}, { limitFor: () => ({ seconds: 90, bytes: 50_000 }) })
  const known = () => [{ id: relay.id, address: relay.address() }]
  await using client = await makeClient(known)
  await using visitor = await makeClient(known)
  await heldAt(relay, client)
  const address = client.relaying.held()[0]?.addresses[0] as string
  const out = await visitor.libp2p.dial(multiaddr(address))
  await until(() => client.libp2p.getConnections(visitor.libp2p.peerId).length === 1, 'it arrived')
  const [inward] = client.libp2p.getConnections(visitor.libp2p.peerId)
  for (const limits of [out.limits, inward?.limits]) {
    assert.ok((limits?.seconds ?? 0) > 80 && (limits?.seconds ?? 999) <= 90, `${limits?.seconds} s`)
    assert.ok((limits?.bytes ?? 0n) <= 50_000n && (limits?.bytes ?? 0n) > 10_000n)
  }
})

test('a circuit that used up its bytes is ended', quick, async () => {
  await using relay = await makeRelay({}, { limitFor: () => ({ seconds: 90, bytes: 50_000 }) })
  const known = () => [{ id: relay.id, address: relay.address() }]
  await using client = await makeClient(known)
  await using visitor = await makeClient(known)
  await heldAt(relay, client)
  const address = client.relaying.held()[0]?.addresses[0] as string
  const received = await echo(visitor, client, address, 200_000).catch(() => 0)
  assert.ok(received < 50_000, `${received} bytes came back`)
  await until(() => relay.service.stats().circuits === 0, 'the circuit has ended')
})

test('a circuit that used up its time is ended', quick, async () => {
  await using relay = await makeRelay({}, { limitFor: () => ({ seconds: 1, bytes: 50_000 }) })
  const known = () => [{ id: relay.id, address: relay.address() }]
  await using client = await makeClient(known)
  await using visitor = await makeClient(known)
  await heldAt(relay, client)
  const address = client.relaying.held()[0]?.addresses[0] as string
  const connection = await visitor.libp2p.dial(multiaddr(address))
  const closed = new Promise((resolve) => connection.addEventListener('close', resolve))
  assert.equal(relay.service.stats().circuits, 1)
  await closed
  await until(() => relay.service.stats().circuits === 0, 'the circuit has ended')
})

test('a reservation is back within seconds after the relay restarted', quick, async () => {
  const privateKey = await generateKeyPair('Ed25519')
  const first = await makeRelay({ privateKey })
  const port = first.port()
  const address = first.address()
  await using client = await makeClient(() => [{ id: first.id, address }])
  await heldAt(first, client)
  await first.libp2p.stop()
  await until(() => client.relaying.held().length === 0, 'the loss is noticed', 1_000)

  await using second = await makeRelay({ privateKey, port })
  await until(() => client.relaying.held().length === 1, 'it is held again', 4_000)
  assert.equal(second.service.stats().reservations, 1)
  assert.deepEqual(
    client.told.map(({ type }) => type),
    ['relay:held', 'relay:lost', 'relay:held'],
  )
  assert.equal(client.told[1]?.reason, 'the connection to it closed')
})

test('the slot of a client that vanishes is free at once', quick, async () => {
  await using relay = await makeRelay()
  const client = await makeClient(() => [{ id: relay.id, address: relay.address() }])
  await heldAt(relay, client)
  const { used } = relay.service.budgets().reservations
  assert.equal(used, 1)
  const { slotsFree, slotsTotal } = relay.service.capacity()
  assert.equal(slotsFree, slotsTotal, 'one more or less is no news for all members')
  client.libp2p.getConnections()[0]?.abort(new Error('gone without a word'))
  client.relaying.stop()
  await until(() => relay.service.stats().reservations === 0, 'the slot is free', 2_000)
  await client.libp2p.stop()
})

test('two relays are held at once, and one when the other goes', quick, async () => {
  await using one = await makeRelay()
  const two = await makeRelay()
  await using three = await makeRelay()
  const all = [one, two, three].map((relay) => ({ id: relay.id, address: relay.address() }))
  await using client = await makeClient(() => all)
  for (const { id } of all.slice(0, 2)) client.relaying.candidate({ peer: id, source: 'bootstrap' })
  client.relaying.need(true)
  await until(() => client.relaying.held().length === 2, 'two are held', 3_000)

  client.relaying.candidate({ peer: three.id, source: 'exchange' })
  await two.libp2p.stop()
  const peers = () => client.relaying.held().map(({ peer }) => peer)
  await until(() => peers().includes(three.id), 'the third takes its place', 3_000)
  assert.deepEqual(peers().sort(), [one.id, three.id].sort())
})

test('relaying can be switched off and on while the node runs', quick, async () => {
  await using relay = await makeRelay()
  const known = () => [{ id: relay.id, address: relay.address() }]
  await using client = await makeClient(known)
  await using visitor = await makeClient(known)
  await heldAt(relay, client)
  const address = client.relaying.held()[0]?.addresses[0] as string

  await relay.service.serve(false)
  assert.ok(!relay.libp2p.getProtocols().includes(RELAY_PROTOCOL))
  await until(() => client.relaying.held().length === 0, 'the client was told', 3_000)
  assert.equal(client.told.at(-1)?.reason, 'it stopped relaying')
  await assert.rejects(visitor.libp2p.dial(multiaddr(address)))

  await relay.service.serve(true)
  assert.ok(relay.libp2p.getProtocols().includes(RELAY_PROTOCOL))
  await until(() => client.relaying.held().length === 1, 'it is held again', 8_000)
  assert.equal(await echo(visitor, client, address, 10_000), 10_000)
})

test('a node that is no relay yet is asked again once it says that it relays', quick, async () => {
  await using relay = await makeRelay()
  await relay.service.serve(false)
  await using client = await makeClient(() => [{ id: relay.id, address: relay.address() }])
  client.relaying.candidate({ peer: relay.id, source: 'bootstrap' })
  client.relaying.need(true)
  await until(() => client.libp2p.getConnections().length === 1, 'it is connected')
  await until(() => client.relaying.relays().length === 0, 'it was found not to relay')
  await relay.service.serve(true)
  await until(() => client.relaying.held().length === 1, 'it is held', 2_000)
})

test('more reservations from one address than allowed are refused', quick, async () => {
  await using relay = await makeRelay()
  const clients: ClientNode[] = []
  try {
    for (let i = 0; i < 17; i++) {
      const client = await makeClient(() => [{ id: relay.id, address: relay.address() }])
      clients.push(client)
      client.relaying.candidate({ peer: relay.id, source: 'bootstrap' })
      client.relaying.need(true)
    }
    const holding = () => clients.filter(({ relaying }) => relaying.held().length === 1).length
    const asking = () => clients.filter(({ relaying }) => relaying.relays().length === 1).length
    await until(() => holding() === 16 && asking() === 16, 'sixteen are in and one is out')
    assert.equal(relay.service.stats().reservations, 16)
  } finally {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
  }
})

test('the node’s own gater is asked before a reservation is given', quick, async () => {
  const asked: string[] = []
  await using relay = await makeRelay({
    gater: {
      denyInboundRelayReservation: (source) => {
        asked.push(source.toString())
        return true
      },
    },
  })
  await using client = await makeClient(() => [{ id: relay.id, address: relay.address() }])
  client.relaying.candidate({ peer: relay.id, source: 'bootstrap' })
  client.relaying.need(true)
  await until(() => asked.includes(client.id), 'the gater was asked')
  await until(() => client.relaying.relays().length === 0, 'it was refused')
  assert.equal(relay.service.stats().reservations, 0)
})

test('what a slow reader is sent through a relay arrives whole', quick, async () => {
  await using relay = await makeRelay()
  const known = () => [{ id: relay.id, address: relay.address() }]
  await using client = await makeClient(known)
  await using visitor = await makeClient(known)
  await heldAt(relay, client)

  const size = 24 * 1024 * 1024
  const arrived = Promise.withResolvers<number>()
  const paused = Promise.withResolvers<() => void>()
  await client.libp2p.handle(
    ECHO,
    async (stream) => {
      let received = 0
      stream.maxReadBufferLength = size
      stream.addEventListener('message', ({ data }) => {
        received += data.byteLength
        if (received === size) arrived.resolve(received)
      })
      stream.pause()
      paused.resolve(() => stream.resume())
    },
    { runOnLimitedConnection: true },
  )
  const address = client.relaying.held()[0]?.addresses[0] as string
  const connection = await visitor.libp2p.dial(multiaddr(address))
  const stream = await connection.newStream(ECHO, { runOnLimitedConnection: true })
  const resume = await paused.promise
  const chunk = new Uint8Array(64 * 1024)
  let stalled = false
  for (let sent = 0; sent < size; sent += chunk.length) {
    if (stream.send(chunk)) continue
    if (!stalled) resume()
    stalled = true
    await stream.onDrain()
  }
  assert.ok(stalled, 'the sender had to wait')
  assert.equal(await arrived.promise, size)
  assert.ok(relay.service.stats().bytesRelayed >= size)
})
