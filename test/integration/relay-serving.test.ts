import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { message, nested, uint32, uint64 } from '../../protocols/kernel/protobuf.ts'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import * as wire from '../../protocols/relaying/wire.ts'
import { RELAY_PROTOCOL } from '../../src/drivers/relay-service.ts'
import { frames } from '../../src/net/frames.ts'
import { relayRules } from '../../src/node/relay-rules.ts'
import { makeClient, makeNode, makeRelay, until } from './relay-nodes.ts'
import type { ClientNode, RelayNode, TestNode } from './relay-nodes.ts'

const quick = { timeout: 60_000 }
const PATIENCE = { timeoutMs: 15_000 }
const ECHO = '/test/echo/1.0.0'

/** RESERVE is 0, which protobuf leaves out and circuit relay v2 demands. */
const RESERVE = Uint8Array.from([0x08, 0x00])

const Limit = message({ duration: uint32(1), data: uint64(2) })
const Answer = message({ limit: nested(4, Limit, 64), status: uint32(5) })

/** Asks the relay in its own words, and returns what it answers. */
async function ask(connection: Connection, request: Uint8Array) {
  const stream = await connection.newStream(RELAY_PROTOCOL, {
    maxOutboundStreams: 10_000,
    signal: AbortSignal.timeout(15_000),
  })
  const hop = frames(stream, { maxBytes: wire.MAX_FRAME })
  await hop.write(request, PATIENCE)
  return { ...Answer.decode(await hop.read(PATIENCE)), stream }
}

const connectTo = (target: TestNode): Uint8Array =>
  wire.hopConnect(target.libp2p.peerId.toMultihash().bytes)

const dial = (from: TestNode, to: TestNode): Promise<Connection> =>
  from.libp2p.dial(multiaddr(to.address()))

async function holding(relay: RelayNode): Promise<ClientNode> {
  const client = await makeClient(() => [{ id: relay.id, address: relay.address() }])
  client.relaying.candidate({ peer: relay.id, source: 'bootstrap' })
  client.relaying.need(true)
  await until(() => client.relaying.relays()[0]?.forwards === true, 'it is held and tested')
  await until(() => relay.service.budgets().circuits.used === 0, 'the test is over')
  return client
}

test('every refusal has the status that the protocol has for it', quick, async () => {
  await using relay = await makeRelay()
  await using client = await holding(relay)
  await using visitor = await makeNode({}, {})
  const connection = await dial(visitor, relay)
  assert.equal((await ask(connection, connectTo(visitor))).status, wire.STATUS_NO_RESERVATION)

  const open = []
  for (let i = 0; i < SERVING_LIMITS.maxCircuitsPerPair; i++) {
    open.push(await ask(connection, connectTo(client)))
  }
  assert.ok(open.every(({ status }) => status === wire.STATUS_OK))
  const one = await ask(connection, connectTo(client))
  assert.equal(one.status, wire.STATUS_RESOURCE_LIMIT_EXCEEDED)
  open[0]?.stream.abort(new Error('done with it'))
  const room = () => relay.service.stats().circuits < SERVING_LIMITS.maxCircuitsPerPair
  await until(room, 'a circuit that is reset makes room at once', 2_000)

  const times = SERVING_LIMITS.reservationRequests.burst
  for (let i = 0; i < times; i++) {
    assert.equal((await ask(connection, RESERVE)).status, wire.STATUS_OK, 'renewals are admitted')
  }
  assert.equal((await ask(connection, RESERVE)).status, wire.STATUS_RESERVATION_REFUSED)
  assert.deepEqual(relay.service.budgets().refused, { 'too-many-circuits': 1, 'too-often': 1 })
})

test('an operator’s own gater says permission denied', quick, async () => {
  await using relay = await makeRelay({
    gater: { denyInboundRelayReservation: () => true, denyOutboundRelayedConnection: () => true },
  })
  await using client = await makeNode({}, {})
  const connection = await dial(client, relay)
  assert.equal((await ask(connection, RESERVE)).status, wire.STATUS_PERMISSION_DENIED)
})

test('a host that is full or busy says so, and is known to be', quick, async () => {
  let files = 2
  await using relay = await makeRelay(
    {},
    { resources: () => ({ connections: 1_000, lagMs: 0, files }) },
  )
  assert.deepEqual(relay.service.capacity(), { slotsTotal: 1, slotsFree: 1 })
  await using first = await makeNode({}, {})
  await using second = await makeNode({}, {})
  assert.equal((await ask(await dial(first, relay), RESERVE)).status, wire.STATUS_OK)
  const refused = await ask(await dial(second, relay), RESERVE)
  assert.equal(refused.status, wire.STATUS_RESERVATION_REFUSED)
  assert.deepEqual(relay.service.capacity(), { slotsTotal: 1, slotsFree: 0 })
  assert.equal(relay.service.budgets().limitedBy, 'files')
  files = 1_000
  await relay.service.serve(false)
  await relay.service.serve(true)
  assert.deepEqual(relay.service.capacity(), { slotsTotal: 500, slotsFree: 500 })
})

