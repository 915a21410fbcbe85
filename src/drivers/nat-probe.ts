/** What peers can find out about our NAT and we about theirs, over /warren/nat-probe/1.0.0. */
import type {
  ComponentLogger,
  Connection,
  Libp2pEvents,
  Logger,
  PeerId,
  PrivateKey,
  Stream,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Finding } from '../../protocols/nat-probe/findings.ts'
import { NAT_PROBE_PROTOCOL, PROBE_LIMITS } from '../../protocols/nat-probe/limits.ts'
import { isDirect } from '../net/connection.ts'
import { nativeSocketApi } from '../net/tcp-reuse/index.ts'
import type { DialRole, TcpReuseTransport } from '../net/tcp-reuse/index.ts'
import { ProbeAskerDriver } from './nat-probe-asker.ts'
import { ProbeHelperDriver } from './nat-probe-helper.ts'
import type { ProbeStats } from './nat-probe-helper.ts'
import { Talk } from './nat-probe-talk.ts'

export type { ProbeStats }

export interface NatProbeDeps {
  peerId: PeerId
  privateKey: PrivateKey
  registrar: Pick<Registrar, 'handle' | 'unhandle' | 'register' | 'unregister'>
  connectionManager: Pick<ConnectionManager, 'getConnections'>
  events: TypedEventTarget<Libp2pEvents>
  logger: ComponentLogger
  transport: TcpReuseTransport
  dial(address: Multiaddr, options: DialRole & { signal: AbortSignal }): Promise<Connection>
  /** Which addresses are of the internet. */
  isOutside(ip: string): boolean
  /** Whether the operator chose the peer: its word counts where there are few. */
  isTrusted(peer: string): boolean
  /** Whether strangers can reach the peer, as far as known. */
  isPublic(peer: string): boolean
  /** Whether the listening port has sent to that address lately, or still does. */
  hasContacted(ip: string): boolean
  /** Whether others see this node at that address. */
  isOurs(ip: string): boolean
  found(finding: Finding): void
}

/** Streams of one connection: a sample and two dial-backs of an examination, an errand, a knock, and room. */
const MAX_STREAMS = 8

/** Peers that speak the protocol and are connected: no more than a node has connections. */
const MAX_SPEAKERS = 1_024

/** Asks about this node's NAT, and helps others to learn about theirs. */
export class NatProbeDriver {
  readonly #deps: NatProbeDeps
  readonly #log: Logger
  readonly #asker: ProbeAskerDriver
  readonly #helper: ProbeHelperDriver
  readonly #stopping = new AbortController()
  readonly #speakers = new Set<string>()
  #topology: string | undefined

  constructor(deps: NatProbeDeps) {
    this.#deps = deps
    this.#log = deps.logger.forComponent('warren:nat-probe')
    this.#asker = new ProbeAskerDriver(
      {
        ...deps,
        socketApi: nativeSocketApi(),
        connections: (peer) => this.#connections(peer),
      },
      this.#log,
    )
    this.#helper = new ProbeHelperDriver(
      { ...deps, self: deps.peerId.toString(), thirds: () => this.#thirds() },
      this.#log,
    )
  }

  async start(): Promise<void> {
    const { registrar, events } = this.#deps
    await registrar.handle(NAT_PROBE_PROTOCOL, this.#onStream, {
      maxInboundStreams: MAX_STREAMS,
      maxOutboundStreams: MAX_STREAMS,
      runOnLimitedConnection: false,
    })
    this.#topology = await registrar.register(NAT_PROBE_PROTOCOL, {
      onConnect: (peer) => this.#met(peer.toString()),
    })
    events.addEventListener('connection:close', this.#onClose)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the node is stopping'))
    const { registrar, events } = this.#deps
    events.removeEventListener('connection:close', this.#onClose)
    if (this.#topology !== undefined) registrar.unregister(this.#topology)
    this.#asker.stop()
    this.#helper.stop()
    await registrar.unhandle(NAT_PROBE_PROTOCOL)
  }

  /** Whether anything is in doubt that probes could tell. */
  wanted(wanted: boolean): void {
    this.#asker.wanted(wanted)
  }

  /** This node is in another network, or behind another address. */
  moved(): void {
    this.#asker.moved()
    for (const peer of this.#speakers) this.#asker.look(peer)
  }

  /** Outside ports that the router says it forwards to the one that is listened on. */
  mapped(ports: number[]): void {
    this.#asker.mapped(ports)
  }

  /** How many peers could be asked about our NAT, and whether any is being asked or is about to be. */
  progress(): { helpers: number; busy: boolean } {
    return this.#asker.progress()
  }

  stats(): ProbeStats {
    return this.#helper.stats()
  }

  #met(peer: string): void {
    if (this.#speakers.size < MAX_SPEAKERS) this.#speakers.add(peer)
    this.#asker.look(peer)
  }

  readonly #onClose = ({ detail }: CustomEvent<Connection>): void => {
    const peer = detail.remotePeer.toString()
    if (!this.#speakers.has(peer)) return
    if (this.#connections(peer).length === 0) this.#speakers.delete(peer)
    this.#asker.look(peer)
  }

  #connections(peer: string): Connection[] {
    return this.#deps.connectionManager
      .getConnections()
      .filter((one) => one.status === 'open' && one.remotePeer.toString() === peer)
  }

  #thirds(): { peer: string; connection: Connection }[] {
    return [...this.#speakers].flatMap((peer) => {
      const connection = this.#connections(peer).find((one) => isDirect(one))
      return connection !== undefined && this.#deps.isPublic(peer) ? [{ peer, connection }] : []
    })
  }

  readonly #onStream = (stream: Stream, connection: Connection): void => {
    const talk = new Talk(stream, connection)
    this.#serve(talk).catch((err: Error) => {
      this.#log('a conversation with %p broke off - %e', connection.remotePeer, err)
      talk.abort(err)
    })
  }

  async #serve(talk: Talk): Promise<void> {
    const first = await talk.read(this.#stopping.signal, PROBE_LIMITS.answerMs)
    if (first.type === 'knock') await this.#asker.answer(talk, first.nonce)
    else await this.#helper.serve(talk, first)
  }
}
