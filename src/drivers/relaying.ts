import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type {
  Connection,
  IdentifyResult,
  Libp2pEvents,
  PeerId,
  PeerStore,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager, TransportManager } from '@libp2p/interface-internal'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { circuitAddresses } from '../../protocols/relaying/addresses.ts'
import { networksOf, parseAddress } from '../../protocols/kernel/address.ts'
import { RelayKeeper } from '../../protocols/relaying/keeper.ts'
import type {
  Candidate,
  Failure,
  KeeperInput,
  KeeperOutput,
  KeptRelay,
} from '../../protocols/relaying/keeper.ts'
import { KEEPER_LIMITS } from '../../protocols/relaying/limits.ts'
import { speaks } from '../net/speaks.ts'
import { systemClock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'

export interface RelayingDeps {
  peerId: PeerId
  transportManager: TransportManager
  connectionManager: ConnectionManager
  peerStore: PeerStore
  events: TypedEventTarget<Libp2pEvents>
  /** Makes sure that there is a direct connection to the peer. */
  dial(peer: string, signal: AbortSignal): Promise<unknown>
  publish(
    event:
      | { type: 'relay:held'; peer: string; until: string }
      | { type: 'relay:lost'; peer: string; reason: string },
  ): void
  /** The addresses of `held()` are not what they were. */
  changed(): void
}

/** A reservation held, and the addresses that come with it, best first. */
export interface HeldRelay {
  peer: string
  until: Date
  addresses: string[]
}

/** How long a new connection may take to say which protocols the peer speaks. */
const IDENTIFY_MS = 3_000

/**
 * Reservations asked for at once. With the stock value of 1, whatever waits in the store's queue is
 * dropped without an answer when the one under way succeeds.
 */
const CONCURRENCY = 8

/**
 * A relay whose clock is behind grants what seems over already. The stock store then renews every 30 s,
 * so that such a reservation lives from one renewal to the next.
 */
const MIN_HOLD_MS = 90_000

/** No relay promises more than a day; one whose clock is ahead may seem to. */
const MAX_HOLD_MS = 24 * 3_600_000

interface Reservation {
  expire: bigint
  addrs: Uint8Array[]
}

interface StoreEvents {
  'relay:created-reservation': CustomEvent<{ relay: PeerId; details: { reservation: Reservation } }>
  'relay:removed': CustomEvent<{ relay: PeerId }>
}

/** The parts of the stock reservation store that we use; the lower three are private by type only. */
interface StockStore extends TypedEventTarget<StoreEvents> {
  addRelay(peer: PeerId, type: 'configured'): Promise<{ details: { reservation: Reservation } }>
  getReservation(peer: PeerId): Reservation | undefined
  readonly reserveQueue: { concurrency: number }
  readonly reservations: {
    get(peer: PeerId): { timeout: NodeJS.Timeout } | undefined
    delete(peer: PeerId): boolean
  }
  readonly relayFilter: { remove?(bytes: Uint8Array): boolean }
}

/** Carries out what the relay keeper decides, with the stock circuit relay transport. */
export class RelayingDriver {
  readonly #deps: RelayingDeps
  readonly #keeper = new RelayKeeper(Math.random)
  readonly #store: StockStore
  #driven: Driven<KeeperInput> | undefined
  #stopping = new AbortController()

  constructor(deps: RelayingDeps) {
    this.#deps = deps
    this.#store = findStore(deps.transportManager)
    this.#store.reserveQueue.concurrency = CONCURRENCY
  }

  start(): void {
    this.#stopping = new AbortController()
    this.#driven = drive(this.#keeper, (output) => this.#perform(output))
    this.#store.addEventListener('relay:created-reservation', this.#onCreated)
    this.#store.addEventListener('relay:removed', this.#onRemoved)
    this.#deps.events.addEventListener('peer:identify', this.#onIdentify)
  }

  /** Reservations end with the connections that the node closes afterwards. */
  stop(): void {
    this.need(false)
    this.#stopping.abort(new Error('the node is stopping'))
    this.#store.removeEventListener('relay:created-reservation', this.#onCreated)
    this.#store.removeEventListener('relay:removed', this.#onRemoved)
    this.#deps.events.removeEventListener('peer:identify', this.#onIdentify)
    this.#driven?.[Symbol.dispose]()
    this.#driven = undefined
  }

  /** Whether this node needs relays: it does unless strangers can reach it. */
  need(need: boolean): void {
    this.#driven?.feed({ type: 'need', need })
  }

  /** A peer that is said to relay. Connected peers that do are found without help. */
  candidate(candidate: Candidate): void {
    if (candidate.peer === this.#deps.peerId.toString()) return
    this.#driven?.feed({ type: 'candidate', ...candidate })
  }

  candidateGone(peer: string): void {
    this.#driven?.feed({ type: 'candidate-gone', peer })
  }

  /** What is held or being asked for. */
  relays(): KeptRelay[] {
    return this.#keeper.relays()
  }

  held(): HeldRelay[] {
    return this.relays().flatMap(({ peer, state, until }) => {
      if (state !== 'held' || until === undefined) return []
      return [{ peer, until: new Date(until), addresses: this.#addresses(peer) }]
    })
  }

  #addresses(peer: string): string[] {
    const id = peerIdFromString(peer)
    const listed = (this.#store.getReservation(id)?.addrs ?? []).flatMap(readMultiaddr)
    const reachedAt = this.#direct(id)?.remoteAddr.toString() ?? ''
    return circuitAddresses(peer, this.#deps.peerId.toString(), reachedAt, listed)
  }

  #perform(output: KeeperOutput): void {
    switch (output.type) {
      case 'dial-and-reserve':
        void this.#reserve(output.peer)
        return
      case 'release':
        return this.#forget(peerIdFromString(output.peer))
      case 'relay.held':
        this.#deps.publish({
          type: 'relay:held',
          peer: output.peer,
          until: new Date(output.until).toISOString(),
        })
        return this.#deps.changed()
      case 'relay.renewed':
        return this.#deps.changed()
      case 'relay.lost':
        this.#deps.publish({ type: 'relay:lost', peer: output.peer, reason: output.reason })
        return this.#deps.changed()
    }
  }

  async #reserve(peer: string): Promise<void> {
    // A little less than the keeper waits, so that the true reason comes before its own.
    const deadline = AbortSignal.timeout(KEEPER_LIMITS.answerMs - 500)
    const signal = AbortSignal.any([deadline, this.#stopping.signal])
    const id = peerIdFromString(peer)
    try {
      if (this.#direct(id) === undefined) await this.#deps.dial(peer, signal)
      if (!(await this.#speaksRelay(id, signal))) return this.#failed(peer, 'unsupported')
      const { details } = await within(this.#store.addRelay(id, 'configured'), signal)
      this.#granted(peer, details.reservation)
    } catch (err) {
      // The store never again asks a relay that once did not speak the protocol; ours may have learnt it.
      this.#store.relayFilter.remove?.(id.toMultihash().bytes)
      this.#failed(peer, failureOf(err))
    }
  }

  /** Asked before the stock store is, which would bar the peer for good. */
  async #speaksRelay(id: PeerId, signal: AbortSignal): Promise<boolean> {
    const { events, peerStore } = this.#deps
    const { promise: identified, resolve } = Promise.withResolvers<void>()
    const onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
      if (detail.peerId.equals(id)) resolve()
    }
    events.addEventListener('peer:identify', onIdentify)
    try {
      if (await speaks(peerStore, id, RELAY_V2_HOP_CODEC)) return true
      const wait = AbortSignal.any([signal, AbortSignal.timeout(IDENTIFY_MS)])
      await within(identified, wait).catch(() => {})
      signal.throwIfAborted()
      return await speaks(peerStore, id, RELAY_V2_HOP_CODEC)
    } finally {
      events.removeEventListener('peer:identify', onIdentify)
    }
  }

  #direct(id: PeerId): Connection | undefined {
    const all = this.#deps.connectionManager.getConnections(id)
    return all.find(({ direct, status }) => direct && status === 'open')
  }

  /** The protocol knows no way to give a reservation back: we only stop renewing it. */
  #forget(id: PeerId): void {
    clearTimeout(this.#store.reservations.get(id)?.timeout)
    this.#store.reservations.delete(id)
  }

  /** The time is by the relay's clock. */
  #granted(peer: string, { expire }: Reservation): void {
    const now = systemClock.now()
    const until = Math.min(Math.max(Number(expire) * 1000, now + MIN_HOLD_MS), now + MAX_HOLD_MS)
    this.#driven?.feed({ type: 'granted', peer, until })
  }

  #failed(peer: string, failure: Failure): void {
    this.#driven?.feed({ type: 'failed', peer, failure })
  }

  readonly #onCreated = ({ detail }: StoreEvents['relay:created-reservation']): void => {
    this.#granted(detail.relay.toString(), detail.details.reservation)
  }

  readonly #onRemoved = ({ detail }: StoreEvents['relay:removed']): void => {
    const connected = this.#direct(detail.relay) !== undefined
    const reason = connected ? 'it did not renew the reservation' : 'the connection to it closed'
    this.#driven?.feed({ type: 'lost', peer: detail.relay.toString(), reason })
  }

  /** Who relays says so in identify, and who stopped it pushes a new one. */
  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const peer = detail.peerId.toString()
    if (detail.protocols.includes(RELAY_V2_HOP_CODEC)) {
      if (!detail.connection.direct) return
      const { connection } = detail
      const group = groupOf(connection)
      const known = { ...(group === undefined ? {} : { group }), ...rttOf(connection) }
      this.candidate({ peer, source: 'connected', ready: true, ...known })
    } else if (this.#store.getReservation(detail.peerId) !== undefined) {
      this.#forget(detail.peerId)
      this.#driven?.feed({ type: 'lost', peer, reason: 'it stopped relaying' })
    }
  }
}

function findStore(transportManager: TransportManager): StockStore {
  const transport = transportManager
    .getTransports()
    .find((each) => each[Symbol.toStringTag] === '@libp2p/circuit-relay-v2-transport')
  if (transport === undefined) throw new Error('libp2p runs without the circuit relay transport')
  return (transport as unknown as { reservationStore: StockStore }).reservationStore
}

/** Settles as `work` does, or rejects when the signal fires first. */
async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function failureOf(err: unknown): Failure {
  const { name, message } = err instanceof Error ? err : { name: '', message: '' }
  if (name === 'UnsupportedProtocolError') return 'unsupported'
  return message.startsWith('reservation failed with status') ? 'refused' : 'unreachable'
}

function readMultiaddr(bytes: Uint8Array): string[] {
  try {
    return [multiaddr(bytes).toString()]
  } catch {
    return [] // a relay may list what we cannot read
  }
}

function groupOf(connection: Connection): string | undefined {
  const parsed = parseAddress(connection.remoteAddr.toString())
  return parsed === undefined ? undefined : networksOf(parsed.host)?.wide
}

function rttOf({ rtt }: Connection): { rttMs?: number } {
  return rtt === undefined ? {} : { rttMs: rtt }
}
