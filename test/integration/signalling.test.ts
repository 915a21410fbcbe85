import assert from 'node:assert/strict'
import { test } from 'node:test'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, PrivateKey, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { encodeFrame, FrameReader } from '../../protocols/signalling/codec.ts'
import { SIGNAL_LIMITS, SIGNAL_PROTOCOL } from '../../protocols/signalling/limits.ts'
import { relayService } from '../../src/drivers/relay-service.ts'
import type { RelayService } from '../../src/drivers/relay-service.ts'
import { createSignalling } from '../../src/drivers/signalling.ts'
import type { Signalling, SignallingDeps, SignalSeen } from '../../src/drivers/signalling.ts'
import { FrameStream } from '../../src/drivers/signalling-stream.ts'
import { loopbackPeer, streamBetween } from '../support/loopback.ts'
import { until } from './relay-nodes.ts'

/** Any Ed25519 peer id. */
const ID = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...new Uint8Array(32))

const quick = { timeout: 30_000 }

interface Node extends AsyncDisposable {
  libp2p: Libp2p
  id: string
  signalling: Signalling
  /** What arrived, and what was refused. */
  messages: { from: string; text: string; seen: SignalSeen }[]
  refusals: { relay: string; to: string; failure: string }[]
  send(relay: Node, to: string, text: string | Uint8Array): Promise<void>
}

interface Made {
  privateKey?: PrivateKey
  port?: number
  /** Who holds a reservation with it; default: everybody. */
  holders?: Set<string>
  serving?: () => boolean
  network?: string
  relays?: boolean
}

/** A libp2p node with our signalling and nothing else of Warren. */
async function makeNode(made: Made = {}): Promise<Node> {
  const privateKey = made.privateKey ?? (await generateKeyPair('Ed25519'))
  const { messages, refusals }: Pick<Node, 'messages' | 'refusals'> = { messages: [], refusals: [] }
  let signalling: Signalling | undefined
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: [`/ip4/127.0.0.1/tcp/${made.port ?? 0}`] },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionManager: { reconnectRetries: 0 },
    services: {
      identify: identify(),
      ...(made.relays === true ? { relay: relayService() } : {}),
      signalling: (components: unknown) => {
        signalling = createSignalling({
          ...seam(components as SignallingDeps),
          privateKey,
          network: made.network ?? 'main',
          serving: made.serving ?? (() => true),
          hasReservation: (peer) => made.holders?.has(peer) ?? true,
          received: (from, payload, seen) =>
            messages.push({ from, text: new TextDecoder().decode(payload), seen }),
          refused: (relay, to, failure) => refusals.push({ relay, to, failure }),
        })
        return {}
      },
    },
  })
  const own = signalling as unknown as Signalling
  await own.start()
  return {
    libp2p,
    id: libp2p.peerId.toString(),
    signalling: own,
    messages,
    refusals,
    send: (relay, to, text) =>
      own.send(relay.id, to, typeof text === 'string' ? new TextEncoder().encode(text) : text, {
        signal: AbortSignal.timeout(5_000),
      }),
    async [Symbol.asyncDispose]() {
      await own.stop()
      await libp2p.stop()
    },
  }
}

function seam({ peerId, registrar, connectionManager, events, logger }: SignallingDeps) {
  return { peerId, registrar, connectionManager, events, logger }
}

function connect(from: Node, to: Node): Promise<Connection> {
  return from.libp2p.dial(to.libp2p.getMultiaddrs())
}

/** `clients` connected to the relay, their streams open. */
async function gathered(relay: Node, ...clients: Node[]): Promise<void> {
  for (const client of clients) {
    await connect(client, relay)
    client.signalling.keep(relay.id, true)
  }
  const open = (): boolean => clients.every((client) => client.signalling.isOpen(relay.id))
  await until(
    () => open() && relay.signalling.stats().clients === clients.length,
    'the streams are open',
  )
}

async function arrived(node: Node, count: number): Promise<void> {
  await until(() => node.messages.length >= count, `${count} messages arrive`)
}

/** A stream of the protocol whose frames are written by hand. */
async function rawStream(from: Node, to: Node): Promise<Stream> {
  const connection = await connect(from, to)
  return connection.newStream(SIGNAL_PROTOCOL)
}

