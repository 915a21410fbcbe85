import { circuitRelayTransport, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { identify, identifyPush } from '@libp2p/identify'
import type {
  ComponentLogger,
  ConnectionGater,
  Libp2pEvents,
  PeerId,
  PeerStore,
  PrivateKey,
  TypedEventTarget,
} from '@libp2p/interface'
import type {
  AddressManager,
  ConnectionManager,
  Registrar,
  TransportManager,
} from '@libp2p/interface-internal'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CircuitTest } from '../drivers/circuit-test.ts'
import { eagerMuxer, eagerProtector, eagerTransport } from '../net/eager/index.ts'
import { tcpReuse } from '../net/tcp-reuse/index.ts'
import type { TcpReuseTransport } from '../net/tcp-reuse/index.ts'
import { version } from '../version.ts'

/** The parts of a running libp2p node that our drivers work with. */
export interface Seam {
  peerId: PeerId
  privateKey: PrivateKey
  logger: ComponentLogger
  events: TypedEventTarget<Libp2pEvents>
  peerStore: PeerStore
  registrar: Registrar
  transportManager: TransportManager
  connectionManager: ConnectionManager
  addressManager: AddressManager
  connectionGater: ConnectionGater
}

export interface Libp2pOptions {
  privateKey: PrivateKey
  listen: string[]
  networkKey?: Uint8Array
  gater: ConnectionGater
  /** What this node announces, in place of what libp2p would. */
  announced(): Multiaddr[]
  /** Our services, each made from libp2p's components. */
  services: Record<string, (components: never) => unknown>
}

export interface Libp2pNode {
  seam: Seam
  transport: TcpReuseTransport
  circuitTest: CircuitTest
  start(): Promise<void>
  stop(): Promise<void>
}

/** Peers' addresses live in our own book; libp2p's must not lose them while we are connected. */
const FOREVER_MS = 10 * 365 * 24 * 3_600_000

/** Open connections of a node; a relay with 512 reservations and their visitors fits. */
export const MAX_CONNECTIONS = 1_024

/** Pings under way on one connection, in each direction. */
const PINGS = 16

/** New connections a second from one host: NATs and container hosts hide dozens of peers behind one address. */
const INBOUND_PER_HOST_PER_SECOND = 64

/** Inbound connections that may be in their handshake at once; at 300 ms RTT a handshake takes about a second. */
const PENDING_INBOUND = 128

/**
 * What stock services open only where it is understood, or where nothing else could be done: identify, which every
 * libp2p peer speaks; HOP, asked of those that an address or identify calls a relay; DCUtR, started with those that
 * identify says speak it.
 */
const ALWAYS_SPOKEN = ['/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', RELAY_V2_HOP_CODEC, '/libp2p/dcutr']

/**
 * Streams that may arrive with the end of the handshake, a moment before libp2p looks for any: as many as yamux lets a
 * peer open. Stock cuts the connection at the eleventh, and a peer may have more than that to say at once.
 */
const EARLY_STREAMS = 1_000

/** The one call to createLibp2p. Every option that differs from stock says why. */
export async function makeLibp2p(options: Libp2pOptions): Promise<Libp2pNode> {
  let transport: TcpReuseTransport | undefined
  let components: Seam | undefined
  const tcp = tcpReuse()
  const circuitTest = new CircuitTest()
  const self = peerIdFromPrivateKey(options.privateKey)
  const node = await createLibp2p({
    start: false,
    privateKey: options.privateKey,
    nodeInfo: { name: 'warren', version, userAgent: `warren/${version}` },
    // Announced addresses are ours to decide: libp2p would list loopback and container bridges, and nothing
    // public until verified.
    addresses: { listen: options.listen, announceFilter: () => options.announced() },
    transports: [
      (c) => (transport = tcp(c as never)),
      eagerTransport(circuitTest.transport(circuitRelayTransport())),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [
      // Our own pings find the dead; yamux's would double them.
      eagerMuxer(yamux({ maxEarlyStreams: EARLY_STREAMS, enableKeepAlive: false }), {
        always: ALWAYS_SPOKEN,
      }),
    ],
    ...(options.networkKey === undefined
      ? {}
      : { connectionProtector: eagerProtector(preSharedKey({ psk: options.networkKey })) }),
    connectionGater: {
      ...options.gater,
      // A test of a relay that was given up before it came through.
      denyInboundRelayedConnection: (_relay, remote) => self.equals(remote),
    },
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      inboundConnectionThreshold: INBOUND_PER_HOST_PER_SECOND,
      maxIncomingPendingConnections: PENDING_INBOUND,
      // Membership decides whom to dial again, with its own back-off.
      reconnectRetries: 0,
    },
    // The stock monitor closes a connection on one missed ping; src/drivers/liveness.ts is more patient.
    connectionMonitor: { enabled: false },
    peerStore: { maxAddressAge: FOREVER_MS, maxPeerAge: FOREVER_MS },
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      // Our own pings run beside those of applications; stock allows one at a time.
      ping: ping({ maxInboundStreams: PINGS, maxOutboundStreams: PINGS }),
      ...(options.services as Record<string, (c: unknown) => unknown>),
      seam: (c: unknown) => {
        components = c as Seam
        return {}
      },
    },
  })
  if (transport === undefined || components === undefined)
    throw new Error('libp2p made no transport')
  return {
    seam: components,
    transport,
    circuitTest,
    start: async () => node.start(),
    stop: async () => node.stop(),
  }
}
