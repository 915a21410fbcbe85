import { AsyncLocalStorage } from 'node:async_hooks'
import { circuitRelayServer, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { CircuitRelayServerComponents } from '@libp2p/circuit-relay-v2'
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
import { capacityOf } from '../../protocols/relaying/capacity.ts'
import type { Resources } from '../../protocols/relaying/capacity.ts'
import { Ledger } from '../../protocols/relaying/ledger.ts'
import type { Budgets, Party } from '../../protocols/relaying/ledger.ts'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import type { CircuitLimit } from '../../protocols/relaying/limits.ts'
import * as wire from '../../protocols/relaying/wire.ts'
import { parseAddress } from '../../protocols/kernel/address.ts'
import { overlay } from '../net/overlay.ts'
import { Circuits, rewriteFirst } from './relay-circuits.ts'
import type { Circuit } from './relay-circuits.ts'
import { systemClock } from './clock.ts'
import { HostResources, MEASURE_MS } from './resources.ts'
import { pick, repairExpiry } from './stock-server.ts'
import type { StockServer } from './stock-server.ts'

export type RelayServiceComponents = CircuitRelayServerComponents & {
  events: TypedEventTarget<Libp2pEvents>
}

export interface RelayServiceInit {
  /** What a circuit between two peers may use at most; undefined for no limit. Default: what members may. */
  limitFor?: (source: string, target: string) => CircuitLimit | undefined
  /** What the host has to give. Default: what is measured of this process. */
  resources?: () => Resources
  /** What `capacity` tells has changed by much. */
  changed?: () => void
}

/** How many reservations this host can give, and how many more. */
export interface SlotCount {
  slotsTotal: number
  slotsFree: number
}

/** One relay request while the stock service handles it. */
interface Request {
  readonly source: Party
  /** Our own status, in place of the stock server's. */
  status?: number
  circuit?: Circuit
  stop?: Stream
  carried: boolean
}

/** Where nobody says otherwise: libp2p's own limit of connections. */
const STOCK_CONNECTIONS = 300

/** Changes of one part in so many are told. */
const NEWS_SHARE = 8

/** The stock relay server as a service that can be switched on and off, counted and bounded. */
export class RelayService {
  readonly #components: RelayServiceComponents
  readonly #limitFor: NonNullable<RelayServiceInit['limitFor']>
  readonly #changed: () => void
  readonly #resources: () => Resources
  readonly #requests = new AsyncLocalStorage<Request>()
  readonly #ledger: Ledger
  readonly #circuits: Circuits
  #measuring: NodeJS.Timeout | undefined
  #told: SlotCount = { slotsTotal: 0, slotsFree: 0 }
  #stock: StockServer | undefined
  /** Switching takes a moment; the next switch waits for the one before. */
  #switching: Promise<void> = Promise.resolve()

  constructor(components: RelayServiceComponents, init: RelayServiceInit = {}) {
    this.#components = components
    this.#limitFor = init.limitFor ?? (() => SERVING_LIMITS.member)
    this.#changed = init.changed ?? (() => {})
    const host = new HostResources(STOCK_CONNECTIONS)
    this.#resources = init.resources ?? (() => host.measure())
    const nothing = { reservations: 0, circuits: 0 }
    this.#ledger = new Ledger(capacityOf(this.#resources(), nothing), systemClock.now())
    this.#circuits = new Circuits(this.#ledger)
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

  /** What is left of what this host gives. */
  budgets(): Budgets {
    return this.#ledger.budgets(systemClock.now())
  }

  /** What other members are told: about what there is, so that not every reservation makes a new record. */
  capacity(): SlotCount {
    const now = this.#slots()
    if (isNews(now, this.#told)) this.#told = now
    return this.#told
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
      hopTimeout: SERVING_LIMITS.requestMs,
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
    this.#count(stock.reservations)
    await stock.start()
    this.#stock = stock
    this.#measure()
    this.#measuring = setInterval(() => this.#measure(), MEASURE_MS).unref()
  }

  async #switchOff(): Promise<void> {
    const stock = this.#stock
    if (stock === undefined) return
    this.#stock = undefined
    clearInterval(this.#measuring)
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

  #measure(): void {
    const given = { reservations: this.stats().reservations, circuits: this.#circuits.size }
    this.#ledger.resize(capacityOf(this.#resources(), given))
    this.#tell()
  }

  #slots(): SlotCount {
    const { reservations, busy } = this.budgets()
    const { used, limit } = reservations
    return { slotsTotal: limit, slotsFree: busy ? 0 : Math.max(0, limit - used) }
  }

  #tell(): void {
    const before = this.#told
    if (this.capacity() !== before) this.#changed()
  }

  /** Whoever is in the stock server's map holds a reservation, and nobody else. */
  #count(reservations: StockServer['reservations']): void {
    const set = reservations.set.bind(reservations)
    const remove = reservations.delete.bind(reservations)
    const clear = reservations.clear.bind(reservations)
    reservations.set = (peer, reservation) => {
      this.#ledger.reserved(partyOf(peer, reservation.addr.toString()))
      this.#tell()
      return set(peer, reservation)
    }
    reservations.delete = (peer) => {
      this.#ledger.released(peer.toString())
      this.#tell()
      return remove(peer)
    }
    reservations.clear = () => {
      for (const peer of reservations.keys()) this.#ledger.released(peer.toString())
      clear()
    }
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
      const source = partyOf(connection.remotePeer, connection.remoteAddr.toString())
      if (this.#ledger.ask(source.peer) !== undefined) return await refuseUnread(stream)
      const request: Request = { source, carried: false }
      rewriteFirst(stream, (message) => this.#answer(request, stream, message))
      try {
        await this.#requests.run(request, async () => handler(stream, connection))
      } finally {
        this.#ledger.answered(source.peer)
        if (request.circuit !== undefined && !request.carried) this.#circuits.end(request.circuit)
      }
    }
  }

  /** The stock server's answer, with our status for our refusals and the limit in its true units. */
  #answer(request: Request, hop: Stream, message: Uint8Array): Uint8Array {
    if (request.status !== undefined) return wire.hopWithStatus(message, request.status)
    if (wire.readHopAnswer(message)?.status !== wire.STATUS_OK) return message
    const { circuit, stop, source } = request
    if (circuit !== undefined && stop !== undefined) {
      request.carried = true
      // The answer itself is still on its way out and is no relayed byte.
      queueMicrotask(() => this.#circuits.carry(circuit, hop, stop))
    }
    const limit = circuit === undefined ? this.#limitFor(source.peer, source.peer) : circuit.limit
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
      const limit = request.circuit?.limit
      if (limit !== undefined) {
        rewriteFirst(stream, (message) => wire.stopWithLimit(message, limit))
      }
      return stream
    }
    return overlay(connection, { newStream })
  }

  /** The node's own gater decides first; our ledger second. */
  #admission(gater: ConnectionGater): Partial<ConnectionGater> {
    return {
      denyInboundRelayReservation: async (peer) => {
        if ((await gater.denyInboundRelayReservation?.(peer)) === true) return true
        const request = this.#requests.getStore()
        const party = request?.source ?? { peer: peer.toString() }
        const refusal = this.#ledger.admitReservation(party, systemClock.now())
        return refusal !== undefined && refuse(request, wire.STATUS_RESERVATION_REFUSED)
      },
      denyOutboundRelayedConnection: async (peer, target) => {
        if ((await gater.denyOutboundRelayedConnection?.(peer, target)) === true) return true
        const request = this.#requests.getStore()
        const source = request?.source ?? { peer: peer.toString() }
        const wanted = this.#limitFor(source.peer, target.toString())
        const circuit = this.#circuits.begin(source, target.toString(), wanted)
        if (typeof circuit === 'string') return refuse(request, wire.STATUS_RESOURCE_LIMIT_EXCEEDED)
        if (request === undefined) this.#circuits.end(circuit)
        else request.circuit = circuit
        return false
      },
    }
  }
}

/** The stock server says "permission denied" of whatever the gater refuses; our answer says what it is. */
function refuse(request: Request | undefined, status: number): true {
  if (request !== undefined) request.status = status
  return true
}

/** More requests than are answered at a time: not worth reading. */
async function refuseUnread(stream: Stream): Promise<void> {
  stream.send(wire.frame(wire.hopRefusal(wire.STATUS_RESOURCE_LIMIT_EXCEEDED)))
  await stream.close({ signal: AbortSignal.timeout(SERVING_LIMITS.requestMs) })
}

/** A libp2p service that relays for others while it is told to. */
export function relayService(
  init?: RelayServiceInit,
): (components: RelayServiceComponents) => RelayService {
  return (components) => new RelayService(components, init)
}

/** The protocol id by which relays are recognised. */
export const RELAY_PROTOCOL = RELAY_V2_HOP_CODEC

function partyOf(peer: PeerId, address: string): Party {
  const host = parseAddress(address)?.host
  return { peer: peer.toString(), ...(host === undefined ? {} : { host }) }
}

/** Not every reservation is news for all members: an eighth more or less is, and the last and the first one. */
function isNews(now: SlotCount, was: SlotCount): boolean {
  const moved = Math.max(
    Math.abs(now.slotsTotal - was.slotsTotal),
    Math.abs(now.slotsFree - was.slotsFree),
  )
  return now.slotsFree > 0 !== was.slotsFree > 0 || moved * NEWS_SHARE >= now.slotsTotal
}
