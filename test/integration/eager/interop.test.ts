import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { generateKey } from '@libp2p/pnet'
import { byteStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { dialOver, echo, startBehind, startNode } from './nodes.ts'
import type { Kind } from './nodes.ts'

const KINDS: Kind[] = ['eager', 'stock']
const PAIRS = KINDS.flatMap((from) => KINDS.map((to) => [from, to] as const))
const HEADER = Buffer.from('\x13/multistream/1.0.0\n')

// Longer than a frame of noise and a window of yamux.
const LONG = 'warren '.repeat(100_000)

for (const [from, to] of PAIRS) {
  test(`${from} dials ${to}, and both open streams`, async (t) => {
    await using server = await startNode(to)
    await using client = await startNode(from)
    const connection = await dialOver(t, client, server)
    assert.equal(await echo(connection, LONG), LONG)
    const [back] = server.libp2p.getConnections(client.libp2p.peerId)
    assert.ok(back)
    assert.equal(await echo(back, LONG), LONG)
  })

  test(`${from} dials ${to} with a network key`, async (t) => {
    const networkKey = new Uint8Array(95)
    generateKey(networkKey)
    await using server = await startNode(to, { networkKey })
    await using client = await startNode(from, { networkKey })
    assert.equal(await echo(await dialOver(t, client, server), LONG), LONG)
  })

  for (const over of KINDS) {
    test(`${from} dials ${to} over a relay that is ${over}`, async () => {
      await using relay = await startNode(over, { relay: true })
      await using server = await startBehind(to, relay, relay.port)
      await using client = await startNode(from)
      const path = `/ip4/127.0.0.1/tcp/${relay.port}/p2p/${relay.id}/p2p-circuit/p2p/${server.id}`
      const connection = await client.libp2p.dial(multiaddr(path))
      assert.equal(await echo(connection, 'through the relay'), 'through the relay')
    })
  }
}

test('an answer that arrives byte by byte is the same answer', async (t) => {
  await using server = await startNode('stock')
  await using client = await startNode('eager')
  const connection = await dialOver(t, client, server, { chopped: true })
  assert.equal(await echo(connection, 'hello'), 'hello')
})

test('a peer that sends its header before it was asked, as go-libp2p does, is understood', async (t) => {
  await using server = await startNode('stock')
  await using client = await startNode('eager')
  const connection = await dialOver(t, client, server, { startsWith: HEADER })
  assert.equal(await echo(connection, 'hello'), 'hello')
})

for (const [what, answer] of [
  ['that refuses the encryption', Buffer.concat([HEADER, Buffer.from('\x03na\n')])],
  ['that is no libp2p peer', Buffer.from('220 mail.example ESMTP\r\n')],
] as const) {
  test(`a dial to a peer ${what} fails at once and says so`, async () => {
    await using client = await startNode('eager')
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.once('data', () => socket.write(answer))
    })
    await using _ = { [Symbol.asyncDispose]: async () => void server.close() }
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = multiaddr(`/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`)
    await assert.rejects(client.libp2p.dial(address), /did not agree to \/noise/)
  })
}

test('a peer that does not speak the protocol aborts an eager stream, and rejects another', async (t) => {
  await using server = await startNode('stock')
  await using client = await startNode('eager')
  const connection = await dialOver(t, client, server)
  const unsupported = { name: 'UnsupportedProtocolError' }
  await assert.rejects(connection.newStream('/unknown/1.0.0'), unsupported)

  const stream = await connection.newStream('/unknown/1.0.0', { eager: true })
  assert.equal(stream.protocol, '/unknown/1.0.0')
  stream.send(Buffer.from('is anybody there?'))
  await assert.rejects(byteStream(stream).read({ bytes: 1 }), unsupported)
  assert.equal(await echo(connection, 'still fine'), 'still fine')
})

test('fifty eager streams at once each get their own answer', async (t) => {
  await using server = await startNode('stock')
  await using client = await startNode('eager')
  const connection = await dialOver(t, client, server)
  // A stock server cuts connections on which more than ten streams come with the end of the handshake.
  await echo(connection, 'are you ready?')
  const texts = Array.from({ length: 50 }, (_, i) => `stream ${i}`)
  assert.deepEqual(await Promise.all(texts.map((text) => echo(connection, text))), texts)
})
