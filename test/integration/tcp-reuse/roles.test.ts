import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { echo, nextConnection, portOf, startNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

const HOST = '127.0.0.1'
const ANY = `/ip4/${HOST}/tcp/0`
const addressOf = (node: TestNode): string => `/ip4/${HOST}/tcp/${portOf(node)}`

describe('the role on a connection', () => {
  it('is server for the one who dials with initiator: false, client for the one who expects it', async () => {
    await using client = await startNode([ANY])
    await using server = await startNode([ANY])
    using _punch = client.transport.expectPunch({
      host: HOST,
      port: portOf(server),
      role: 'client',
    })
    const accepted = nextConnection(client)
    const dialled = await server.dial(addressOf(client), { initiator: false, fallback: false })
    assert.equal(dialled.direction, 'inbound')
    assert.equal(server.transport.facts(dialled)?.dialled, true)
    assert.equal((await accepted).direction, 'outbound')
    assert.equal(client.transport.facts(await accepted)?.dialled, false)
    assert.ok(dialled.remotePeer.equals(client.libp2p.peerId))
    assert.equal(await echo(dialled), 'warren')
    assert.equal(await echo(await accepted), 'warren')
  })

  it('cannot be server on both sides', async () => {
    await using a = await startNode([ANY])
    await using b = await startNode([ANY])
    await assert.rejects(b.dial(addressOf(a), { initiator: false }, AbortSignal.timeout(500)))
  })

  it('is turned for the expected port only, for any port when none is named, and not after the punch', async () => {
    await using a = await startNode([ANY])
    await using b = await startNode([ANY])
    const dialBoth = async (): Promise<string> => {
      const seen = nextConnection(a)
      const connection = await b.dial(addressOf(a), { fromListenPort: false })
      const { direction } = await seen
      await connection.close()
      return direction
    }
    {
      using _other = a.transport.expectPunch({ host: HOST, port: portOf(b) + 1, role: 'client' })
      assert.equal(await dialBoth(), 'inbound')
    }
    {
      using _any = a.transport.expectPunch({ host: `::ffff:${HOST}`, role: 'client' })
      const seen = nextConnection(a)
      const served = await b.dial(addressOf(a), { initiator: false, fromListenPort: false })
      assert.equal((await seen).direction, 'outbound')
      await served.close()
    }
    assert.equal(await dialBoth(), 'inbound')
  })

  for (const first of ['client', 'server'] as const) {
    it(`is agreed when both dial at once and the ${first} is quicker`, async () => {
      await using client = await startNode([ANY])
      await using server = await startNode([ANY])
      using _punch = client.transport.expectPunch({
        host: HOST,
        port: portOf(server),
        role: 'client',
      })
      const opened = Promise.all([nextConnection(client), nextConnection(server)])
      const dials = [
        () => client.dial(addressOf(server), { initiator: true, fallback: false }),
        () => server.dial(addressOf(client), { initiator: false, fallback: false }),
      ]
      if (first === 'server') dials.reverse()
      const outcomes = await Promise.allSettled(dials.map((dial) => dial()))
      // Loopback delivers the first SYN before the second is sent, so the second dial finds the connection made.
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
      const [ofClient, ofServer] = await opened
      assert.equal(ofClient.direction, 'outbound')
      assert.equal(ofServer.direction, 'inbound')
      assert.equal(client.transport.facts(ofClient)?.localPort, portOf(client))
      assert.equal(server.transport.facts(ofServer)?.localPort, portOf(server))
      assert.equal(await echo(ofClient), 'warren')
      assert.equal(await echo(ofServer), 'warren')
      await setImmediate()
      assert.equal(client.libp2p.getConnections().length, 1)
      assert.equal(server.libp2p.getConnections().length, 1)
    })
  }
})
