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
import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { networksOf, parseAddress } from '../../protocols/kernel/address.ts'
import { circuitAddresses } from '../../protocols/relaying/addresses.ts'
import type { Candidate, Failure } from '../../protocols/relaying/candidates.ts'
import { RelayKeeper } from '../../protocols/relaying/keeper.ts'
import type { KeeperInput, KeeperOutput, KeptRelay } from '../../protocols/relaying/keeper.ts'
import { KEEPER_LIMITS } from '../../protocols/relaying/limits.ts'
import { isDirect, relayOf } from '../net/connection.ts'
import { speaks } from '../net/speaks.ts'
import type { TestResult } from './circuit-test.ts'
import { systemClock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { StockReservations } from './stock-reservations.ts'
import type { Reservation } from './stock-reservations.ts'

export interface RelayingDeps {
  peerId: PeerId
  transportManager: TransportManager
  connectionManager: ConnectionManager
  peerStore: PeerStore
  events: TypedEventTarget<Libp2pEvents>
  /** Makes sure that there is a direct connection to the peer, which was last reached at `address`. */
  dial(peer: string, signal: AbortSignal, address?: string): Promise<unknown>
  /** Whether the relay at the other end passes anything on. */
  test(relay: Connection, signal: AbortSignal, rttMs?: number): Promise<TestResult>
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

/** A relay whose clock is behind grants what seems over already: such a reservation is renewed every minute. */
const MIN_HOLD_MS = 90_000

/** No relay promises more than a day; one whose clock is ahead may seem to. */
const MAX_HOLD_MS = 24 * 3_600_000

/** Carries out what the relay keeper decides, with the stock circuit relay transport. */
export class RelayingDriver {
  readonly #deps: RelayingDeps
  readonly #keeper = new RelayKeeper(Math.random)
  readonly #reservations: StockReservations
  /** Where relays were reached: one that restarts said farewell, and nobody else knows it any more. */
  readonly #reachedAt = new BoundedMap<string, string>(KEEPER_LIMITS.maxCandidates)
  #driven: Driven<KeeperInput> | undefined
  #stopping = new AbortController()

  constructor(deps: RelayingDeps) {
    this.#deps = deps
    this.#reservations = new StockReservations(deps.transportManager, {
      created: (relay, reservation) => this.#granted(relay, reservation),
      removed: (relay) => this.#removed(relay),
    })
  }

  start(): void {
    this.#stopping = new AbortController()
    this.#driven = drive(this.#keeper, (output) => this.#perform(output))
    this.#reservations.start()
    this.#deps.events.addEventListener('peer:identify', this.#onIdentify)
    this.#deps.events.addEventListener('connection:close', this.#onClose)
  }

  /** Reservations end with the connections that the node closes afterwards. */
  stop(): void {
    this.need(false)
    this.#stopping.abort(new Error('the node is stopping'))
    this.#reservations.stop()
    this.#deps.events.removeEventListener('peer:identify', this.#onIdentify)
    this.#deps.events.removeEventListener('connection:close', this.#onClose)
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

  /** A round trip was measured on a connection: to a relay, or through one to a peer. */
  measured(connection: Connection, rttMs: number): void {
    const via = relayOf(connection)
    if (via !== undefined) this.#driven?.feed({ type: 'measured', peer: via, pathMs: rttMs })
    else this.#driven?.feed({ type: 'measured', peer: connection.remotePeer.toString(), rttMs })
  }

  /** What is held or asked for, sound ones first, and what is next in turn. */
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
    const reachedAt = this.#direct(id)?.remoteAddr.toString() ?? ''
    const listed = this.#reservations.addresses(id)
    return circuitAddresses(peer, this.#deps.peerId.toString(), reachedAt, listed)
  }

  #perform(output: KeeperOutput): void {
    switch (output.type) {
      case 'reach':
        return void this.#within(KEEPER_LIMITS.reachMs, output.peer, this.#reach)
      case 'reserve':
        return void this.#within(KEEPER_LIMITS.answerMs, output.peer, this.#reserve)
      case 'renew':
        return void this.#within(KEEPER_LIMITS.answerMs, output.peer, this.#renew)
      case 'test':
        return void this.#test(output.peer)
      case 'release':
        return this.#reservations.forget(peerIdFromString(output.peer))
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

  /** Does a piece of work with a relay, and tells the keeper when it fails. */
  async #within(
    ms: number,
    peer: string,
    work: (id: PeerId, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    // A little less than the keeper waits, so that the true reason comes before its own.
    const deadline = AbortSignal.timeout(ms - 500)
    const signal = AbortSignal.any([deadline, this.#stopping.signal])
    try {
      await work(peerIdFromString(peer), signal)
    } catch (err) {
      this.#driven?.feed({ type: 'failed', peer, failure: failureOf(err) })
    }
  }

  readonly #reach = async (id: PeerId, signal: AbortSignal): Promise<void> => {
    const peer = id.toString()
    if (this.#direct(id) === undefined) {
      await this.#deps.dial(peer, signal, this.#reachedAt.get(peer))
    }
    if (this.#direct(id) === undefined) throw new Error('there is no direct connection')
    // Asked before the stock store is, which would bar the peer for good.
    if (!(await this.#speaksRelay(id, signal))) throw new NoRelayError('it relays for nobody')
    this.#driven?.feed({ type: 'reached', peer })
  }

  readonly #reserve = async (id: PeerId, signal: AbortSignal): Promise<void> => {
    const connection = this.#direct(id)
    if (connection === undefined) throw new Error('the connection to the relay closed')
    const began = performance.now()
    const reservation = await this.#reservations.make(id, signal)
    // Nothing better may be known yet, and the first test should not wait for as long as the farthest relay may take.
    if (this.#rttOf(id) === undefined) this.measured(connection, performance.now() - began)
    if (connection.direction === 'outbound') {
      this.#reachedAt.set(id.toString(), connection.remoteAddr.toString())
    }
    this.#granted(id, reservation)
  }

  readonly #renew = async (id: PeerId, signal: AbortSignal): Promise<void> => {
    const holds = (): boolean => this.#direct(id) !== undefined
    this.#granted(id, await this.#reservations.renew(id, signal, holds))
  }

  async #test(peer: string): Promise<void> {
    const id = peerIdFromString(peer)
    const connection = this.#direct(id)
    const result: TestResult =
      connection === undefined
        ? { outcome: 'unclear' }
        : await this.#deps.test(connection, this.#stopping.signal, this.#rttOf(id))
    this.#driven?.feed({ type: 'tested', peer, ...result })
  }

  async #speaksRelay(id: PeerId, signal: AbortSignal): Promise<boolean> {
    const { events, peerStore } = this.#deps
    const wait = AbortSignal.any([signal, AbortSignal.timeout(IDENTIFY_MS)])
    const { promise: identified, resolve } = Promise.withResolvers<void>()
    const onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
      if (detail.peerId.equals(id)) resolve()
    }
    wait.addEventListener('abort', () => resolve(), { once: true })
    events.addEventListener('peer:identify', onIdentify)
    try {
      if (await speaks(peerStore, id, RELAY_V2_HOP_CODEC)) return true
      await identified
      signal.throwIfAborted()
      return await speaks(peerStore, id, RELAY_V2_HOP_CODEC)
    } finally {
      events.removeEventListener('peer:identify', onIdentify)
    }
  }

  #rttOf(id: PeerId): number | undefined {
    return this.relays().find(({ peer }) => peer === id.toString())?.rttMs
  }

  #direct(id: PeerId): Connection | undefined {
    const all = this.#deps.connectionManager.getConnections(id)
    return all.find(({ direct, status }) => direct && status === 'open')
  }

  /** The time is by the relay's clock. */
  #granted(id: PeerId, { expire }: Reservation): void {
    const now = systemClock.now()
    const until = Math.min(Math.max(Number(expire) * 1000, now + MIN_HOLD_MS), now + MAX_HOLD_MS)
    this.#driven?.feed({ type: 'granted', peer: id.toString(), until })
  }

  #removed(id: PeerId): void {
    const connected = this.#direct(id) !== undefined
    const reason = connected ? 'the reservation ended' : 'the connection to it closed'
    this.#driven?.feed({ type: 'lost', peer: id.toString(), reason })
  }

  readonly #onClose = ({ detail }: CustomEvent<Connection>): void => {
    if (!isDirect(detail) || this.#direct(detail.remotePeer) !== undefined) return
    this.#driven?.feed({ type: 'cut', peer: detail.remotePeer.toString() })
  }

  /** Who relays says so in identify, and who stopped it pushes a new one. */
  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { connection, peerId } = detail
    const peer = peerId.toString()
    if (detail.protocols.includes(RELAY_V2_HOP_CODEC)) {
      if (!connection.direct) return
      const group = groupOf(connection)
      const known = group === undefined ? {} : { group }
      this.candidate({ peer, source: 'connected', connected: true, ...known })
    } else {
      const had = this.#reservations.has(peerId)
      this.#reservations.forget(peerId)
      if (had) this.#driven?.feed({ type: 'lost', peer, reason: 'it stopped relaying' })
      this.#driven?.feed({ type: 'cut', peer })
    }
  }
}

/** The peer says that it does not speak the protocol. */
class NoRelayError extends Error {}

function failureOf(err: unknown): Failure {
  const { name, message } = err instanceof Error ? err : { name: '', message: '' }
  if (name === 'UnsupportedProtocolError' || err instanceof NoRelayError) return 'unsupported'
  return message.startsWith('reservation failed with status') ? 'refused' : 'unreachable'
}

function groupOf(connection: Connection): string | undefined {
  const parsed = parseAddress(connection.remoteAddr.toString())
  return parsed === undefined ? undefined : networksOf(parsed.host)?.wide
}