test('a thousand reservation requests at once cost others nothing', quick, async () => {
  await using relay = await makeRelay()
  const crowd = await Promise.all(
    Array.from({ length: 25 }, () => makeNode({}, { from: '127.0.66.6' })),
  )
  await using honest = await makeNode({}, { from: '127.0.7.7' })
  try {
    const connections = await Promise.all(crowd.map((each) => dial(each, relay)))
    const mine = await dial(honest, relay)
    const storm = connections.flatMap((connection) =>
      Array.from({ length: 40 }, () =>
        ask(connection, RESERVE).then(
          ({ status }) => status,
          () => undefined, // libp2p resets streams beyond its own limit of a protocol
        ),
      ),
    )
    const began = performance.now()
    const honestly = await ask(mine, RESERVE)
    const ms = performance.now() - began
    assert.equal(honestly.status, wire.STATUS_OK)
    assert.ok(ms < 5_000, `the honest one waited ${ms} ms`)
    const statuses = await Promise.all(storm)
    assert.equal(statuses.length, 1_000)
    const { reservations } = relay.service.stats()
    assert.ok(reservations <= SERVING_LIMITS.maxReservationsPerIp + 1, `${reservations} held`)
    const refused = statuses.filter(
      (status) =>
        status === wire.STATUS_RESERVATION_REFUSED ||
        status === wire.STATUS_RESOURCE_LIMIT_EXCEEDED,
    )
    assert.ok(refused.length > 0)
    assert.ok(statuses.every((status) => status === undefined || status >= wire.STATUS_OK))
  } finally {
    await Promise.all(crowd.map((each) => each[Symbol.asyncDispose]()))
  }
  await until(() => relay.service.stats().reservations === 1, 'their slots are free', 5_000)
})

test('requests that never say what they want take no place for long', quick, async () => {
  await using relay = await makeRelay()
  await using slow = await makeNode({}, {})
  const connection = await dial(slow, relay)
  const streams = []
  for (let i = 0; i < SERVING_LIMITS.maxRequestsPerPeer; i++) {
    streams.push(await connection.newStream(RELAY_PROTOCOL))
  }
  const refused = await ask(connection, RESERVE)
  assert.equal(refused.status, wire.STATUS_RESOURCE_LIMIT_EXCEEDED)
  streams[0]?.abort(new Error('never mind'))
  for (;;) {
    const { status } = await ask(connection, RESERVE)
    if (status === wire.STATUS_OK) break
    assert.equal(status, wire.STATUS_RESOURCE_LIMIT_EXCEEDED)
  }
})

/** Sends through a circuit until it breaks, or this much has come back. */
async function echoed(
  from: TestNode,
  to: TestNode,
  address: string,
  size: number,
): Promise<number> {
  await to.libp2p.handle(
    ECHO,
    async (stream) => {
      for await (const chunk of stream) stream.send(chunk.subarray())
      await stream.close()
    },
    { runOnLimitedConnection: true, force: true },
  )
  const connection = await from.libp2p.dial(multiaddr(address))
  const stream = await connection.newStream(ECHO, { runOnLimitedConnection: true })
  stream.send(new Uint8Array(size))
  const closed = stream.close().catch(() => {})
  let received = 0
  try {
    for await (const chunk of stream) received += chunk.byteLength
  } catch {
    // what came until then counts
  }
  await closed
  return received
}

test(
  'strangers get what is usual among relays, members more, a private network all',
  quick,
  async () => {
    const members = new Set<string>()
    const rules = (networkKey?: Uint8Array) =>
      relayRules(networkKey === undefined ? {} : { networkKey }, {
        isMember: (peer) => members.has(peer),
        changed: () => {},
      })
    await using open = await makeRelay({}, rules())
    await using client = await holding(open)
    await using visitor = await makeNode({}, {})
    const [address] = client.relaying.held()[0]?.addresses ?? []
    const connection = await dial(visitor, open)
    const stated = async () => {
      const { limit, stream } = await ask(connection, connectTo(client))
      stream.abort(new Error('only asking'))
      return limit
    }
    const { stranger, member } = SERVING_LIMITS
    assert.deepEqual(await stated(), { duration: stranger.seconds, data: stranger.bytes })
    assert.ok((await echoed(visitor, client, address ?? '', 300_000)) < stranger.bytes)
    members.add(client.id)
    assert.deepEqual(await stated(), { duration: stranger.seconds, data: stranger.bytes })
    members.add(visitor.id)
    assert.deepEqual(await stated(), { duration: member.seconds, data: member.bytes })
    assert.equal(await echoed(visitor, client, address ?? '', 300_000), 300_000)

    members.clear()
    await using closed = await makeRelay({}, rules(new Uint8Array(95)))
    await using inside = await holding(closed)
    const [hidden] = inside.relaying.held()[0]?.addresses ?? []
    await using guest = await makeNode({}, {})
    const circuit = await guest.libp2p.dial(multiaddr(hidden ?? ''))
    assert.equal(circuit.limits, undefined, 'the circuit is not even called limited')
    assert.equal(await echoed(guest, inside, hidden ?? '', 1_000_000), 1_000_000)
  },
)

test('what circuits carry is charged, and what is left is told', quick, async () => {
  await using relay = await makeRelay()
  await using client = await holding(relay)
  await using visitor = await makeNode({}, {})
  await dial(visitor, relay)
  const [address] = client.relaying.held()[0]?.addresses ?? []
  const before = relay.service.budgets().bytes.left
  await echoed(visitor, client, address ?? '', 1_000_000)
  const charged = before - relay.service.budgets().bytes.left
  const carried = relay.service.stats().bytesRelayed
  // A second gives back a megabyte; what flows is charged by the 64 KiB.
  assert.ok(charged > 0 && charged <= carried, `${charged} of ${carried}`)
  const { used, limit } = relay.service.budgets().circuits
  assert.deepEqual([used, limit], [1, SERVING_LIMITS.maxCircuits])
})
