import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import type { Listener } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { portOf, startNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

const ANY4 = '/ip4/127.0.0.1/tcp/0'

/** A listener that nobody manages, so that its errors arrive as they are. */
const bareListener = (node: TestNode): Listener =>
  node.transport.createListener({ upgrader: node.upgrader })

async function strangerOn(options: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer().listen(options)
  await once(server, 'listening')
  return server
}

function isPortInUse(port: number) {
  return (err: unknown): boolean => {
    assert.ok(err instanceof WarrenError)
    assert.equal(err.code, 'ERR_PORT_IN_USE')
    assert.match(err.message, new RegExp(`TCP port ${port} is in use`))
    assert.match(err.remedy ?? '', /--listen/)
    assert.match(err.remedy ?? '', /ss -ltnp/)
    return true
  }
}

describe('a listener of the tcp-reuse transport', () => {
  it('tells the port that it was given for port 0', async () => {
    await using node = await startNode([ANY4])
    const [at] = node.transport.listening()
    assert.deepEqual({ ...at, port: 0 }, { family: 4, host: '127.0.0.1', port: 0 })
    assert.ok(portOf(node) > 0)
    assert.equal(node.transport.portReuse.ok, true)
  })

  for (const reusePort of [false, true]) {
    it(`refuses a port that a stranger holds ${reusePort ? 'and is willing to share' : 'alone'}`, async () => {
      const stranger = await strangerOn({ host: '127.0.0.1', port: 0, reusePort })
      const { port } = stranger.address() as AddressInfo
      await using node = await startNode([])
      for (const host of ['127.0.0.1', '0.0.0.0']) {
        const listen = bareListener(node).listen(multiaddr(`/ip4/${host}/tcp/${port}`))
        await assert.rejects(listen, isPortInUse(port))
      }
      assert.deepEqual(node.transport.listening(), [])
      assert.equal(node.transport.listenErrors().length, 2)
      stranger.close()
    })
  }

  it('refuses a port that another node of the same user holds', async () => {
    await using first = await startNode([ANY4])
    const port = portOf(first)
    await assert.rejects(
      startNode([`/ip4/127.0.0.1/tcp/${port}`]),
      new RegExp(`TCP port ${port} is in use`),
    )
  })

  it('says why another address cannot be listened on', async () => {
    await using node = await startNode([])
    const listen = bareListener(node).listen(multiaddr('/ip4/203.0.113.77/tcp/4001'))
    await assert.rejects(listen, (err: unknown) => {
      assert.ok(err instanceof WarrenError)
      assert.equal(err.code, 'ERR_LISTEN_FAILED')
      assert.match(err.remedy ?? '', /address of this machine/)
      return true
    })
  })

  it('holds one port number on the IPv4 and the IPv6 wildcard', async () => {
    await using node = await startNode(['/ip4/0.0.0.0/tcp/0'])
    const port = portOf(node)
    await node.transports.listen([multiaddr(`/ip6/::/tcp/${port}`)])
    assert.deepEqual(node.transport.listening(), [
      { family: 4, host: '0.0.0.0', port },
      { family: 6, host: '::', port },
    ])
  })

  it('frees its port when it closes, connections dialled from it notwithstanding', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const port = portOf(a)
    await a.dial(`/ip4/127.0.0.1/tcp/${portOf(b)}`)
    await Promise.all(a.transports.getListeners().map((listener) => listener.close()))
    assert.deepEqual(a.transport.listening(), [])
    await using successor = await startNode([`/ip4/127.0.0.1/tcp/${port}`])
    assert.equal(portOf(successor), port)
  })

  it('can be opened again by the node that stopped', async () => {
    await using node = await startNode([ANY4])
    await node.libp2p.stop()
    assert.deepEqual(node.transport.listening(), [])
    await node.libp2p.start()
    assert.equal(node.transport.listening().length, 1)
  })
})