test(
  'a message passes through the relay, which tells where it sees the sender',
  quick,
  async () => {
    await using relay = await makeNode()
    await using a = await makeNode()
    await using b = await makeNode()
    await gathered(relay, a, b)
    await a.send(relay, b.id, 'dig here')
    await arrived(b, 1)

    const [seenByRelay] = relay.libp2p.getConnections(a.libp2p.peerId)
    const port = Number(
      seenByRelay?.remoteAddr.getComponents().find(({ name }) => name === 'tcp')?.value,
    )
    const seen = { relay: relay.id, ip: '127.0.0.1', port }
    assert.deepEqual(b.messages, [{ from: a.id, text: 'dig here', seen }])
    assert.equal(relay.signalling.stats().passed, 1)
    assert.deepEqual(relay.messages, [])
    assert.equal(a.libp2p.getConnections(b.libp2p.peerId).length, 0)
  },
)

test('a visitor opens its stream with the message, and is answered', quick, async () => {
  const holders = new Set<string>()
  await using relay = await makeNode({ holders })
  await using a = await makeNode()
  await using b = await makeNode()
  holders.add(b.id)
  await gathered(relay, b)
  await connect(a, relay)
  assert.equal(a.signalling.isOpen(relay.id), false)

  await a.send(relay, b.id, 'dig here')
  assert.equal(a.signalling.isOpen(relay.id), true)
  await arrived(b, 1)
  await b.send(relay, a.id, 'digging')
  await arrived(a, 1)
  assert.equal(a.messages[0]?.text, 'digging')
})

test('nobody can write to a visitor that has not asked', quick, async () => {
  const holders = new Set<string>()
  await using relay = await makeNode({ holders })
  await using a = await makeNode()
  await using b = await makeNode()
  await gathered(relay, a, b)
  await a.send(relay, b.id, 'hello?')
  await until(() => a.refusals.length === 1, 'the refusal arrives')
  assert.deepEqual(a.refusals, [{ relay: relay.id, to: b.id, failure: 'unknown-target' }])
  assert.deepEqual(b.messages, [])
})

test('a node that does not relay ends the stream, and is tried again later', quick, async () => {
  let serving = false
  await using relay = await makeNode({ serving: () => serving })
  await using a = await makeNode()
  await connect(a, relay)
  a.signalling.keep(relay.id, true)
  await until(() => a.libp2p.getConnections().length === 1, 'the connection stands')
  const stream = await rawStream(a, relay)
  await until(() => stream.status === 'reset', 'the stream is reset')
  assert.equal(relay.signalling.stats().clients, 0)
  serving = true
  await until(() => relay.signalling.stats().clients === 1, 'the stream is opened again')
})

test('a relay that stops to serve says so, and ends the stream', quick, async () => {
  let serving = true
  await using relay = await makeNode({ serving: () => serving })
  await using a = await makeNode()
  await using b = await makeNode()
  await gathered(relay, a, b)
  serving = false
  await a.send(relay, b.id, 'too late')
  await until(() => a.refusals.length === 1, 'the refusal arrives')
  assert.equal(a.refusals[0]?.failure, 'not-served')
  await until(() => !a.signalling.isOpen(relay.id), 'the stream ends')
})

test('a relay without the protocol is named as such', quick, async () => {
  await using relay = await makeNode()
  await using a = await makeNode()
  await relay.libp2p.unhandle(SIGNAL_PROTOCOL)
  await connect(a, relay)
  await assert.rejects(a.send(relay, relay.id, 'x'), { code: 'ERR_PROTOCOL_UNSUPPORTED' })
})

test('without a direct connection to the relay nothing is sent', quick, async () => {
  await using relay = await makeNode()
  await using a = await makeNode()
  await assert.rejects(a.send(relay, relay.id, 'x'), { code: 'ERR_PEER_UNREACHABLE' })
})

test('a relayed connection is no way to a signalling service', quick, async () => {
  await using middle = await makeNode({ relays: true })
  await (middle.libp2p.services as unknown as { relay: RelayService }).relay.serve(true)
  await using relay = await makeNode()
  await using a = await makeNode()
  await reserve(relay, middle)
  const address = `${middle.libp2p.getMultiaddrs()[0]?.toString()}/p2p-circuit/p2p/${relay.id}`
  const relayed = await a.libp2p.dial(multiaddr(address))
  assert.equal(relayed.direct, false)
  await assert.rejects(a.send(relay, relay.id, 'x'), { code: 'ERR_PEER_UNREACHABLE' })

  const stream = await relayed.newStream(SIGNAL_PROTOCOL, { runOnLimitedConnection: true })
  await until(() => stream.status === 'reset', 'the stream is reset')
  assert.equal(relay.signalling.stats().clients, 0)
})

