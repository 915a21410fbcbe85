import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { echo, portOf, startNode } from './nodes.ts'

const ANY = '/ip4/127.0.0.1/tcp/0'
const WITHOUT = { socketApi: undefined }

describe('the tcp-reuse transport on a Node.js without net.BoundSocket', () => {
  it('says that hole punching is off, why, and what helps', async () => {
    await using node = await startNode([ANY], WITHOUT)
    assert.equal(node.transport.portReuse.ok, false)
    assert.match(
      node.transport.portReuse.reason ?? '',
      /^Hole punching is off: .*use Node\.js 24\.21.*\.$/,
    )
  })

  it('connects as stock TCP does, names included', async () => {
    await using a = await startNode([ANY], WITHOUT)
    await using b = await startNode([ANY], WITHOUT)
    for (const host of ['/ip4/127.0.0.1', '/dns4/localhost']) {
      const connection = await a.dial(`${host}/tcp/${portOf(b)}`)
      const facts = a.transport.facts(connection)
      assert.equal(facts?.dialled, true)
      assert.equal(facts?.fromListenPort, false)
      assert.equal(facts?.remotePort, portOf(b))
      assert.notEqual(facts?.localPort, portOf(a))
      assert.equal(await echo(connection), 'warren')
    }
  })

  it('rejects a dial that must keep the listening port', async () => {
    await using a = await startNode([ANY], WITHOUT)
    await assert.rejects(
      a.dial('/ip4/127.0.0.1/tcp/9', { fallback: false }),
      (err: unknown) => err instanceof WarrenError && err.code === 'ERR_NO_DIRECT_PATH',
    )
  })

  it('still names a port that is in use', async () => {
    const stranger = net.createServer().listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const { port } = stranger.address() as AddressInfo
    await using node = await startNode([], WITHOUT)
    const listener = node.transport.createListener({ upgrader: node.upgrader })
    await assert.rejects(
      listener.listen(multiaddr(`/ip4/127.0.0.1/tcp/${port}`)),
      (err: unknown) => err instanceof WarrenError && err.code === 'ERR_PORT_IN_USE',
    )
    stranger.close()
  })
})
