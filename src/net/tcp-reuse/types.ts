import type { Socket } from 'node:net'
import type { Connection, Startable, Transport } from '@libp2p/interface'
import type { TCPDialEvents, TCPDialOptions, TCPOptions } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { WarrenError } from '../../../protocols/kernel/errors.ts'
import type { LocalEndpoint, SocketApi } from './bound-socket.ts'
import type { Ends } from './ends.ts'
import type { ExpectedPunch } from './punches.ts'
import type { PortReuse } from './self-test.ts'

/** Options of stock TCP, except those that this transport decides itself. */
export interface TcpReuseOptions extends Omit<
  TCPOptions,
  // A listener on port 0 that pauses comes back on another port, which nobody knows.
  | 'closeServerOnMaxConnections'
  | 'inboundSocketInactivityTimeout'
  | 'outboundSocketInactivityTimeout'
> {
  /** `net.BoundSocket` by default; `undefined` makes this stock TCP, as on a Node.js without it. */
  socketApi?: SocketApi | undefined
}

/**
 * What a dial may ask of this transport. Pass it to `transportManager.dial`: the dial queue behind
 * `libp2p.dial` and `openConnection` drops every option that it does not know.
 */
export interface DialRole {
  /** False: we connect, yet play the server in handshake and muxer, as one side of a hole punch must. */
  initiator?: boolean
  /** False: leave from an ephemeral port, as the dial-back of a reachability check must. Default true. */
  fromListenPort?: boolean
  /** Give up when the connection is not there after this long; the handshake may take longer. */
  connectMs?: number
  /** Gives up as long as the connection is not there; the handshake is not affected. */
  connecting?: AbortSignal
  /** False: rather fail than leave from another port than the listening one. Default true. */
  fallback?: boolean
}

/** How an already connected socket becomes a connection. */
export interface AdoptOptions {
  readonly signal: AbortSignal
  /** False: play the server in handshake and muxer. */
  readonly initiator: boolean
}

/** How a connection came about, as only the transport knows it. */
export interface ConnectionFacts extends Ends {
  /** True when this side connected, false when a listener accepted. `connection.direction` tells the role instead. */
  readonly dialled: boolean
  /** Whether the local port is one that a listener of ours holds, so that others can reach us where they see us. */
  readonly fromListenPort: boolean
}

/** Stock TCP, dialling from the port it listens on. */
export interface TcpReuseTransport extends Transport<TCPDialEvents>, Startable {
  /** Whether dials leave from the listening port. Tested when the node starts, or first listens. */
  readonly portReuse: PortReuse
  dial(ma: Multiaddr, options: TCPDialOptions & DialRole): Promise<Connection>
  /**
   * Makes a connection of a socket that is connected already, as a search for ports ends with; the socket belongs to
   * the transport from then on, and is closed when this rejects. `peer` should end with the expected peer id.
   */
  adopt(socket: Socket, peer: Multiaddr, options: AdoptOptions): Promise<Connection>
  /** Known before `connection:open` fires; undefined for connections of other transports. */
  facts(connection: Pick<Connection, 'timeline'>): ConnectionFacts | undefined
  /** While held, connections accepted from there are upgraded with us as the client. */
  expectPunch(punch: ExpectedPunch): Disposable
  /** What is listened on now. */
  listening(): LocalEndpoint[]
  /**
   * Why addresses could not be listened on. libp2p tells it as text inside an error of its own, and not at all
   * when only IPv6 fails.
   */
  listenErrors(): WarrenError[]
}
