import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { knock, probe } from '../../../src/net/port-search/index.ts'
import { bindShared, nativeSocketApi } from '../../../src/net/tcp-reuse/bound-socket.ts'
import { runIsolated, SKIP } from '../../support/namespace.ts'

const HOST = '127.0.0.1'
const PATIENCE_MS = 10_000

const never = () => new AbortController().signal

async function listen(): Promise<{ server: net.Server; port: number; sockets: net.Socket[] }> {
  const sockets: net.Socket[] = []
  const server = net.createServer((socket) => sockets.push(socket.on('error', () => {})))
  server.listen(0, HOST)
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port, sockets }
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const { server, port } = await listen()
  server.close()
  await once(server, 'close')
  return port
}

describe('two sides behind port-restricted filters', { skip: SKIP }, () => {
  it('meet in a simultaneous open, whoever begins, and make a libp2p connection of it', async () => {
    const met = {
      directions: ['outbound', 'inbound'],
      fromListenPort: [false, true],
      echoes: ['warren', 'warren'],
    }
    assert.deepEqual(await runIsolated(new URL('search.child.ts', import.meta.url)), [
      { first: 'prober', ...met },
      { first: 'opener', ...met },
    ])
  })
})

describe('knocking', () => {
  const rates = { perSecond: 2_000, patienceMs: PATIENCE_MS, refusedPauseMs: 0 }

  it('keeps the first socket that connects and closes every other', async () => {
    const { server, port, sockets } = await listen()
    const { socket, opened } = await knock({
      host: HOST,
      port,
      sockets: 40,
      ...rates,
      signal: never(),
    })
    assert.ok(socket !== undefined)
    assert.ok(opened <= 80)
    const others = sockets.filter(({ remotePort }) => remotePort !== socket.localPort)
    await Promise.all(
      others.filter(({ closed }) => !closed).map((other) => once(other.resume(), 'close')),
    )
    socket.write('still there')
    const winner = sockets.find(({ remotePort }) => remotePort === socket.localPort)
    const [heard] = (await once(winner as net.Socket, 'data')) as [Buffer]
    assert.equal(heard.toString(), 'still there')
    socket.destroy()
    server.close()
  })

  it('replaces refused sockets by as many again, and gives up at once when these are refused, too', async () => {
    const began = performance.now()
    const port = await closedPort()
    const result = await knock({ host: HOST, port, sockets: 20, ...rates, signal: never() })
    assert.deepEqual(result, { socket: undefined, opened: 40 })
    assert.ok(performance.now() - began < PATIENCE_MS)
  })

  it('pauses once after a refusal, until the door it knocks at has opened', async () => {
    const { server, port } = await listen()
    server.close()
    await once(server, 'close')
    const refusedPauseMs = 300
    const options = { host: HOST, port, sockets: 200, ...rates, refusedPauseMs, signal: never() }
    const began = performance.now()
    const knocking = knock(options)
    const opens = net.createServer((socket) => socket.on('error', () => {}).resume())
    setTimeout(() => opens.listen(port, HOST), refusedPauseMs / 2)
    const { socket, opened } = await knocking
    assert.ok(socket !== undefined)
    assert.ok(performance.now() - began >= refusedPauseMs)
    assert.ok(opened < 400)
    socket.destroy()
    opens.close()
  })

  it('ends when told to, without an error', async () => {
    const port = await closedPort()
    const over = new AbortController()
    const patient = { ...rates, refusedPauseMs: PATIENCE_MS }
    const knocking = knock({ host: HOST, port, sockets: 256, ...patient, signal: over.signal })
    over.abort()
    const { socket, opened } = await knocking
    assert.equal(socket, undefined)
    assert.ok(opened < 256)
  })
})

describe('probing', () => {
  const rates = { perSecond: 2_000, inFlight: 64 }

  it('sends one SYN to each port from the listening port, and hands over what connects', async () => {
    const api = nativeSocketApi()
    assert.ok(api !== undefined)
    const own = net.createServer()
    own.listen(bindShared(api, { family: 4, host: HOST, port: 0 }))
    await once(own, 'listening')
    const { port: from } = own.address() as AddressInfo
    const { server, port, sockets } = await listen()
    const closed = await closedPort()
    const over = new AbortController()
    const met = Promise.withResolvers<net.Socket>()
    const probing = probe({
      host: HOST,
      ports: [closed, port],
      from: { family: 4, host: HOST, port: from },
      ...rates,
      signal: over.signal,
      onConnect: met.resolve,
    })
    const socket = await met.promise
    assert.deepEqual(await probing, { sent: 2 })
    assert.equal(socket.localPort, from)
    assert.equal(socket.remotePort, port)
    if (sockets.length === 0) await once(server, 'connection')
    assert.equal(sockets[0]?.remotePort, from)
    socket.destroy()
    own.close()
    server.close()
  })

  it('sends no more once it is told to end', async () => {
    const over = new AbortController()
    const port = await closedPort()
    const probing = probe({
      host: HOST,
      ports: endOnSecond([port, port, port, port], over),
      from: { family: 4, host: HOST, port: await closedPort() },
      ...rates,
      signal: over.signal,
      onConnect: () => assert.fail('nobody listens'),
    })
    assert.deepEqual(await probing, { sent: 1 })
  })

  it('needs a port of the same IP version', async () => {
    const options = { ports: [1], from: { family: 4, host: HOST, port: 1 }, ...rates } as const
    await assert.rejects(probe({ host: '::1', ...options, signal: never(), onConnect: () => {} }), {
      code: 'ERR_NO_DIRECT_PATH',
    })
  })
})

function* endOnSecond<T>(items: T[], over: AbortController): Generator<T> {
  for (const [i, item] of items.entries()) {
    if (i === 1) over.abort()
    yield item
  }
}
