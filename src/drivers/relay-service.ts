import { AsyncLocalStorage } from 'node:async_hooks'
import { circuitRelayServer, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { CircuitRelayServerComponents, RelayReservation } from '@libp2p/circuit-relay-v2'
import type {
  Connection,
  ConnectionGater,
  Libp2pEvents,
  PeerId,
  Stream,
  StreamHandler,
  TypedEventTarget,
} from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import type { CircuitLimit } from '../../protocols/relaying/limits.ts'
import { admitReservation } from '../../protocols/relaying/serving.ts'
import type { Refusal } from '../../protocols/relaying/serving.ts'
import * as wire from '../../protocols/relaying/wire.ts'
import { parseAddress } from '../../protocols/kernel/address.ts'
import { overlay } from '../net/overlay.ts'
import { Circuits, rewriteFirst } from './relay-circuits.ts'
import type { Circuit } from './relay-circuits.ts'
import { expirySignal } from './relay-expiry.ts'

export type RelayServiceComponents = CircuitRelayServerComponents & {
  events: TypedEventTarget<Libp2pEvents>
}

export interface RelayServiceInit {
  /** What a circuit between two peers may use; undefined for no limit. Default: alike for all. */
  limitFor?: (source: string, target: string) => CircuitLimit | undefined
}

/** One relay request while the stock service handles it. */
interface Request {
  readonly source: string
  refusal?: Refusal
  circuit?: Circuit
  stop?: Stream
  carried: boolean
}

type StockServer = ReturnType<ReturnType<typeof circuitRelayServer>> & {
  start(): Promise<void>
  stop(): Promise<void>
}

const STATUS: Record<Refusal, number> = {
  full: wire.STATUS_RESERVATION_REFUSED,
  'too-many-of-address': wire.STATUS_RESERVATION_REFUSED,
  'too-many-circuits': wire.STATUS_RESOURCE_LIMIT_EXCEEDED,
}

/** The stock relay server as a service that can be switched on and off, counted and bounded. */
export class RelayService {
  readonly #components: RelayServiceComponents
  readonly #limitFor: NonNullable<RelayServiceInit['limitFor']>
  readonly #requests = new AsyncLocalStorage<Request>()
  readonly #circuits = new Circuits()
  #stock: StockServer | undefined
  /** Switching takes a moment; the next switch waits for the one before. */
  #switching: Promise<void> = Promise.resolve()

  constructor(components: RelayServiceComponents, init: RelayServiceInit = {}) {
    this.#components = components
    this.#limitFor = init.limitFor ?? defaultLimit
  }

  get serving(): boolean {
    return this.#stock !== undefined
  }

  /** Bytes are of this node's whole life, both directions, what circuits carried and nothing else. */
  stats(): { reservations: number; circuits: number; bytesRelayed: number } {
    return {
      reservations: this.#stock?.reservations.size ?? 0,
      circuits: this.#circuits.size,
      bytesRelayed: this.#circuits.bytesRelayed,
    }
  }

  capacity(): { slotsTotal: number; slotsFree: number } {
    const slotsTotal = SERVING_LIMITS.maxReservations
    return { slotsTotal, slotsFree: slotsTotal - this.stats().reservations }
  }

  /** Who holds a reservation here, and until when. */
  reservations(): { peer: string; until: Date }[] {
    const held = this.#stock?.reservations.entries() ?? []
    return [...held].map(([peer, { expiry }]) => ({ peer: peer.toString(), until: expiry }))
  }

  hasReservation(peer: string): boolean {
    return this.#stock?.reservations.has(peerIdFromString(peer)) ?? false
  }

  circuits(): Circuit[] {
    return this.#circuits.list()
  }

  /** Relays for others, or stops it: reservations end, circuits are closed, identify says so. */
  serve(on: boolean): Promise<void> {
    const next = this.#switching.then(() => (on ? this.#switchOn() : this.#switchOff()))
    this.#switching = next.catch(() => {})
    return next
  }

  /** libp2p starts its services; whether to relay is decided later. */
  start(): void {
    this.#components.events.addEventListener('connection:close', this.#onConnectionClosed)
  }

  async stop(): Promise<void> {
    this.#components.events.removeEventListener('connection:close', this.#onConnectionClosed)
    await this.serve(false)
  }

  /** A stock server cannot start twice: its shutdown signal stays aborted. So each time a new one. */
  async #switchOn(): Promise<void> {
    if (this.#stock !== undefined) return
    const stock = circuitRelayServer({
      // Limits are stated and kept by us: the stock server states milliseconds as seconds, and counts
      // both directions together.
      reservations: {
        maxReservations: SERVING_LIMITS.maxReservations,
        reservationTtl: SERVING_LIMITS.reservationTtlMs,
        applyDefaultLimit: false,
      },
      maxOutboundStopStreams: SERVING_LIMITS.maxCircuitsPerPeer + 1,
    })(this.#shimmed()) as StockServer
    repairExpiry(stock.reservations)
    await stock.start()
    this.#stock = stock
  }

  async #switchOff(): Promise<void> {
    const stock = this.#stock
    if (stock === undefined) return
    this.#stock = undefined
    for (const { signal } of stock.reservations.values()) signal.clear()
    await stock.stop()
  }

  readonly #onConnectionClosed = ({ detail }: CustomEvent<Connection>): void => {
    const reservations = this.#stock?.reservations
    const reservation = reservations?.get(detail.remotePeer)
    if (reservation === undefined || this.#directTo(detail.remotePeer).length > 0) return
    // The stock server would keep the slot of a vanished client until it expires.
    reservation.signal.clear()
    reservations?.delete(detail.remotePeer)
  }

  /** What the stock server sees instead of the node's own components. */
  #shimmed(): CircuitRelayServerComponents {
    const { registrar, connectionManager, connectionGater } = this.#components
    const handle: typeof registrar.handle = (protocol, handler, options) =>
      registrar.handle(protocol, this.#watched(handler), options)
    const getConnections = (peer?: PeerId): Connection[] =>
      this.#directTo(peer).map((connection) => this.#stopSide(connection))
    return {
      ...pick(this.#components),
      registrar: overlay(registrar, { handle }),
      connectionManager: overlay(connectionManager, { getConnections }),
      connectionGater: overlay(connectionGater, this.#admission(connectionGater)),
    }
  }

  #directTo(peer?: PeerId): Connection[] {
    const all = this.#components.connectionManager.getConnections(peer)
    return all.filter(({ direct, status }) => direct && status === 'open')
  }

  /** Every request runs in a scope of its own, so that the hooks below know which one they serve. */
  #watched(handler: StreamHandler): StreamHandler {
    return async (stream, connection) => {
      const request: Request = { source: connection.remotePeer.toString(), carried: false }
      rewriteFirst(stream, (message) => this.#answer(request, stream, message))
      try {
        await this.#requests.run(request, async () => handler(stream, connection))
      } finally {
        if (request.circuit !== undefined && !request.carried) this.#circuits.end(request.circuit)
      }
    }
  }

  /** The stock server's answer, with our status for our refusals and the limit in its true units. */
  #answer(request: Request, hop: Stream, message: Uint8Array): Uint8Array {
    if (request.refusal !== undefined) return wire.hopWithStatus(message, STATUS[request.refusal])
    const answer = wire.readHopAnswer(message)
    if (answer?.status !== wire.STATUS_OK) return message
    const { circuit, stop, source } = request
    const limit = this.#limitFor(source, circuit?.target ?? source)
    if (circuit !== undefined && stop !== undefined) {
      request.carried = true
      // The answer itself is still on its way out and is no relayed byte.
      queueMicrotask(() => this.#circuits.carry(circuit, hop, stop, limit))
    }
    return limit === undefined ? message : wire.hopWithLimit(message, limit)
  }

  /** The target's connection, on which the stock server opens the other half of a circuit. */
  #stopSide(connection: Connection): Connection {
    const newStream: Connection['newStream'] = async (protocols, options) => {
      // Whoever holds a reservation here answers to STOP.
      const stream = await connection.newStream(protocols, { ...options, eager: true })
      const request = this.#requests.getStore()
      if (request === undefined) return stream
      request.stop = stream
      const limit = this.#limitFor(request.source, connection.remotePeer.toString())
      if (limit !== undefined) {
        rewriteFirst(stream, (message) => wire.stopWithLimit(message, limit))
      }
      return stream
    }
    return overlay(connection, { newStream })
  }

  /** The node's own gater decides first; our capacity second. */
  #admission(gater: ConnectionGater): Partial<ConnectionGater> {
    return {
      denyInboundRelayReservation: async (source) => {
        if ((await gater.denyInboundRelayReservation?.(source)) === true) return true
        return this.#refused(this.#admitReservation(source))
      },
      denyOutboundRelayedConnection: async (source, target) => {
        if ((await gater.denyOutboundRelayedConnection?.(source, target)) === true) return true
        const circuit = this.#circuits.begin(source.toString(), target.toString())
        if (typeof circuit === 'string') return this.#refused(circuit)
        const request = this.#requests.getStore()
        if (request === undefined) this.#circuits.end(circuit)
        else request.circuit = circuit
        return false
      },
    }
  }

  #admitReservation(source: PeerId): Refusal | undefined {
    const reservations = this.#stock?.reservations
    if (reservations === undefined) return 'full'
    const [connection] = this.#directTo(source)
    const ip = connection === undefined ? undefined : hostOf(connection.remoteAddr.toString())
    const ofIp = [...reservations.values()].filter(({ addr }) => hostOf(addr.toString()) === ip)
    const renewal = reservations.has(source)
    return admitReservation({ total: reservations.size, ofIp: ofIp.length, renewal })
  }

  #refused(refusal: Refusal | undefined): boolean {
    const request = this.#requests.getStore()
    if (refusal !== undefined && request !== undefined) request.refusal = refusal
    return refusal !== undefined
  }
}

