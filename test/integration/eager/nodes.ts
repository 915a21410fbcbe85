/** libp2p nodes on loopback that negotiate eagerly, as Warren's do, or as stock libp2p does. */
import {
  circuitRelayServer,
  circuitRelayTransport,
  RELAY_V2_HOP_CODEC,
} from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { byteStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { relayService } from '../../../src/drivers/relay-service.ts'
import type { RelayService } from '../../../src/drivers/relay-service.ts'
import { eagerMuxer, eagerProtector, eagerTransport } from '../../../src/net/eager/index.ts'
import { tcpReuse } from '../../../src/net/tcp-reuse/index.ts'
import { wireTo } from './wire.ts'
import type { WireOptions } from './wire.ts'

export type Kind = 'eager' | 'stock'

export const ECHO = '/test/echo/1.0.0'

// Loopback needs milliseconds; longer than this means never.
const PATIENCE_MS = 10_000

export interface NodeOptions {
  listen?: string[]
  /** Relays for others. */
  relay?: boolean
  networkKey?: Uint8Array
}

export interface TestNode extends AsyncDisposable {
  readonly libp2p: Libp2p
  readonly id: string
  readonly port: number
}

export async function startNode(kind: Kind, options: NodeOptions = {}): Promise<TestNode> {
  const eager = kind === 'eager'
  const key = options.networkKey && preSharedKey({ psk: options.networkKey })
  const relay = eager ? relayService() : circuitRelayServer()
  const libp2p = await createLibp2p({
    addresses: { listen: options.listen ?? ['/ip4/127.0.0.1/tcp/0'] },
    transports: eager
      ? [tcpReuse(), eagerTransport(circuitRelayTransport())]
      : [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [eager ? eagerMuxer(yamux(), { always: [RELAY_V2_HOP_CODEC] }) : yamux()],
    ...(key && { connectionProtector: eager ? eagerProtector(key) : key }),
    connectionMonitor: { enabled: false },
    services: { identify: identify(), ...(options.relay === true && { relay }) },
  })
  if (options.relay === true && eager) {
    await (libp2p.services as unknown as { relay: RelayService }).relay.serve(true)
  }
  const echo = { runOnLimitedConnection: true, maxInboundStreams: 1_000 }
  await libp2p.handle(
    ECHO,
    async (stream) => {
      for await (const bytes of stream) stream.send(bytes)
      await stream.close()
    },
    echo,
  )
  return {
    libp2p,
    id: libp2p.peerId.toString(),
    get port() {
      return Number(libp2p.getMultiaddrs()[0]?.getComponents()[1]?.value)
    },
    [Symbol.asyncDispose]: async () => await libp2p.stop(),
  }
}

/** A node that is reached over the relay, at the far end of a wire of its own. */
export async function startBehind(kind: Kind, relay: TestNode, port: number): Promise<TestNode> {
  const through = `/ip4/127.0.0.1/tcp/${port}/p2p/${relay.id}`
  return await startNode(kind, { listen: [`${through}/p2p-circuit`] })
}

/** Connects over a wire made for this purpose; it is cut when the test ends. */
export async function dialOver(
  t: { after(fn: () => Promise<void>): void },
  from: TestNode,
  to: TestNode,
  wire: WireOptions = {},
): Promise<Connection> {
  const laid = await wireTo(to.port, wire)
  t.after(async () => await laid[Symbol.asyncDispose]())
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${laid.port}/p2p/${to.id}`)
  return await from.libp2p.dial(address, { signal: AbortSignal.timeout(PATIENCE_MS) })
}

/** Sends bytes over a new stream and returns what comes back. */
export async function echo(connection: Connection, text: string): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const options = { signal, runOnLimitedConnection: true, eager: true }
  const stream = await connection.newStream(ECHO, options)
  const bytes = byteStream(stream)
  await bytes.write(Buffer.from(text), { signal })
  const answer = await bytes.read({ bytes: Buffer.byteLength(text), signal })
  await stream.close({ signal })
  return Buffer.from(answer.subarray()).toString()
}
