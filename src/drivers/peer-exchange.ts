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
import { lpStream } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { LengthPrefixedStream } from '@libp2p/utils'
import type { BookEntry } from '../../protocols/peer-exchange/address-book.ts'
import { PROTOCOL, decodeFrame, encodeFrame } from '../../protocols/peer-exchange/codec.ts'
import type { Fault } from '../../protocols/peer-exchange/codec.ts'
import { PeerExchange } from '../../protocols/peer-exchange/exchange.ts'
import type { Input, Output } from '../../protocols/peer-exchange/exchange.ts'
import type { Scope } from '../../protocols/peer-exchange/hygiene.ts'
import { limits } from '../../protocols/peer-exchange/limits.ts'
import type { Frame } from '../../protocols/peer-exchange/messages.ts'
import type { SelfFacts } from '../../protocols/peer-exchange/record.ts'
import { decodeSnapshot, encodeSnapshot } from '../../protocols/peer-exchange/snapshot.ts'
import { wallClock } from './clock.ts'
import type { Clock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { isGenuine, networkIdOf, notation, seal } from './peer-exchange-records.ts'

export type { SelfFacts } from '../../protocols/peer-exchange/record.ts'

/** What is known of a peer. Addresses end in `/p2p/<peer>` and are only those that this node may dial. */
export interface KnownPeer extends SelfFacts {
  peer: string
  /** A peer id, or `inbound` (it came to us), `config` (dialled by an address we were given), `book`. */
  knownFrom: string
  /** Unix times in milliseconds. */
  lastSeenAt: number
  expiresAt: number
  seq: number
  /** Whether this node ever had a connection to it. */
  linkedBefore: boolean
}

export type BookChange = { type: 'known' | 'gone'; peer: string }

export interface PeerExchangeDeps {
  registrar: Registrar
  connectionManager: Pick<ConnectionManager, 'getConnections'>
  events: TypedEventTarget<Libp2pEvents>
  peerId: PeerId
  privateKey: PrivateKey
  logger: ComponentLogger
  network: string
  scope: Scope
  /** A peer was not in the book before. */
  found?(peer: string, from: string): void
  /** A peer says at which address it sees us: evidence beside what identify reports. */
  observed?(address: string, by: string): void
  clock?: Clock
  rng?: () => number
}

/** Handing out a farewell; a peer that takes longer finds out by the closed connection. */
const FAREWELL_MS = 500

/** Streams a connection may have open towards us: a greeting, a pull, pushes, a resolve. */
const MAX_INBOUND_STREAMS = 8

/** Puts peer exchange to work on a libp2p node. */
export function createPeerExchange(deps: PeerExchangeDeps): PeerExchangeDriver {
  return new PeerExchangeDriver(deps)
}

/** Carries out what the peer exchange machine decides: streams, signatures, and what the node asks of it. */
export class PeerExchangeDriver {
  readonly #deps: PeerExchangeDeps
  readonly #clock: Clock
  readonly #log: Logger
  readonly #machine: PeerExchange
  readonly #driven: Driven<Input>
  readonly #stopping = new AbortController()
  readonly #listeners = new Set<(change: BookChange) => void>()
  readonly #resolving = new Map<string, PromiseWithResolvers<void>>()
  readonly #replies = new Map<number, Frame>()
  readonly #talking = new Set<Promise<void>>()
  readonly #verifying = new Set<Promise<void>>()
  readonly #left = Promise.withResolvers<void>()
  #requests = 0
  #topology: string | undefined

  constructor(deps: PeerExchangeDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? wallClock
    this.#log = deps.logger.forComponent('warren:peer-exchange')
    this.#machine = new PeerExchange({
      self: deps.peerId.toString(),
      networkId: networkIdOf(deps.network),
      scope: deps.scope,
      notation,
      rng: deps.rng ?? Math.random,
    })
    this.#driven = drive(this.#machine, (output) => this.#perform(output), this.#clock)
  }

  /** Must be called before the node makes connections: peers are met when they are identified. */
  async start(): Promise<void> {
    this.#deps.events.addEventListener('connection:close', this.#onClose)
    await this.#deps.registrar.handle(PROTOCOL, this.#onStream, {
      maxInboundStreams: MAX_INBOUND_STREAMS,
      runOnLimitedConnection: true,
    })
    this.#topology = await this.#deps.registrar.register(PROTOCOL, {
      notifyOnLimitedConnection: true,
      onConnect: (_peer, connection) => this.#connected(connection),
    })
  }

  /** Says farewell and stops. Cannot be started again. */
  async stop(): Promise<void> {
    this.#driven.feed({ type: 'leave' })
    const farewell = this.#left.promise.then(() => Promise.all(this.#talking))
    const timeout = AbortSignal.timeout(FAREWELL_MS)
    await Promise.race([farewell, aborted(timeout)])
    this.#stopping.abort(new Error('peer exchange is stopping'))
    this.#driven[Symbol.dispose]()
    this.#deps.events.removeEventListener('connection:close', this.#onClose)
    if (this.#topology !== undefined) this.#deps.registrar.unregister(this.#topology)
    for (const { resolve } of this.#resolving.values()) resolve()
    await this.#deps.registrar.unhandle(PROTOCOL)
  }

  /** What this node says about itself from now on. */
  setSelf(facts: SelfFacts): void {
    this.#driven.feed({ type: 'self', facts })
  }

  /** Which private addresses are of use, when this node's networks have changed. */
  setScope(scope: Scope): void {
    this.#driven.feed({ type: 'scope', scope })
  }

  /** Everybody whose record is valid now. */
  known(): KnownPeer[] {
    return this.#machine.book.fresh(this.#clock.now()).map(toKnownPeer)
  }

  /** `known()`, and the expired records of peers this node was linked to: whom it may try to dial. */
  candidates(): KnownPeer[] {
    return [...this.#machine.book.all()].map(toKnownPeer)
  }

  /** What the book holds of a peer, an expired record included. */
  get(peer: string): KnownPeer | undefined {
    const entry = this.#machine.book.get(peer)
    return entry === undefined ? undefined : toKnownPeer(entry)
  }

  /** What is known of a peer; asks connected peers unless the book has it. */
  async resolve(
    peer: string,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<KnownPeer | undefined> {
    signal?.throwIfAborted()
    const known = this.get(peer)
    if (known !== undefined && known.expiresAt > this.#clock.now()) return known
    if (this.#stopping.signal.aborted) return known
    const waiting = this.#resolving.get(peer) ?? Promise.withResolvers<void>()
    this.#resolving.set(peer, waiting) // bounded: the machine ends at once what is over its limit
    this.#driven.feed({ type: 'resolve', peer })
    await (signal === undefined
      ? waiting.promise
      : Promise.race([waiting.promise, aborted(signal)]))
    signal?.throwIfAborted()
    return this.get(peer)
  }

  /** The book in bytes, to be kept on disk. */
  snapshot(): Uint8Array {
    return encodeSnapshot(this.#machine.book, this.#machine.ownSeq)
  }

  /** Takes up an earlier book. Every record is verified anew. False when the bytes are not a book. */
  async restore(bytes: Uint8Array): Promise<boolean> {
    const snapshot = decodeSnapshot(bytes)
    if (snapshot === undefined) return false
    this.#driven.feed({ type: 'restore', ...snapshot })
    await Promise.all(this.#verifying)
    return true
  }

  /** Calls back whenever a peer becomes known, changes, or is forgotten. Returns how to stop that. */
  onChange(listener: (change: BookChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // --- what happens -------------------------------------------------------------------------------------

  #connected(connection: Connection): void {
    const peer = connection.remotePeer.toString()
    const limited = this.#connections(connection.remotePeer).every(
      ({ limits }) => limits !== undefined,
    )
    this.#driven.feed({
      type: 'connected',
      peer,
      limited,
      dialled: connection.direction === 'outbound',
      // Through a relay we see the relay.
      ...(connection.direct ? { seenAt: withoutPeer(connection.remoteAddr) } : {}),
    })
  }

  readonly #onClose = ({ detail: { remotePeer } }: CustomEvent<Connection>): void => {
    const [left] = this.#connections(remotePeer)
    if (left === undefined) this.#driven.feed({ type: 'disconnected', peer: remotePeer.toString() })
  }

  readonly #onStream = async (stream: Stream, connection: Connection): Promise<void> => {
    const signal = this.#deadline()
    const peer = connection.remotePeer.toString()
    const channel = framed(stream)
    const frame = await this.#read(channel, peer, signal)
    if (frame === undefined) {
      stream.abort(new Error('no peer exchange frame'))
      return
    }
    // Identify may be slower than the first question, and the answer is noted with the contact.
    this.#connected(connection)
    const exchange = ++this.#requests
    this.#driven.feed({ type: 'request', exchange, peer, frame })
    const reply = this.#replies.get(exchange)
    this.#replies.delete(exchange)
    if (reply !== undefined) await channel.write(encodeFrame(reply), { signal })
    await stream.close({ signal })
  }

  // --- what the machine wants ---------------------------------------------------------------------------

  #perform(output: Output): void {
    switch (output.type) {
      case 'sign':
        void this.#sign(output.seq, output.payload)
        break
      case 'verify':
        track(this.#verifying, this.#verify(output.job, output.signed))
        break
      case 'ask':
        track(this.#talking, this.#ask(output.exchange, output.peer, output.frame))
        break
      case 'tell':
        track(this.#talking, this.#tell(output.peer, output.frame))
        break
      case 'reply':
        if (output.frame !== undefined) this.#replies.set(output.exchange, output.frame)
        break
      case 'found':
        this.#deps.found?.(output.peer, output.from)
        this.#changed({ type: 'known', peer: output.peer })
        break
      case 'changed':
        this.#changed({ type: 'known', peer: output.peer })
        break
      case 'gone':
        this.#changed({ type: 'gone', peer: output.peer })
        break
      case 'resolved':
        this.#resolving.get(output.peer)?.resolve()
        this.#resolving.delete(output.peer)
        break
      case 'fault':
        this.#log('%s sent something wrong: %s', output.peer, output.fault)
        break
      case 'observed':
        this.#deps.observed?.(output.address, output.by)
        break
      case 'left':
        this.#left.resolve()
        break
    }
  }

  #changed(change: BookChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  async #sign(seq: number, payload: Uint8Array): Promise<void> {
    try {
      const envelope = await seal(payload, this.#deps.privateKey)
      this.#driven.feed({ type: 'signed', seq, envelope })
    } catch (err) {
      this.#log.error('could not sign the own record, trying again soon - %e', err)
    }
  }

  async #verify(job: number, signed: Parameters<typeof isGenuine>[0]): Promise<void> {
    const valid = await isGenuine(signed)
    this.#driven.feed({ type: 'verified', job, valid })
  }

  async #ask(exchange: number, peer: string, question: Frame): Promise<void> {
    const frame = await this.#converse(peer, question, (channel, signal) =>
      this.#read(channel, peer, signal),
    )
    this.#driven.feed({ type: 'answer', exchange, frame })
  }

  async #tell(peer: string, frame: Frame): Promise<void> {
    await this.#converse(peer, frame, async () => undefined)
  }

  /** Opens a stream, sends, and lets `then` read what comes back. Failures are answers too: none. */
  async #converse(
    peer: string,
    frame: Frame,
    then: (channel: Channel, signal: AbortSignal) => Promise<Frame | undefined>,
  ): Promise<Frame | undefined> {
    const signal = this.#deadline()
    let stream: Stream | undefined
    try {
      stream = await this.#best(peer)?.newStream(PROTOCOL, { signal, runOnLimitedConnection: true })
      if (stream === undefined) return undefined
      const channel = framed(stream)
      await channel.write(encodeFrame(frame), { signal })
      const answer = await then(channel, signal)
      await stream.close({ signal })
      return answer
    } catch (err) {
      this.#log('talking to %s failed - %e', peer, err)
      stream?.abort(err as Error)
      return undefined
    }
  }

  /** One frame; undefined when none came, or something else, which the machine is told. */
  async #read(channel: Channel, peer: string, signal: AbortSignal): Promise<Frame | undefined> {
    let fault: Fault
    try {
      const decoded = decodeFrame((await channel.read({ signal })).subarray())
      if (decoded.ok) return decoded.value
      fault = decoded.fault
    } catch (err) {
      if (!(err instanceof Error) || !LENGTH_ERRORS.has(err.name)) return undefined
      fault = 'frame-too-large'
    }
    this.#driven.feed({ type: 'garbage', peer, fault })
    return undefined
  }

  #deadline(): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(limits.answerMs)])
  }

  #connections(peer: PeerId): Connection[] {
    return this.#deps.connectionManager
      .getConnections(peer)
      .filter(({ status }) => status === 'open')
  }

  /** The connection to talk over: not limited before limited, direct before relayed. */
  #best(peer: string): Connection | undefined {
    return this.#deps.connectionManager
      .getConnections()
      .filter(({ remotePeer, status }) => status === 'open' && remotePeer.toString() === peer)
      .sort((a, b) => cost(a) - cost(b))[0]
  }
}