/** Makes `node` reachable through `middle`. */
async function reserve(node: Node, middle: Node): Promise<void> {
  const address = multiaddr(`${middle.libp2p.getMultiaddrs()[0]?.toString()}/p2p-circuit`)
  const { transportManager } = (node.libp2p as unknown as { components: Listens }).components
  await transportManager.listen([address])
}

interface Listens {
  transportManager: { listen(addresses: ReturnType<typeof multiaddr>[]): Promise<void> }
}

test('a flood is refused by code, then cut off, and others go on', quick, async () => {
  await using relay = await makeNode()
  await using a = await makeNode()
  await using b = await makeNode()
  await using c = await makeNode()
  await gathered(relay, a, b, c)
  const { sender, patience } = SIGNAL_LIMITS
  for (let i = 0; i < sender.burst + 5; i++) await a.send(relay, b.id, `${i}`)
  await until(() => a.refusals.length >= 4, 'refusals arrive')
  assert.ok(a.refusals.every(({ to, failure }) => to === b.id && failure === 'too-fast'))

  const stream = await rawStream(c, relay)
  const to = b.libp2p.peerId.toMultihash().bytes
  const frame = encodeFrame({ type: 'pass', to, sealed: new Uint8Array(10), id: 1 })
  for (let i = 0; i < sender.burst + patience.burst + 20; i++) {
    if (stream.writeStatus === 'writable') stream.send(frame)
  }
  await until(() => stream.status === 'reset', 'the stream is reset')
  const { passed, refusedByCode, cutOff } = relay.signalling.stats()
  assert.equal(cutOff, 1)
  assert.ok(refusedByCode['too-fast'] >= patience.burst, `${refusedByCode['too-fast']} refusals`)
  assert.ok(passed <= SIGNAL_LIMITS.target.burst + 2 * SIGNAL_LIMITS.target.perSecond)

  await b.send(relay, a.id, 'still here')
  await arrived(a, 1)
})

test(
  'a message too big is refused, and a frame too big ends the stream and nothing else',
  quick,
  async () => {
    await using relay = await makeNode()
    await using a = await makeNode()
    await using b = await makeNode()
    await gathered(relay, a, b)
    await assert.rejects(a.send(relay, b.id, new Uint8Array(905)), { code: 'ERR_LIMIT_REACHED' })
    await a.send(relay, b.id, new Uint8Array(904))
    await arrived(b, 1)

    const stream = await rawStream(a, relay)
    const to = b.libp2p.peerId.toMultihash().bytes
    stream.send(encodeFrame({ type: 'pass', to, sealed: new Uint8Array(1_025), id: 1 }))
    await until(() => relay.signalling.stats().refusedByCode['too-big'] === 1, 'it is refused')
    stream.send(encodeFrame({ type: 'pass', to, sealed: new Uint8Array(2_000), id: 2 }))
    await until(() => stream.status === 'reset', 'the stream is reset')
    assert.equal(relay.libp2p.getConnections(a.libp2p.peerId).length, 1)
    await until(() => a.signalling.isOpen(relay.id), 'the kept stream is opened again')
    await a.send(relay, b.id, 'on we go')
    await arrived(b, 2)
  },
)

test('garbage from a client or a relay ends the stream and nothing else', quick, async () => {
  await using relay = await makeNode()
  await using a = await makeNode()
  await using b = await makeNode()
  await gathered(relay, a, b)
  const wrongWay = encodeFrame({ type: 'refused', id: 1, code: 'too-big' })
  for (const bytes of [Uint8Array.of(2, 0x0f, 1), new Uint8Array(5).fill(0xff), wrongWay]) {
    const stream = await rawStream(b, relay)
    stream.send(bytes)
    await until(() => stream.status === 'reset', 'the stream is reset')
  }
  await until(() => b.signalling.isOpen(relay.id), 'the kept stream is opened again')
  await until(() => relay.signalling.stats().clients === 2, 'the relay has both again')
  await a.send(relay, b.id, 'still here')
  await arrived(b, 1)
})

test('what comes from another network is not received', quick, async () => {
  await using relay = await makeNode()
  await using stranger = await makeNode({ network: 'other' })
  await using a = await makeNode()
  await using b = await makeNode()
  await gathered(relay, a, b, stranger)
  await stranger.send(relay, b.id, 'from elsewhere')
  await until(() => relay.signalling.stats().passed === 1, 'it is passed on')
  await a.send(relay, b.id, 'genuine')
  await arrived(b, 1)
  assert.equal(b.messages[0]?.text, 'genuine')
})

