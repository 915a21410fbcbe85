import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { identify } from '@libp2p/identify'
import type { Connection, IdentifyResult, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { endpointOf, isDirect } from '../../src/net/connection.ts'
import { warren } from '../../src/services.ts'
import type { RelayService } from '../../src/services.ts'

type Node = Libp2p<{ relay: RelayService }> & AsyncDisposable

/** A node as a user of `warren/services` makes it. */
async function make(...listen: string[]): Promise<Node> {
  const w = warren()
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0', ...listen] },
    transports: w.transports,
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ...w.services },
  })
  return Object.assign(node, { [Symbol.asyncDispose]: async () => node.stop() })
}

function portOf(node: Node): number | undefined {
  return node
    .getMultiaddrs()
    .map(endpointOf)
    .find((one) => one !== undefined)?.port
}

async function detail<T>(node: Node, event: string): Promise<T> {
  const [told] = await once(node, event, { signal: AbortSignal.timeout(10_000) })
  return (told as CustomEvent<T>).detail
}

test('two nodes of a libp2p user connect, and the one that dials is seen at its listening port', async () => {
  await using dialler = await make()
  await using listener = await make()
  const arrived = detail<Connection>(listener, 'connection:open')
  const told = detail<IdentifyResult>(dialler, 'peer:identify')
  await dialler.dial(listener.getMultiaddrs())
  const { remoteAddr } = await arrived
  assert.equal(endpointOf(remoteAddr)?.port, portOf(dialler))
  const { observedAddr } = await told
  assert.ok(observedAddr !== undefined)
  assert.equal(endpointOf(observedAddr)?.port, portOf(dialler))
})

test('services without the transports made with them are refused', async () => {
  const { transports } = warren()
  const { services } = warren()
  const node = createLibp2p({
    transports,
    connectionEncrypters: [noise()],
    services: { identify: identify(), ...services },
  })
  await assert.rejects(node, /transports made with them/)
})

test('one node relays for another, and the relayed connection carries streams', async () => {
  await using relay = await make()
  await relay.services.relay.serve(true)
  const [at] = relay.getMultiaddrs()
  assert.ok(at !== undefined)
  await using hidden = await make(`${at.toString()}/p2p-circuit`)
  await using caller = await make()
  const echo = '/test/echo/1.0.0'
  await hidden.handle(
    echo,
    (stream) => {
      stream.addEventListener('message', ({ data }) => stream.send(data))
    },
    { runOnLimitedConnection: true },
  )
  const through = hidden.getMultiaddrs().find((ma) => endpointOf(ma) === undefined)
  assert.ok(through !== undefined, 'the hidden node holds a reservation')
  const connection = await caller.dial(through)
  assert.ok(!isDirect(connection))
  const stream = await connection.newStream(echo, { runOnLimitedConnection: true })
  const answer = once(stream, 'message', { signal: AbortSignal.timeout(10_000) })
  stream.send(new TextEncoder().encode('warren'))
  const [{ data }] = (await answer) as [{ data: { subarray(): Uint8Array } }]
  assert.equal(new TextDecoder().decode(data.subarray()), 'warren')
})