function cost({ limits, direct }: Connection): number {
  return (limits === undefined ? 0 : 2) + (direct ? 0 : 1)
}

function withoutPeer(address: Multiaddr): string {
  return address.decapsulate('/p2p').toString()
}

type Channel = LengthPrefixedStream<Stream>

const LENGTH_ERRORS = new Set(['InvalidDataLengthError', 'InvalidDataLengthLengthError'])

function framed(stream: Stream): Channel {
  return lpStream(stream, {
    maxDataLength: limits.frameBytes,
    maxLengthLength: 3, // bytes of the length prefix; three hold 2 MiB
    maxBufferSize: limits.frameBytes * 2, // the frame and what a rude peer sends after it
  })
}

function toKnownPeer(entry: BookEntry): KnownPeer {
  const { record, addresses, source, lastSeenAt, expiresAt, linked } = entry
  const { peer, seq, reachability, mapping, filtering, services, relay } = record
  return {
    peer,
    addresses,
    reachability,
    mapping,
    filtering,
    services,
    seq,
    knownFrom: source,
    lastSeenAt,
    expiresAt,
    linkedBefore: linked,
    ...(relay === undefined ? {} : { relay }),
  }
}

/** Remembers a piece of work until it is over; the work itself never rejects. */
function track(works: Set<Promise<void>>, work: Promise<void>): void {
  works.add(work)
  void work.finally(() => works.delete(work))
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
