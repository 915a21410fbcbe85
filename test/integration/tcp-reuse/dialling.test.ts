import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import { describe, it } from 'node:test'
import type { Connection, IdentifyResult } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { echo, nextConnection, portOf, startNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

const ANY4 = '/ip4/127.0.0.1/tcp/0'
const ANY6 = '/ip6/::1/tcp/0'

const remotePort = (connection: Connection): string | undefined =>
  connection.remoteAddr.getComponents().find(({ name }) => name === 'tcp')?.value

const codeOf = (code: string) => (err: unknown) => (err as { code?: string }).code === code

describe('a dial of the tcp-reuse transport', () => {
  for (const [family, listen] of [
    ['IPv4', ANY4],
    ['IPv6', ANY6],
  ] as const) {
    it(`leaves from the listening port over ${family}`, async () => {
      await using a = await startNode([listen])
      await using b = await startNode([listen])
      const seen = nextConnection(b)
      const host = family === 'IPv4' ? '127.0.0.1' : '::1'
      const connection = await a.dial(listen.replace(/0$/, String(portOf(b))))
      assert.equal(remotePort(await seen), String(portOf(a)))
      assert.deepEqual(a.transport.facts(connection), {
        dialled: true,
        fromListenPort: true,
        localHost: host,
        localPort: portOf(a),
        remotePort: portOf(b),
      })
      assert.deepEqual(b.transport.facts(await seen), {
        dialled: false,
        fromListenPort: true,
        localHost: host,
        localPort: portOf(b),
        remotePort: portOf(a),
      })
      assert.equal(await echo(connection), 'warren')
      assert.equal(await echo(await seen), 'warren')
    })
  }

  it('leaves from a wildcard listener of the family it needs', async () => {
    await using a = await startNode(['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'])
    await using b = await startNode([ANY4, ANY6])
    for (const { family, host, port } of b.transport.listening()) {
      const connection = await a.dial(`/ip${family}/${host}/tcp/${port}`)
      const own = a.transport.listening().find((at) => at.family === family)
      assert.equal(a.transport.facts(connection)?.localPort, own?.port)
      assert.equal(a.transport.facts(connection)?.localHost, host)
    }
  })

  it('leaves from a listener on a single address where the system would send from that', async (t) => {
    const own = Object.values(os.networkInterfaces())
      .flat()
      .find((at) => at?.family === 'IPv4' && !at.internal)
    if (own === undefined) return t.skip('this machine has no IPv4 address but loopback')
    await using a = await startNode([ANY4, `/ip4/${own.address}/tcp/0`])
    await using b = await startNode(['/ip4/0.0.0.0/tcp/0'])
    const [onLoopback, onAddress] = a.transport.listening()
    const far = await a.dial(`/ip4/${own.address}/tcp/${portOf(b)}`)
    assert.equal(a.transport.facts(far)?.localPort, onAddress?.port)
    const near = await a.dial(`/ip4/127.0.0.1/tcp/${portOf(b)}`)
    assert.equal(a.transport.facts(near)?.localPort, onLoopback?.port)
  })

  it('goes through libp2p.dial just the same', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const connection = await a.libp2p.dial(b.libp2p.getMultiaddrs())
    assert.equal(a.transport.facts(connection)?.fromListenPort, true)
  })

  it('has its facts known when connection:open and peer:identify fire', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const atOpen = once(a.libp2p, 'connection:open').then(([event]) =>
      a.transport.facts((event as CustomEvent<Connection>).detail),
    )
    const identified = once(a.libp2p, 'peer:identify').then(([event]) => {
      const { connection, observedAddr } = (event as CustomEvent<IdentifyResult>).detail
      return { facts: a.transport.facts(connection), observedAddr }
    })
    await a.dial(`/ip4/127.0.0.1/tcp/${portOf(b)}`)
    assert.equal((await atOpen)?.fromListenPort, true)
    const { facts, observedAddr } = await identified
    assert.equal(facts?.fromListenPort, true)
    assert.match(String(observedAddr), new RegExp(`^/ip4/127.0.0.1/tcp/${portOf(a)}(/|$)`))
  })

  it('falls back to another port for a second connection to the same place, and says so', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const to = `/ip4/127.0.0.1/tcp/${portOf(b)}`
    await a.dial(to)
    const second = await a.dial(to)
    const facts = a.transport.facts(second)
    assert.equal(facts?.fromListenPort, false)
    assert.notEqual(facts?.localPort, portOf(a))
    assert.equal(await echo(second), 'warren')
  })

  it('reaches the same place again while the closed connection lingers in TIME_WAIT', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const to = `/ip4/127.0.0.1/tcp/${portOf(b)}`
    await (await a.dial(to)).close()
    assert.equal(await echo(await a.dial(to)), 'warren')
  })

  it('rejects rather than fall back when told so', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const to = `/ip4/127.0.0.1/tcp/${portOf(b)}`
    await a.dial(to)
    await assert.rejects(a.dial(to, { fallback: false }), codeOf('EADDRNOTAVAIL'))
  })

  it('leaves from an ephemeral port when asked to', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const seen = nextConnection(b)
    const connection = await a.dial(`/ip4/127.0.0.1/tcp/${portOf(b)}`, { fromListenPort: false })
    const facts = a.transport.facts(connection)
    assert.equal(facts?.fromListenPort, false)
    assert.equal(remotePort(await seen), String(facts?.localPort))
    assert.notEqual(facts?.localPort, portOf(a))
  })

  it('works without any listener, but not when it must keep the listening port', async () => {
    await using a = await startNode([])
    await using b = await startNode([ANY4])
    const to = `/ip4/127.0.0.1/tcp/${portOf(b)}`
    await assert.rejects(a.dial(to, { fallback: false }), codeOf('ERR_NO_DIRECT_PATH'))
    const connection = await a.dial(to)
    assert.equal(a.transport.facts(connection)?.fromListenPort, false)
    assert.equal(await echo(connection), 'warren')
  })

  it('waits for a listener that is still starting', async () => {
    await using a = await startNode([])
    await using b = await startNode([ANY4])
    const listening = a.transports.listen([multiaddr(ANY4)])
    const connection = await a.dial(`/ip4/127.0.0.1/tcp/${portOf(b)}`)
    await listening
    assert.deepEqual(a.transport.facts(connection)?.localPort, portOf(a))
    assert.equal(a.transport.facts(connection)?.fromListenPort, true)
  })

  // What /dns6 does is tested in isolated.test.ts: not every machine has an IPv6 address for localhost.
  for (const kind of ['dns4', 'dns']) {
    it(`to a /${kind} address leaves from the listening port and names what is behind it`, async () => {
      await using a = await startNode([ANY4, ANY6])
      await using b = await listenOnBoth()
      const connection = await a.dial(`/${kind}/localhost/tcp/${portOf(b)}`)
      const facts = a.transport.facts(connection)
      assert.equal(facts?.fromListenPort, true)
      assert.ok(a.transport.listening().some(({ port }) => port === facts.localPort))
      assert.match(connection.remoteAddr.toString(), /^\/(ip4\/127\.0\.0\.1|ip6\/::1)\/tcp\//)
    })
  }

  it('to a name that nobody has fails', async () => {
    await using a = await startNode([ANY4])
    await assert.rejects(a.dial('/dns4/nobody.invalid/tcp/1'), /ENOTFOUND|EAI_AGAIN/)
  })

  it('to an IPv4-mapped IPv6 address leaves from the IPv4 port', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const connection = await a.dial(`/ip6/::ffff:127.0.0.1/tcp/${portOf(b)}`)
    assert.equal(a.transport.facts(connection)?.localPort, portOf(a))
  })

  it('to a link-local address fails without harm when there is no such interface', async () => {
    await using a = await startNode(['/ip6/::/tcp/0'])
    // Most kernels refuse at once, some send a SYN to nowhere.
    for (const zone of ['', '/ip6zone/warren-none']) {
      const dial = a.dial(`${zone}/ip6/fe80::1/tcp/9`, {}, AbortSignal.timeout(500))
      await assert.rejects(dial)
    }
  })

  it('ends when its signal aborts', async () => {
    await using a = await startNode([ANY4])
    // Accepts and says nothing, so that the dial hangs in the handshake.
    const silent = net.createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const controller = new AbortController()
    const accepted = once(silent, 'connection')
    const dial = a.dial(
      `/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}`,
      {},
      controller.signal,
    )
    const [socket] = (await accepted) as [net.Socket]
    const closed = once(socket.on('error', () => {}).resume(), 'close')
    controller.abort()
    await assert.rejects(dial)
    await closed
    silent.close()
  })

  it('leaves a connection that no socket timeout cuts for being silent', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const accepted = nextConnection(b)
    const dialled = await a.dial(`/ip4/127.0.0.1/tcp/${portOf(b)}`)
    for (const connection of [dialled, await accepted]) {
      // Not public, but the alternative is a test that is silent for two minutes.
      const { maConn } = connection as unknown as { maConn: { socket: net.Socket } }
      assert.equal(maConn.socket.timeout, 0)
    }
  })

  it('leaves a connection that outlives its signal', async () => {
    await using a = await startNode([ANY4])
    await using b = await startNode([ANY4])
    const controller = new AbortController()
    const connection = await a.dial(`/ip4/127.0.0.1/tcp/${portOf(b)}`, {}, controller.signal)
    controller.abort()
    assert.equal(await echo(connection), 'warren')
    assert.equal(connection.status, 'open')
  })
})

/** A node on 127.0.0.1 and ::1 with one port number, whichever of the two `localhost` means. */
async function listenOnBoth(): Promise<TestNode> {
  const node = await startNode([ANY4])
  await node.transports.listen([multiaddr(`/ip6/::1/tcp/${portOf(node)}`)])
  return node
}
