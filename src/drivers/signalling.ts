/** Short sealed messages between peers that share a relay, over /warren/signal/1.0.0. */
import type { ComponentLogger, PeerId } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { SIGNAL_PROTOCOL } from '../../protocols/signalling/limits.ts'
import type { RelayFacts } from '../../protocols/signalling/switchboard.ts'
import { SignalClient } from './signalling-client.ts'
import type { SignalClientDeps, SignalFailure, SignalSeen } from './signalling-client.ts'
import { SignalRelay } from './signalling-relay.ts'
import type { SignalStats } from './signalling-relay.ts'

export type { SignalFailure, SignalSeen, SignalStats }

/** What signalling needs of the node. */
export interface SignallingDeps extends SignalClientDeps {
  peerId: PeerId
  registrar: Pick<Registrar, 'handle' | 'unhandle'>
  logger: ComponentLogger
  /** Whether this node relays for others now. */
  serving(): boolean
  /** Whether the peer holds a reservation with us. */
  hasReservation(peer: string): boolean
}

/** The signalling of one node: as a client of relays, and as a relay. */
export interface Signalling {
  /** Starts to answer the protocol. */
  start(): Promise<void>
  /** Ends all streams. Cannot be started again. */
  stop(): Promise<void>
  /** Keeps the stream to this relay open, opening it again when it breaks. `false` lets it go once it is quiet. */
  keep(relay: string, on: boolean): void
  /** Whether a message can be sent through this relay without opening anything. */
  isOpen(relay: string): boolean
  /** Whether the relay had no signalling service when it was last tried. */
  isMissing(relay: string): boolean
  /**
   * Seals a payload (at most 904 bytes) for a peer and sends it through the relay, opening the stream when needed.
   * Resolves when the message is on its way; a refusal comes after that, through `refused`.
   */
  send(
    relay: string,
    to: string,
    payload: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<void>
  /** What the relay side did, for metrics. */
  stats(): SignalStats
}

/** A connection that replaces another is allowed its stream before the old one is gone. */
const MAX_INBOUND_STREAMS = 2

/** Makes the signalling of a node. */
export function createSignalling(deps: SignallingDeps): Signalling {
  const log = deps.logger.forComponent('warren:signalling')
  const facts: RelayFacts = {
    serving: () => deps.serving(),
    holdsReservation: (peer) => deps.hasReservation(peer),
  }
  const relay = new SignalRelay(facts, log)
  const client = new SignalClient(deps, log)
  return {
    async start() {
      client.start()
      const options = { maxInboundStreams: MAX_INBOUND_STREAMS, runOnLimitedConnection: false }
      await deps.registrar.handle(SIGNAL_PROTOCOL, relay.answer, options)
    },
    async stop() {
      client.stop()
      relay.stop()
      await deps.registrar.unhandle(SIGNAL_PROTOCOL)
    },
    keep: (peer, on) => client.keep(peer, on),
    isOpen: (peer) => client.isOpen(peer),
    isMissing: (peer) => client.isMissing(peer),
    send: (peer, to, payload, { signal }) => client.send(peer, to, payload, signal),
    stats: () => relay.stats(),
  }
}
