/** Real libp2p nodes on loopback with our relay service or our relay keeping, and nothing else of Warren. */
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify, identifyPush } from '@libp2p/identify'
import type {
  ConnectionGater,
  Libp2p,
  Libp2pEvents,
  PeerId,
  PeerStore,
  PrivateKey,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager, TransportManager } from '@libp2p/interface-internal'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CircuitTest } from '../../src/drivers/circuit-test.ts'
import { relayService } from '../../src/drivers/relay-service.ts'
import type { RelayService, RelayServiceInit } from '../../src/drivers/relay-service.ts'
import { RelayingDriver } from '../../src/drivers/relaying.ts'

interface Seam {
  peerId: PeerId
  events: TypedEventTarget<Libp2pEvents>
  peerStore: PeerStore
  transportManager: TransportManager
  connectionManager: ConnectionManager
}

export interface TestNode extends AsyncDisposable {
  libp2p: Libp2p
  id: string
  seam: Seam
  circuitTest: CircuitTest
  /** Its first address, with the peer id. */
  address(): string
  port(): number
}

export async function makeNode(
  services: Record<string, (components: never) => unknown>,
  options: {
    privateKey?: PrivateKey
    listen?: string[]
    gater?: ConnectionGater
    /** The address it dials from; all of 127/8 is this host. */
    from?: string
  },
): Promise<TestNode> {
  let seam: Seam | undefined
  const circuitTest = new CircuitTest()
  const libp2p = await createLibp2p({
    privateKey: options.privateKey ?? (await generateKeyPair('Ed25519')),
    addresses: { listen: options.listen ?? [] },
    transports: [tcp(dialling(options.from)), circuitTest.transport(circuitRelayTransport())],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionManager: { inboundConnectionThreshold: 100, reconnectRetries: 0 },
    ...(options.gater === undefined ? {} : { connectionGater: options.gater }),
    services: {
      identify: identify(),
      identifyPush: identifyPush({ debounce: 50 }),
      ...(services as Record<string, (components: unknown) => unknown>),
      seam: (components: unknown) => {
        seam = components as Seam
        return {}
      },
    },
  })
  return {
    libp2p,
    id: libp2p.peerId.toString(),
    seam: seam as unknown as Seam,
    circuitTest,
    address: () => (libp2p.getMultiaddrs()[0] as ReturnType<typeof multiaddr>).toString(),
    port: () => Number(libp2p.getMultiaddrs()[0]?.getComponents()[1]?.value),
    [Symbol.asyncDispose]: async () => await libp2p.stop(),
  }
}

/** The option is passed on to the socket, though its type does not name it. */
const dialling = (from?: string) =>
  from === undefined ? {} : { dialOpts: { localAddress: from } as object }

export type RelayNode = TestNode & { service: RelayService }

/** A node that relays at once. */
export async function makeRelay(
  options: { privateKey?: PrivateKey; port?: number; gater?: ConnectionGater } = {},
  init?: RelayServiceInit,
): Promise<RelayNode> {
  const node = await makeNode(
    { relay: relayService(init) },
    { ...options, listen: [`/ip4/127.0.0.1/tcp/${options.port ?? 0}`] },
  )
  const service = node.libp2p.services.relay as RelayService
  await service.serve(true)
  return { ...node, service }
}

export type ClientNode = TestNode & {
  relaying: RelayingDriver
  /** How often it tried to reach a relay. */
  dials(): number
  told: { type: string; peer: string; reason?: string }[]
}

/** A node without listener that keeps relays among `relays`. */
export async function makeClient(
  relays: () => { id: string; address: string }[],
): Promise<ClientNode> {
  const node = await makeNode({}, {})
  const told: ClientNode['told'] = []
  let dials = 0
  const relaying = new RelayingDriver({
    ...node.seam,
    peerId: node.seam.peerId,
    transportManager: node.seam.transportManager,
    connectionManager: node.seam.connectionManager,
    peerStore: node.seam.peerStore,
    events: node.seam.events,
    dial: async (peer, signal) => {
      dials++
      const relay = relays().find(({ id }) => id === peer)
      if (relay === undefined) throw new Error('nobody knows that relay')
      await node.libp2p.dial(multiaddr(relay.address), { signal })
    },
    test: (relay, signal, rttMs) => node.circuitTest.run(relay, signal, rttMs),
    publish: (event) => told.push(event),
    changed: () => node.libp2p.dispatchEvent(new CustomEvent('test:relays')),
  })
  relaying.start()
  return {
    ...node,
    relaying,
    told,
    dials: () => dials,
    [Symbol.asyncDispose]: async () => {
      relaying.stop()
      await node.libp2p.stop()
    },
  }
}

/** Resolves as soon as the condition holds; looked at whenever the node's state may have changed. */
export async function until(condition: () => boolean, what: string, ms = 8_000): Promise<void> {
  const deadline = Date.now() + ms
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
