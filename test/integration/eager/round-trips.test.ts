import { test } from 'node:test'
import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { generateKey } from '@libp2p/pnet'
import { multiaddr } from '@multiformats/multiaddr'
import { portOf, startNode as startRoleNode } from '../tcp-reuse/nodes.ts'
import { dialOver, echo, startBehind, startNode } from './nodes.ts'
import type { Kind, TestNode } from './nodes.ts'
import { assertRoundTrips, ONE_WAY_MS, roundTrips, wireTo } from './wire.ts'

/** The round trips of TCP itself are not among those counted: the wire is connected to at once. */
const EXPECTED: Record<Kind, { dial: number; stream: number; withKey: number; relayed: number }> = {
  eager: { dial: 1, stream: 1, withKey: 2, relayed: 4 },
  stock: { dial: 2, stream: 2, withKey: 3, relayed: 8 },
}

for (const kind of ['eager', 'stock'] as const) {
  const expected = EXPECTED[kind]

  test(`${kind}: a dial takes ${expected.dial} after TCP, a stream with its first answer ${expected.stream}`, async () => {
    await using server = await startNode(kind)
    await using wire = await wireTo(server.port, { oneWayMs: ONE_WAY_MS })
    const address = multiaddr(`/ip4/127.0.0.1/tcp/${wire.port}/p2p/${server.id}`)
    await assertRoundTrips(expected.dial, async () => {
      await using client = await startNode(kind)
      return await roundTrips(() => client.libp2p.dial(address))
    })
    await using client = await startNode(kind)
    const connection = await client.libp2p.dial(address)
    await assertRoundTrips(
      expected.stream,
      async () => await roundTrips(() => echo(connection, 'hello')),
    )
  })

  test(`${kind}: a dial with a network key takes ${expected.withKey}`, async (t) => {
    const networkKey = new Uint8Array(95)
    generateKey(networkKey)
    await using server = await startNode(kind, { networkKey })
    const wire = { oneWayMs: ONE_WAY_MS }
    await assertRoundTrips(expected.withKey, async () => {
      await using client = await startNode(kind, { networkKey })
      return await roundTrips(() => dialOver(t, client, server, wire))
    })
  })

  test(`${kind}: a dial over a relay takes ${expected.relayed} of one hop`, async () => {
    await using relay = await startNode(kind, { relay: true })
    await using wire = await wireTo(relay.port, { oneWayMs: ONE_WAY_MS })
    await using server = await startBehind(kind, relay, wire.port)
    const through = `/ip4/127.0.0.1/tcp/${wire.port}/p2p/${relay.id}`
    const over = multiaddr(`${through}/p2p-circuit/p2p/${server.id}`)
    await assertRoundTrips(expected.relayed, async () => {
      await using client = await startNode(kind)
      await client.libp2p.dial(multiaddr(through))
      await knowsRelay(client, relay)
      return await roundTrips(() => client.libp2p.dial(over))
    })
  })
}

test('who accepts a connection and plays the client does not wait for the other side to agree either', async () => {
  await using client = await startRoleNode(['/ip4/127.0.0.1/tcp/0'])
  await using wire = await wireTo(portOf(client), { oneWayMs: ONE_WAY_MS })
  using _ = client.transport.expectPunch({ host: '127.0.0.1', role: 'client' })
  const address = `/ip4/127.0.0.1/tcp/${wire.port}/p2p/${client.libp2p.peerId.toString()}`
  // Half of one until it is accepted there, one for the handshake, half of one until its last message is here.
  await assertRoundTrips(2, async () => {
    await using server = await startRoleNode([])
    return await roundTrips(() => server.dial(address, { initiator: false }))
  })
})

/** Identify is over, so that it does not run beside what is measured. */
async function knowsRelay({ libp2p }: TestNode, relay: TestNode): Promise<void> {
  const known = Promise.withResolvers<void>()
  const look = async (): Promise<void> => {
    const { protocols } = await libp2p.peerStore.get(relay.libp2p.peerId)
    if (protocols.includes(RELAY_V2_HOP_CODEC)) known.resolve()
  }
  libp2p.addEventListener('peer:identify', () => void look())
  await look()
  await known.promise
}
