import { once } from 'node:events'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, Upgrader } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { isTcpReuse, tcpReuse } from '../../../src/net/tcp-reuse/index.ts'
import type {
  DialRole,
  TcpReuseOptions,
  TcpReuseTransport,
} from '../../../src/net/tcp-reuse/index.ts'

const ECHO = '/test/echo/1.0.0'

// Loopback needs milliseconds. Waiting longer than this means that the awaited thing will never happen.
const PATIENCE_MS = 10_000

/** A libp2p node with our transport, and what the tests need of its inside. */
export interface TestNode extends AsyncDisposable {
  readonly libp2p: Libp2p
  readonly transport: TcpReuseTransport
  readonly transports: TransportManager
  readonly upgrader: Upgrader
  /** Dials as our own code does: past the dial queue, which would drop the role. */
  dial(to: string | Multiaddr, role?: DialRole, signal?: AbortSignal): Promise<Connection>
}

export async function startNode(listen: string[], options?: TcpReuseOptions): Promise<TestNode> {
  const libp2p = await createLibp2p({
    addresses: { listen },
    transports: [tcpReuse(options)],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  await libp2p.handle(ECHO, async (stream) => {
    for await (const bytes of stream) stream.send(bytes)
    await stream.close()
  })
  return testNode(libp2p)
}

function testNode(libp2p: Libp2p): TestNode {
  const { transportManager: transports, upgrader } = (
    libp2p as unknown as { components: { transportManager: TransportManager; upgrader: Upgrader } }
  ).components
  const transport = transports.getTransports().find(isTcpReuse)
  if (transport === undefined) throw new Error('the node has no tcp-reuse transport')
  return {
    libp2p,
    transport,
    transports,
    upgrader,
    dial: async (to, role = {}, signal = AbortSignal.timeout(PATIENCE_MS)) => {
      const options: { signal: AbortSignal } & DialRole = { signal, ...role }
      return await transports.dial(typeof to === 'string' ? multiaddr(to) : to, options)
    },
    [Symbol.asyncDispose]: async () => {
      await libp2p.stop()
    },
  }
}

/** The port of the node's first listener. */
export function portOf(node: TestNode): number {
  const [first] = node.transport.listening()
  if (first === undefined) throw new Error('the node does not listen')
  return first.port
}

/** The connection that the other side sees, once it is upgraded there. */
export async function nextConnection(node: TestNode): Promise<Connection> {
  const [event] = await once(node.libp2p, 'connection:open', {
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  return (event as CustomEvent<Connection>).detail
}

/** Sends bytes over a new stream and returns what comes back. */
export async function echo(connection: Connection): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const stream = await connection.newStream(ECHO, { signal })
  stream.send(new TextEncoder().encode('warren'))
  await stream.close({ signal })
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of stream) text += decoder.decode(bytes.subarray(), { stream: true })
  return text
}
