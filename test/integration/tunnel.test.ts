import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createWebServer } from 'node:http'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { text } from 'node:stream/consumers'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { createTunnels, type ServiceRefused, type Tunnels } from '../../src/drivers/tunnel.ts'
import type { ForwardInfo, NodeEvent, ServiceInfo } from '../../src/types.ts'
import { loopbackPeer } from '../support/loopback.ts'

const silent = { debug() {}, info() {}, warn() {} }

interface Party extends AsyncDisposable {
  node: Libp2p
  id: string
  tunnels: Tunnels
  refusals: ServiceRefused[]
}

/** A peer with tunnels; `settings.gate` holds its opening of streams back until it resolves. */
async function party(
  libp2p: Parameters<typeof loopbackPeer>[0] = {},
  settings: { gate?: Promise<void> } = {},
): Promise<Party> {
  const node = await loopbackPeer(libp2p)
  const refusals: ServiceRefused[] = []
  const tunnels = createTunnels({
    handle: (protocol, handler, options) => node.handle(protocol, handler, options),
    unhandle: (protocol) => node.unhandle(protocol),
    async open(peer, protocol, { signal }) {
      await settings.gate
      return node.dialProtocol(peerIdFromString(peer), protocol, {
        signal,
        runOnLimitedConnection: true,
      })
    },
    publish: (event) => void refusals.push(event),
    logger: silent,
  })
  return {
    node,
    id: node.peerId.toString(),
    tunnels,
    refusals,
    async [Symbol.asyncDispose]() {
      await tunnels.stop({ drainMs: 0 })
      await node.stop()
    },
  }
}

/** Two parties, the first of which knows where the second is. */
async function couple(): Promise<{ near: Party; far: Party } & AsyncDisposable> {
  const [near, far] = await Promise.all([party(), party()])
  await near.node.peerStore.patch(far.node.peerId, { multiaddrs: far.node.getMultiaddrs() })
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      await Promise.all([near[Symbol.asyncDispose](), far[Symbol.asyncDispose]()])
    },
  }
}

interface Service extends AsyncDisposable {
  target: string
}

async function service(onConnection: (socket: Socket) => unknown): Promise<Service> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => undefined))
    onConnection(socket)
  })
  return { target: await listening(server), [Symbol.asyncDispose]: () => closed(server, sockets) }
}

async function listening(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function closed(server: Server, sockets: Set<Socket>): Promise<void> {
  server.close()
  for (const socket of sockets) socket.destroy()
}

function client(listen: string): Socket {
  const [host, port] = listen.split(':')
  return connect({ host: host as string, port: Number(port), allowHalfOpen: true })
}

test('its services, forwards and events are those of the public API', async () => {
  await using far = await party()
  far.tunnels.expose({ name: 'web', target: '127.0.0.1:1', allow: 'all' })
  const services: ServiceInfo[] = far.tunnels.services()
  const forward: ForwardInfo = await far.tunnels.forward({
    listen: '0',
    peer: far.id,
    service: 'web',
  })
  const event: Omit<Extract<NodeEvent, { type: 'service:refused' }>, 'at'>[] = far.refusals
  assert.deepEqual([services.length, forward.open, event.length], [1, 0, 0])
})

test('an HTTP request reaches a web server behind the other peer', async () => {
  await using peers = await couple()
  const { near, far } = peers
  const web = createWebServer((request, response) => response.end(`hello from ${request.url}`))
  far.tunnels.expose({ name: 'web', target: await listening(web), allow: [near.id] })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'web' })
  assert.match(listen, /^127\.0\.0\.1:\d+$/)
  const answer = await fetch(`http://${listen}/path`, { headers: { connection: 'close' } })
  assert.equal(await answer.text(), 'hello from /path')
  const [state] = near.tunnels.forwards()
  assert.ok(state !== undefined && state.bytesIn > 0 && state.bytesOut > 0)
  web.closeAllConnections()
  web.close()
})

