/**
 * Hole punching over TCP for a libp2p node of your own, without the rest of Warren:
 *
 *     const w = warren()
 *     const node = await createLibp2p({
 *       addresses: { listen: ['/ip4/0.0.0.0/tcp/4001', '/p2p-circuit'] },
 *       transports: w.transports,
 *       connectionEncrypters: [noise()],
 *       streamMuxers: [yamux()],
 *       services: { identify: identify(), ...w.services },
 *     })
 *
 * Peers that meet over a relay get a direct connection, once somebody they dialled has told each how it is seen; the
 * relayed one stays open for the streams on it, and closing it is up to you, as is finding peers and relays. What a
 * whole node adds to this is in `createNode`.
 */
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type {
  Connection,
  Libp2pEvents,
  PeerId,
  Startable,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager, TransportManager } from '@libp2p/interface-internal'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pOptions } from 'libp2p'
import { endpointAddress } from '../protocols/kernel/address.ts'
import { autoNatV1, autoNatV2 } from './drivers/autonat.ts'
import type { AutoNatDeps } from './drivers/autonat.ts'
import { holePunching } from './drivers/hole-punching.ts'
import type { PunchReport } from './drivers/puncher.ts'
import { ReachabilityDriver } from './drivers/reachability.ts'
import { relayService } from './drivers/relay-service.ts'
import { endpointOf, isDirect } from './net/connection.ts'
import { eagerTransport } from './net/eager/index.ts'
import { tcpReuse } from './net/tcp-reuse/index.ts'
import type { DialRole, TcpReuseTransport } from './net/tcp-reuse/index.ts'

export type { PunchReport } from './drivers/puncher.ts'
export type { RelayService } from './drivers/relay-service.ts'

export interface WarrenOptions {
  /** Hears of every attempt to reach a peer directly. */
  onPunch?(report: PunchReport): void
  /**
   * Punches towards private addresses too, for networks that have no others. Whoever is met over a relay can then make
   * this node dial hosts of its own network, so leave it off on the internet.
   */
  privateTargets?: boolean
}

/** The parts for one call of `createLibp2p`; a second node needs its own. */
export interface WarrenParts {
  /** TCP that dials from the port it listens on, and circuit relay. */
  transports: NonNullable<Libp2pOptions['transports']>
  services: {
    /** Learns at which addresses others see the listening port. */
    reachability: (components: Seam) => ObservedAddresses
    /** DCUtR, as go-libp2p and rust-libp2p speak it. */
    dcutr: ReturnType<typeof holePunching>
    /** Both answer those who ask how they can be reached, by a new connection from another port; they ask nobody. */
    autonat: ReturnType<typeof autoNatV1>
    autonatV2: ReturnType<typeof autoNatV2>
    /** A relay for others, off until `node.services.relay.serve(true)`. */
    relay: ReturnType<typeof relayService>
  }
}

/** At which addresses others see this node. */
export interface ObservedAddresses extends Startable {
  /** Where a hole punch can aim at, best first; empty until enough peers agree, or when the NAT gives everyone another. */
  externalAddresses(): Multiaddr[]
}

interface Seam {
  peerId: PeerId
  events: TypedEventTarget<Libp2pEvents>
  transportManager: TransportManager
  connectionManager: ConnectionManager
}

/** Makes the parts of one libp2p node. */
export function warren(options: WarrenOptions = {}): WarrenParts {
  // libp2p makes transports first, then services, and calls neither before it starts.
  let transport: TcpReuseTransport | undefined
  let seam = undefined as unknown as Seam
  let reachability = undefined as unknown as ReachabilityDriver
  const tcp = tcpReuse()

  const dial = (address: Multiaddr, how: DialRole & { signal: AbortSignal }) => {
    const endpoint = endpointOf(address)
    if (endpoint !== undefined) reachability.dialled(endpoint.host)
    return seam.transportManager.dial(address, how)
  }
  const autoNat: AutoNatDeps = {
    dialFresh: (address, { signal = AbortSignal.timeout(DIAL_BACK_MS) }) =>
      dial(address, { signal, fromListenPort: false }),
    // Verdicts would have to go to the address manager, which announces at once whatever one peer confirms.
    unverified: () => [],
    judged: () => {},
  }
  const externalAddresses = (): Multiaddr[] =>
    reachability.state.externalAddresses.map((one) => multiaddr(endpointAddress(one)))

  return {
    transports: [
      (components) => (transport = tcp(components)),
      eagerTransport(circuitRelayTransport()),
    ],
    services: {
      reachability: (components) => {
        if (transport === undefined)
          throw new Error('these services need the transports made with them')
        seam = components
        reachability = observing(components.events, transport)
        return {
          externalAddresses,
          start: () => reachability.start(),
          stop: () => reachability.stop(),
        }
      },
      dcutr: holePunching({
        self: () => seam.peerId.toString(),
        privateTargets: options.privateTargets === true,
        claims: () => undefined,
        externalAddresses,
        dial: (address, role) => dial(address, { ...role, fallback: false }),
        expectPunch: (from) =>
          (transport as TcpReuseTransport).expectPunch({ ...from, role: 'client' }),
        expectMethod: () => ({ [Symbol.dispose]: () => {} }),
        direct: (peer) => directTo(seam, peer),
        whenDirect: (peer, signal) => whenDirect(seam, peer, signal),
        report: (report) => options.onPunch?.(report),
      }),
      autonat: autoNatV1(autoNat),
      autonatV2: autoNatV2(autoNat),
      relay: relayService(),
    },
  }
}

/** Longer than any handshake that still succeeds. */
const DIAL_BACK_MS = 10_000

/** The observations matter here; what they say about being public is the address manager's own business. */
function observing(
  events: TypedEventTarget<Libp2pEvents>,
  transport: TcpReuseTransport,
): ReachabilityDriver {
  return new ReachabilityDriver({
    events,
    transport,
    announce: [],
    isTrusted: () => false,
    changed: () => {},
    interfacesChanged: () => {},
    reachedInbound: () => {},
  })
}

function directTo({ connectionManager }: Seam, peer: string): Connection | undefined {
  return connectionManager
    .getConnections()
    .find((one) => one.remotePeer.toString() === peer && one.status === 'open' && isDirect(one))
}

async function whenDirect(seam: Seam, peer: string, signal: AbortSignal): Promise<Connection> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Connection>()
  const look = (): void => {
    const connection = directTo(seam, peer)
    if (connection !== undefined) resolve(connection)
  }
  const aborted = (): void => reject(signal.reason as Error)
  seam.events.addEventListener('connection:open', look)
  signal.addEventListener('abort', aborted, { once: true })
  look()
  return await promise.finally(() => {
    seam.events.removeEventListener('connection:open', look)
    signal.removeEventListener('abort', aborted)
  })
}