test('what a relay repeats, or says of somebody else, is not received', quick, async () => {
  await using liar = await makeNode()
  await using a = await makeNode()
  await using b = await makeNode()
  const streams = new Map<string, Stream>()
  const lie = (sealed: Uint8Array): void => {
    const passed = { type: 'passed', ip: '9.9.9.9', port: 4001, sealed } as const
    for (const from of [liar, b, a, a, a]) {
      const id = from.libp2p.peerId.toMultihash().bytes
      streams.get(b.id)?.send(encodeFrame({ ...passed, from: id }))
    }
  }
  await liar.libp2p.unhandle(SIGNAL_PROTOCOL)
  await liar.libp2p.handle(SIGNAL_PROTOCOL, (stream, { remotePeer }) => {
    streams.set(remotePeer.toString(), stream)
    stream.addEventListener('message', ({ data }) => {
      for (const decoded of new FrameReader().read(data.subarray())) {
        if (decoded.ok && decoded.frame.type === 'pass') lie(decoded.frame.sealed)
      }
    })
  })
  for (const client of [a, b]) {
    await connect(client, liar)
    client.signalling.keep(liar.id, true)
  }
  await until(() => streams.size === 2, 'the streams are open')
  await a.send(liar, b.id, 'one')
  await arrived(b, 1)
  await a.send(liar, b.id, 'two')
  await arrived(b, 2)
  assert.deepEqual(
    b.messages.map(({ from, text }) => [from, text]),
    [
      [a.id, 'one'],
      [a.id, 'two'],
    ],
  )
})

function isAlone({ libp2p }: Node): boolean {
  return libp2p.getConnections().length === 0
}

test('a restart of the relay is survived without being told', quick, async () => {
  const privateKey = await generateKeyPair('Ed25519')
  const first = await makeNode({ privateKey })
  const port = Number(first.libp2p.getMultiaddrs()[0]?.getComponents()[1]?.value)
  await using a = await makeNode()
  await using b = await makeNode()
  await gathered(first, a, b)
  await first[Symbol.asyncDispose]()
  await until(() => isAlone(a) && isAlone(b), 'the connections end')
  assert.ok(!a.signalling.isOpen(first.id) && !b.signalling.isOpen(first.id))

  await using second = await makeNode({ privateKey, port })
  for (const client of [a, b]) await connect(client, second)
  await until(() => second.signalling.stats().clients === 2, 'the streams are open again')
  await a.send(second, b.id, 'back again')
  await arrived(b, 1)
})

test('a message sent right before the stream breaks is reported as lost', quick, async () => {
  await using relay = await makeNode()
  await using a = await makeNode()
  await using b = await makeNode()
  await gathered(relay, a, b)
  const [connection] = a.libp2p.getConnections(relay.libp2p.peerId)
  await a.send(relay, b.id, 'will it?')
  connection?.abort(new Error('the cable is cut'))
  await until(() => a.refusals.length === 1, 'the loss is told')
  assert.deepEqual(a.refusals, [{ relay: relay.id, to: b.id, failure: 'lost' }])
})

test(
  'what waits for a peer that does not read is bounded, and arrives when it does',
  quick,
  async () => {
    await using a = await loopbackPeer()
    await using b = await loopbackPeer()
    const [near, far] = await streamBetween(a, b)
    far.pause()
    let read = 0
    const reader = new FrameStream(far, { frame: () => read++, closed: () => undefined })
    const stream = new FrameStream(near, { frame: () => undefined, closed: () => undefined })
    const frame = { type: 'pass', to: ID, sealed: new Uint8Array(1_024), id: 1 } as const
    let sent = 0
    while (stream.send(frame)) sent++
    assert.ok(near.writeBufferLength > 0 && near.writeBufferLength <= SIGNAL_LIMITS.waitingBytes)
    assert.ok(sent < 1_000, `${sent} frames were taken`)
    assert.ok(reader.writable)
    far.resume()
    await until(() => read === sent, 'everything arrives')
    assert.ok(stream.send(frame))
  },
)

test('a stopped node refuses to send, and its streams are gone', quick, async () => {
  await using relay = await makeNode()
  await using a = await makeNode()
  await gathered(relay, a)
  await a.signalling.stop()
  await assert.rejects(a.send(relay, relay.id, 'x'), { code: 'ERR_NODE_STOPPED' })
  await until(() => relay.signalling.stats().clients === 0, 'the relay notices')
})