test('64 MiB arrive intact at a client that reads slowly at times', async () => {
  await using peers = await couple()
  const { near, far } = peers
  const block = randomBytes(1024 * 1024)
  const sent = createHash('sha256')
  await using source = await service(async (socket) => {
    for (let i = 0; i < 64; i++) {
      sent.update(block)
      if (!socket.write(block)) await once(socket, 'drain')
    }
    socket.end()
  })
  far.tunnels.expose({ name: 'blob', target: source.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'blob' })
  const received = createHash('sha256')
  let bytes = 0
  const started = performance.now()
  const socket = client(listen).end()
  for await (const chunk of socket) {
    received.update(chunk)
    bytes += chunk.length
  }
  const seconds = (performance.now() - started) / 1000
  assert.equal(bytes, 64 * 1024 * 1024)
  assert.equal(received.digest('hex'), sent.digest('hex'))
  console.log(
    `# ${Math.round(bytes / 1e6 / seconds)} MB/s through a tunnel on loopback, both ends in one process`,
  )
})

test('a direction that ends leaves the other open', async () => {
  await using peers = await couple()
  const { near, far } = peers
  await using upper = await service((socket) => {
    let all = ''
    socket.on('data', (chunk) => (all += chunk))
    socket.on('end', () => socket.end(all.toUpperCase()))
  })
  far.tunnels.expose({ name: 'upper', target: upper.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'upper' })
  assert.equal(await text(client(listen).end('shout')), 'SHOUT')
})

test('a service that greets and leaves at once is heard in full', async () => {
  await using peers = await couple()
  const { near, far } = peers
  await using greeter = await service((socket) => socket.end('2026-01-01\r\n'))
  far.tunnels.expose({ name: 'daytime', target: greeter.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'daytime' })
  for (let i = 0; i < 20; i++) assert.equal(await text(client(listen).end()), '2026-01-01\r\n')
})

test('a reset of the service is a reset for the client, not an end', async () => {
  await using peers = await couple()
  const { near, far } = peers
  await using rude = await service((socket) => socket.write('some', () => socket.resetAndDestroy()))
  far.tunnels.expose({ name: 'rude', target: rude.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'rude' })
  await assert.rejects(text(client(listen)), { code: 'ECONNRESET' })
})

test('whoever is not allowed, asks for nothing or finds it down is told so', async () => {
  await using peers = await couple()
  const { near, far } = peers
  far.tunnels.expose({ name: 'private', target: '127.0.0.1:1', allow: [far.id] })
  far.tunnels.expose({ name: 'down', target: '127.0.0.1:1', allow: 'all' })
  for (const [name, reason] of [
    ['private', /^denied: service "private" is not shared with you$/],
    ['nothing', /^unknown: no service is called "nothing" here$/],
    ['down', /^unavailable: service "down" does not answer/],
  ] as const) {
    const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: name })
    await assert.rejects(text(client(listen)), { code: 'ECONNRESET' })
    const refused = near.refusals.at(-1)
    assert.deepEqual([refused?.service, refused?.peer], [name, far.id])
    assert.match(refused?.reason ?? '', reason)
  }
})

test('a client may come before the peer is reached', async () => {
  const gate = Promise.withResolvers<void>()
  await using far = await party()
  await using near = await party({}, { gate: gate.promise })
  await near.node.peerStore.patch(far.node.peerId, { multiaddrs: far.node.getMultiaddrs() })
  await using echo = await service((socket) => socket.pipe(socket))
  far.tunnels.expose({ name: 'echo', target: echo.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'echo' })
  const socket = client(listen)
  await once(socket, 'connect')
  const answer = text(socket.end('early'))
  gate.resolve()
  assert.equal(await answer, 'early')
})

test('a service is taken back while it is used', async () => {
  await using peers = await couple()
  const { near, far } = peers
  await using echo = await service((socket) => socket.pipe(socket))
  far.tunnels.expose({ name: 'echo', target: echo.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'echo' })
  const socket = client(listen)
  socket.write('x')
  await once(socket, 'data')
  assert.equal(far.tunnels.unexpose('echo'), true)
  await assert.rejects(text(socket), { code: 'ECONNRESET' })
  assert.equal(far.tunnels.unexpose('echo'), false)
  assert.deepEqual(far.tunnels.services(), [])
})