/** A libp2p service that relays for others while it is told to. */
export function relayService(
  init?: RelayServiceInit,
): (components: RelayServiceComponents) => RelayService {
  return (components) => new RelayService(components, init)
}

/** The protocol id by which relays are recognised. */
export const RELAY_PROTOCOL = RELAY_V2_HOP_CODEC

function defaultLimit(): CircuitLimit {
  return { seconds: SERVING_LIMITS.circuitSeconds, bytes: SERVING_LIMITS.circuitBytes }
}

/**
 * The stock server's expiry signals cannot be reset twice (an older alarm still fires and ends a
 * renewed reservation and its circuits), so every new reservation gets one that can.
 */
function repairExpiry(reservations: StockServer['reservations']): void {
  const set = reservations.set.bind(reservations)
  const repaired = new WeakSet<RelayReservation>()
  reservations.set = (peer, reservation) => {
    if (!repaired.has(reservation)) {
      repaired.add(reservation)
      reservation.signal.clear()
      reservation.signal = expirySignal(SERVING_LIMITS.reservationTtlMs, () => {
        if (reservations.get(peer) === reservation) reservations.delete(peer)
      })
    }
    reservation.expiry = new Date(Date.now() + SERVING_LIMITS.reservationTtlMs)
    return set(peer, reservation)
  }
}

/** libp2p's components are a proxy themselves and cannot be spread. */
function pick(components: RelayServiceComponents): CircuitRelayServerComponents {
  const { registrar, peerStore, addressManager, peerId, privateKey } = components
  const { connectionManager, connectionGater, logger } = components
  return {
    registrar,
    peerStore,
    addressManager,
    peerId,
    privateKey,
    connectionManager,
    connectionGater,
    logger,
  }
}

function hostOf(address: string): string | undefined {
  return parseAddress(address)?.host
}
