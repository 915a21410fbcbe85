import type { PeerId, TypedEventTarget } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import { multiaddr } from '@multiformats/multiaddr'

/**
 * Reservations asked for at once. With the stock value of 1, whatever waits in the store's queue is
 * dropped without an answer when the one under way succeeds.
 */
const CONCURRENCY = 8

/** What a relay granted; the time is in seconds, by its clock. */
export interface Reservation {
  expire: bigint
  addrs: Uint8Array[]
}

interface Stored {
  timeout: NodeJS.Timeout
  reservation: Reservation
}

interface StoreEvents {
  'relay:created-reservation': CustomEvent<{ relay: PeerId; details: Stored }>
  'relay:removed': CustomEvent<{ relay: PeerId }>
}

/** The parts of the stock reservation store that we use; the lower three are private by type only. */
interface StockStore extends TypedEventTarget<StoreEvents> {
  addRelay(peer: PeerId, type: 'configured'): Promise<{ details: Stored }>
  getReservation(peer: PeerId): Reservation | undefined
  readonly reserveQueue: { concurrency: number }
  readonly reservations: {
    get(peer: PeerId): Stored | undefined
    set(peer: PeerId, stored: Stored): unknown
    delete(peer: PeerId): boolean
  }
  readonly relayFilter: { remove?(bytes: Uint8Array): boolean }
}

/** What happens to reservations without our asking. */
export interface ReservationWatch {
  created(relay: PeerId, reservation: Reservation): void
  removed(relay: PeerId): void
}

/** The stock client's reservations, which are made, renewed and forgotten when we say so and not by its timers. */
export class StockReservations {
  readonly #store: StockStore
  readonly #watch: ReservationWatch
  /** Whoever asks is told the answer, and nobody else. */
  readonly #asking = new Set<string>()

  constructor(transportManager: TransportManager, watch: ReservationWatch) {
    this.#store = findStore(transportManager)
    this.#store.reserveQueue.concurrency = CONCURRENCY
    this.#watch = watch
  }

  start(): void {
    this.#store.addEventListener('relay:created-reservation', this.#onCreated)
    this.#store.addEventListener('relay:removed', this.#onRemoved)
  }

  stop(): void {
    this.#store.removeEventListener('relay:created-reservation', this.#onCreated)
    this.#store.removeEventListener('relay:removed', this.#onRemoved)
  }

  has(relay: PeerId): boolean {
    return this.#store.getReservation(relay) !== undefined
  }

  /** The relay's addresses as it listed them. */
  addresses(relay: PeerId): string[] {
    return (this.#store.getReservation(relay)?.addrs ?? []).flatMap(readMultiaddr)
  }

  /** Asks for a reservation on the connection that there is. */
  async make(relay: PeerId, signal: AbortSignal): Promise<Reservation> {
    const ask = () => within(this.#store.addRelay(relay, 'configured'), signal)
    const key = relay.toString()
    this.#asking.add(key)
    try {
      // The stock discovery asks at the same moment, only to find that it needs no relay; we got its answer.
      const { details } = await ask().catch((err: Error) => {
        if (err.name !== 'HadEnoughRelaysError') throw err
        return ask()
      })
      this.#stopTimer(relay)
      return details.reservation
    } catch (err) {
      // The store never again asks a relay that once did not speak the protocol; ours may have learnt it.
      this.#store.relayFilter.remove?.(relay.toMultihash().bytes)
      throw err
    } finally {
      this.#asking.delete(key)
    }
  }

  /** When it fails the relay still keeps its promise; the stock store would drop it, and the address with it. */
  async renew(relay: PeerId, signal: AbortSignal, holds: () => boolean): Promise<Reservation> {
    const before = this.#store.reservations.get(relay)
    try {
      return await this.make(relay, signal)
    } catch (err) {
      if (before !== undefined && holds()) this.#store.reservations.set(relay, before)
      else this.#watch.removed(relay)
      throw err
    }
  }

  /** The protocol knows no way to give a reservation back: it is only not renewed. */
  forget(relay: PeerId): void {
    this.#stopTimer(relay)
    this.#store.reservations.delete(relay)
  }

  #stopTimer(relay: PeerId): void {
    clearTimeout(this.#store.reservations.get(relay)?.timeout)
  }

  readonly #onCreated = ({ detail }: StoreEvents['relay:created-reservation']): void => {
    this.#stopTimer(detail.relay)
    if (this.#asking.has(detail.relay.toString())) return
    this.#watch.created(detail.relay, detail.details.reservation)
  }

  readonly #onRemoved = ({ detail }: StoreEvents['relay:removed']): void => {
    if (!this.#asking.has(detail.relay.toString())) this.#watch.removed(detail.relay)
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

function readMultiaddr(bytes: Uint8Array): string[] {
  try {
    return [multiaddr(bytes).toString()]
  } catch {
    return [] // a relay may list what we cannot read
  }
}