test('names, ports and peers that cannot work are refused with the remedy', async () => {
  await using near = await party()
  const { tunnels, id } = near
  await using busy = await service(() => undefined)
  const web = { name: 'web', target: '127.0.0.1:80', allow: 'all' as const }
  tunnels.expose(web)
  assert.throws(() => tunnels.expose(web), { code: 'ERR_NAME_TAKEN', remedy: /--remove web/ })
  assert.throws(() => tunnels.expose({ ...web, name: 'A/b' }), { code: 'ERR_CONFIG_INVALID' })
  assert.throws(() => tunnels.expose({ ...web, name: 'x', target: 'nowhere' }), {
    code: 'ERR_ADDRESS_INVALID',
  })
  const forward = (listen: string, peer = id) => tunnels.forward({ listen, peer, service: 'web' })
  await assert.rejects(forward(busy.target), { code: 'ERR_PORT_IN_USE', remedy: /ss -ltnp/ })
  await assert.rejects(forward('192.0.2.77:0'), { code: 'ERR_LISTEN_FAILED' })
  await assert.rejects(forward('0', 'nobody'), { code: 'ERR_PEER_INVALID' })
  const { listen } = await forward('0')
  await assert.rejects(forward(listen), { code: 'ERR_NAME_TAKEN' })
  assert.equal(await tunnels.unforward(listen), true)
  assert.equal(await tunnels.unforward(listen), false)
  await forward(listen)
})

test('stopping lets a transfer end, and resets what lasts longer', async () => {
  await using peers = await couple()
  const { near, far } = peers
  const release = Promise.withResolvers<void>()
  await using slow = await service(async (socket) => {
    socket.write('first ')
    await release.promise
    socket.end('last')
  })
  far.tunnels.expose({ name: 'slow', target: slow.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'slow' })
  const socket = client(listen).end()
  await once(socket, 'readable')
  const stopping = near.tunnels.stop({ drainMs: 10_000 })
  release.resolve()
  assert.equal(await text(socket), 'first last')
  await stopping
  await assert.rejects(once(client(listen), 'connect'), { code: 'ECONNREFUSED' })
})

test('stopping without time to drain resets at once', async () => {
  await using peers = await couple()
  const { near, far } = peers
  await using echo = await service((socket) => socket.pipe(socket))
  far.tunnels.expose({ name: 'echo', target: echo.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'echo' })
  const socket = client(listen)
  socket.write('x')
  await once(socket, 'data')
  await near.tunnels.stop({ drainMs: 0 })
  await assert.rejects(text(socket), { code: 'ECONNRESET' })
})

test('two transfers over one connection both get on', async () => {
  await using peers = await couple()
  const { near, far } = peers
  const block = new Uint8Array(64 * 1024)
  await using flood = await service((socket) => {
    const more = (): void => {
      while (socket.writable && socket.write(block));
    }
    socket.on('drain', more)
    more()
  })
  far.tunnels.expose({ name: 'flood', target: flood.target, allow: 'all' })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'flood' })
  const sockets = [client(listen), client(listen)]
  const enough = 16 * 1024 * 1024
  const counts = [0, 0]
  await new Promise<void>((resolve) => {
    sockets.forEach((socket, i) =>
      socket.on('data', (chunk) => {
        counts[i] = (counts[i] as number) + chunk.length
        if (counts.every((count) => count > enough)) resolve()
      }),
    )
  })
  const [one, two] = counts as [number, number]
  assert.ok(Math.max(one, two) < 4 * Math.min(one, two), `${one} and ${two} bytes`)
  for (const socket of sockets) socket.destroy()
})

test('a tunnel runs over a relay', async () => {
  await using relay = await party({ services: { relay: circuitRelayServer() } })
  const relayed = { transports: [circuitRelayTransport()] }
  const at = relay.node.getMultiaddrs()[0]?.toString() as string
  await using far = await party({ ...relayed, listen: [`${at}/p2p-circuit`] })
  await using near = await party(relayed)
  await once(far.node as unknown as EventTarget, 'self:peer:update')
  await near.node.dial(multiaddr(`${at}/p2p-circuit/p2p/${far.id}`))
  await using echo = await service((socket) => socket.pipe(socket))
  far.tunnels.expose({ name: 'echo', target: echo.target, allow: [near.id] })
  const { listen } = await near.tunnels.forward({ listen: '0', peer: far.id, service: 'echo' })
  assert.equal(await text(client(listen).end('through the relay')), 'through the relay')
  assert.ok(near.node.getConnections(far.node.peerId).every((c) => c.limits !== undefined))
})
