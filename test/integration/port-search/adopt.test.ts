import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { knock } from '../../../src/net/port-search/index.ts'
import { echo, nextConnection, portOf, startNode } from '../tcp-reuse/nodes.ts'
import type { TestNode } from '../tcp-reuse/nodes.ts'

const HOST = '127.0.0.1'
const ANY = `/ip4/${HOST}/tcp/0`
const PATIENCE_MS = 10_000

const addressOf = (node: TestNode, peer = node) =>
  multiaddr(`/ip4/${HOST}/tcp/${portOf(node)}/p2p/${peer.libp2p.peerId.toString()}`)

async function connected(node: TestNode): Promise<net.Socket> {
  const { socket } = await knock({
    host: HOST,
    port: portOf(node),
    sockets: 1,
    perSecond: 100,
    patienceMs: PATIENCE_MS,
    refusedPauseMs: 0,
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  assert.ok(socket !== undefined)
  return socket
}

const within = (ms = PATIENCE_MS) => AbortSignal.timeout(ms)

describe('a connected socket that the transport adopts', () => {
  for (const initiator of [true, false]) {
    it(`becomes a connection in which we are the ${initiator ? 'client' : 'server'}`, async () => {
      await using a = await startNode([ANY])
      await using b = await startNode([ANY])
      using _search = initiator
        ? undefined
        : b.transport.expectPunch({ host: HOST, role: 'client', uses: 12 })
      const accepted = nextConnection(b)
      const socket = await connected(b)
      const ours = await a.transport.adopt(socket, addressOf(b), { signal: within(), initiator })
      const theirs = await accepted
      assert.deepEqual(
        [ours.direction, theirs.direction],
        initiator ? ['outbound', 'inbound'] : ['inbound', 'outbound'],
      )
      const { dialled, fromListenPort, localPort } = a.transport.facts(ours) ?? {}
      assert.deepEqual([dialled, fromListenPort, localPort], [true, false, socket.localPort])
      assert.equal(await echo(ours), 'warren')
      assert.equal(await echo(theirs), 'warren')
      const closed = once(socket, 'close')
      await ours.close()
      await closed
      assert.equal(a.libp2p.getConnections().length, 0)
    })
  }

  it('is closed when somebody else than the expected peer is at its other end', async () => {
    await using a = await startNode([ANY])
    await using b = await startNode([ANY])
    const socket = await connected(b)
    const options = { signal: within(), initiator: true }
    await assert.rejects(a.transport.adopt(socket, addressOf(b, a), options))
    assert.ok(socket.destroyed)
  })

  it('is closed when its time is up', async () => {
    await using a = await startNode([ANY])
    const silent = net.createServer((socket) => socket.on('error', () => {}).resume())
    silent.listen(0, HOST)
    await once(silent, 'listening')
    const { port } = silent.address() as net.AddressInfo
    const socket = net.connect({ host: HOST, port })
    await once(socket, 'connect')
    const peer = multiaddr(`/ip4/${HOST}/tcp/${port}/p2p/${a.libp2p.peerId.toString()}`)
    await assert.rejects(a.transport.adopt(socket, peer, { signal: within(50), initiator: true }))
    assert.ok(socket.destroyed)
    silent.close()
  })

  it('must be connected', async () => {
    await using a = await startNode([ANY])
    await using b = await startNode([ANY])
    const socket = await connected(b)
    socket.destroy()
    await assert.rejects(
      a.transport.adopt(socket, addressOf(b), { signal: within(), initiator: true }),
      { code: 'ERR_PEER_UNREACHABLE' },
    )
  })
})
