import { randomInt } from 'node:crypto'
import type {
  ComponentLogger,
  Connection,
  Libp2pEvents,
  Logger,
  PeerId,
  PrivateKey,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { parseAddress } from '../../protocols/kernel/address.ts'
import { limits as membershipLimits } from '../../protocols/membership/limits.ts'
import { Overlay } from '../../protocols/overlay/make.ts'
import type { Input, Output, Role } from '../../protocols/overlay/overlay.ts'
import { PROTOCOL } from '../../protocols/peer-exchange/codec.ts'
import type { Scope } from '../../protocols/peer-exchange/hygiene.ts'
import type { Frame } from '../../protocols/peer-exchange/messages.ts'
import type { SelfFacts } from '../../protocols/peer-exchange/record.ts'
import { decodeSnapshot, encodeSnapshot } from '../../protocols/peer-exchange/snapshot.ts'
import { wallClock } from './clock.ts'
import type { Clock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { toKnownPeer } from './known-peer.ts'
import type { KnownPeer } from './known-peer.ts'
import { OverlayStreams } from './overlay-streams.ts'
import { isGenuine, networkIdOf, notation, seal } from './overlay-records.ts'
import { PeerClocks } from './peer-clocks.ts'

export type { SelfFacts } from '../../protocols/peer-exchange/record.ts'
export type { KnownPeer } from './known-peer.ts'

export type BookChange = { type: 'known' | 'gone'; peer: string }

/** What the overlay says about its own state. */
export type OverlayReport = Extract<
  Output,
  { type: 'bootstraps-unreachable' | 'alone' | 'healing' | 'neighbour' | 'neighbour-lost' }
>

export type DialPurpose = Extract<Output, { type: 'dial' }>['purpose']

export interface OverlayDeps {
  registrar: Registrar
  connectionManager: Pick<ConnectionManager, 'getConnections'>
  events: TypedEventTarget<Libp2pEvents>
  peerId: PeerId
  privateKey: PrivateKey
  logger: ComponentLogger
  network: string
  /** The network has a key: its members trust each other. */
  trusted: boolean
  scope: Scope
  /** Multiaddrs ending in `/p2p/…`. */
  bootstraps: string[]
  /** Makes a link over the best path there is; rejects when there is none. */
  dial(peer: string, addresses: string[], purpose: DialPurpose, signal: AbortSignal): Promise<void>
  /** A relayed link does not do: a direct one is wanted. */
  wantDirect(peer: string): void
  /** The overlay has no use for the link any more; others may. */
  release(peer: string): void
  report(report: OverlayReport): void
  /** A peer was not in the book before. */
  found?(peer: string, from: string): void
  /** A peer says at which address it sees us: evidence beside what identify reports. */
  observed?(address: string, by: string): void
  clock?: Clock
  rng?: () => number
}

/** Secrets of the sampler come from it: whoever could guess them could choose identities that win. */
function unguessable(): number {
  return randomInt(2 ** 32) / 2 ** 32
}

/** Handing out a farewell; a peer that takes longer finds out by the closed connection. */
const FAREWELL_MS = 500

/** Carries out what the overlay machine decides: streams, signatures, dials, and what the node asks of it. */
export class OverlayDriver {
  readonly #deps: OverlayDeps
  readonly #clock: Clock
  readonly #log: Logger
  readonly #machine: Overlay
  readonly #driven: Driven<Input>
  readonly #streams: OverlayStreams
  readonly #stopping = new AbortController()
  readonly #dialling = new AbortController()
  readonly #listeners = new Set<(change: BookChange) => void>()
  readonly #resolving = new Map<string, PromiseWithResolvers<void>>()
  readonly #searches = new Map<number, (peers: string[]) => void>()
  readonly #replies = new Map<number, Frame>()
  readonly #talking = new Set<Promise<void>>()
  readonly #verifying = new Set<Promise<void>>()
  readonly #left = Promise.withResolvers<void>()
  /** Peers that are known to speak the protocol, as long as they are linked. */
  readonly #speakers = new Set<string>()
  readonly #clocks: PeerClocks
  #requests = 0
  #topology: string | undefined

  constructor(deps: OverlayDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? wallClock
    this.#clocks = new PeerClocks(this.#clock)
    this.#log = deps.logger.forComponent('warren:overlay')
    this.#machine = new Overlay({
      self: deps.peerId.toString(),
      networkId: networkIdOf(deps.network),
      scope: deps.scope,
      notation,
      rng: deps.rng ?? unguessable,
      trusted: deps.trusted,
    })
    this.#driven = drive(this.#machine, (output) => this.#perform(output), this.#clock)
    this.#streams = new OverlayStreams({
      ...deps,
      answer: (connection, question) => this.#answer(connection, question),
      garbage: (peer, fault) => this.#driven.feed({ type: 'garbage', peer, fault }),
    })
  }

  /** Must be called before the node makes connections: peers are met when they are identified. */
  async start(): Promise<void> {
    this.#deps.events.addEventListener('connection:open', this.#onOpen)
    this.#deps.events.addEventListener('connection:close', this.#onClose)
    await this.#streams.start()
    this.#topology = await this.#deps.registrar.register(PROTOCOL, {
      notifyOnLimitedConnection: true,
      onConnect: (_peer, connection) => this.#speaks(connection),
    })
  }

  /** Begins to look for others, once an earlier book has been taken up. */
  join(): void {
    this.#driven.feed({ type: 'start', bootstraps: grouped(this.#deps.bootstraps) })
  }

  /** Dials nobody any more; everything else goes on. */
  stopDialling(): void {
    this.#dialling.abort(new Error('the node is stopping'))
  }

  /** Says farewell and stops. Cannot be started again. */
  async stop(): Promise<void> {
    this.#driven.feed({ type: 'leave' })
    const farewell = this.#left.promise.then(() => Promise.all(this.#talking))
    const timeout = AbortSignal.timeout(FAREWELL_MS)
    await Promise.race([farewell, aborted(timeout)])
    this.#stopping.abort(new Error('the overlay is stopping'))
    this.#driven[Symbol.dispose]()
    this.#deps.events.removeEventListener('connection:open', this.#onOpen)
    this.#deps.events.removeEventListener('connection:close', this.#onClose)
    if (this.#topology !== undefined) this.#deps.registrar.unregister(this.#topology)
    for (const { resolve } of this.#resolving.values()) resolve()
    for (const resolve of this.#searches.values()) resolve([])
    await this.#streams.stop()
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
    const { book } = this.#machine.exchange
    return book.fresh(this.#clock.now()).map((entry) => toKnownPeer(book, entry))
  }

  /** What the book holds of a peer, an expired record included. */
  get(peer: string): KnownPeer | undefined {
    const { book } = this.#machine.exchange
    const entry = book.get(peer)
    return entry === undefined ? undefined : toKnownPeer(book, entry)
  }

  /** Neighbours, and who chose them. */
  neighbours(): { peer: string; role: Role }[] {
    return this.#machine.neighbours()
  }

  /** How the overlay looks from here. */
  view() {
    const { healing } = this.#machine
    const estimate = this.#machine.estimate()
    const sampled = new Set(this.#machine.sample().map(({ peer }) => peer)).size
    return { ...this.#machine.sizes(), sampled, estimate, healing }
  }

  /** How far the clocks of the peers last greeted are ahead of this host's, in milliseconds, a second more or less. */
  clocks(): number[] {
    return this.#clocks.ahead()
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

  /** Peers that offer a service, or relay for others; asks connected peers unless enough are known. */
  async search(wanted: { service?: string; relay?: boolean }): Promise<KnownPeer[]> {
    if (this.#stopping.signal.aborted) return []
    const search = ++this.#requests
    const { promise, resolve } = Promise.withResolvers<string[]>()
    this.#searches.set(search, resolve) // bounded like resolves
    this.#driven.feed({ type: 'search', search, ...wanted })
    return (await promise).flatMap((peer) => this.get(peer) ?? [])
  }

  /** The book in bytes, to be kept on disk. */
  snapshot(): Uint8Array {
    const { book, ownSeq } = this.#machine.exchange
    return encodeSnapshot(book, ownSeq)
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

  readonly #onOpen = ({ detail }: CustomEvent<Connection>): void => this.#look(detail.remotePeer)

  readonly #onClose = ({ detail }: CustomEvent<Connection>): void => this.#look(detail.remotePeer)

  #speaks({ remotePeer }: Connection): void {
    this.#speakers.add(remotePeer.toString())
    this.#look(remotePeer)
  }

  /** Tells the machine what connections to a peer there are now. */
  #look(peerId: PeerId): void {
    const peer = peerId.toString()
    const open = this.#deps.connectionManager
      .getConnections(peerId)
      .filter(({ status }) => status === 'open')
    const [first] = open
    if (first === undefined) {
      this.#speakers.delete(peer)
      this.#driven.feed({ type: 'unlinked', peer })
      return
    }
    const direct = open.find((one) => one.direct)
    this.#driven.feed({
      type: 'linked',
      peer,
      path: direct === undefined ? 'relayed' : 'direct',
      limited: open.every(({ limits }) => limits !== undefined),
      dialled: first.direction === 'outbound',
      stranger: !this.#speakers.has(peer),
      // Through a relay we see the relay.
      ...(direct === undefined
        ? { through: first.remoteAddr.toString() }
        : { address: withoutPeer(direct.remoteAddr) }),
    })
  }

  #answer(connection: Connection, frame: Frame): Frame | undefined {
    // Identify may be slower than the first question, and the answer is noted with the contact.
    this.#speaks(connection)
    const exchange = ++this.#requests
    const peer = connection.remotePeer.toString()
    this.#noteClock(peer, frame)
    this.#driven.feed({ type: 'request', exchange, peer, frame })
    const reply = this.#replies.get(exchange)
    this.#replies.delete(exchange)
    return reply
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
        track(this.#talking, this.#streams.tell(output.peer, output.frame))
        break
      case 'reply':
        if (output.frame !== undefined) this.#replies.set(output.exchange, output.frame)
        break
      case 'dial':
        void this.#dial(output)
        break
      case 'want-direct':
        this.#deps.wantDirect(output.peer)
        break
      case 'release':
        this.#deps.release(output.peer)
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
      case 'searched':
        this.#searches.get(output.search)?.(output.peers)
        this.#searches.delete(output.search)
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
      default:
        this.#deps.report(output)
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
    const frame = await this.#streams.ask(peer, question)
    this.#noteClock(peer, frame)
    this.#driven.feed({ type: 'answer', exchange, frame })
  }

  /** Greetings carry the time of whoever greets. */
  #noteClock(peer: string, frame: Frame | undefined): void {
    if (frame?.type === 'hello' || frame?.type === 'helloAck') this.#clocks.note(peer, frame.nowS)
  }

  async #dial({ peer, addresses, purpose }: Extract<Output, { type: 'dial' }>): Promise<void> {
    const timeout = AbortSignal.timeout(membershipLimits.dialMs)
    const signal = AbortSignal.any([this.#stopping.signal, this.#dialling.signal, timeout])
    try {
      signal.throwIfAborted()
      await this.#deps.dial(peer, addresses, purpose, signal)
      this.#driven.feed({ type: 'dial-done', peer })
    } catch {
      // Why it failed is told by whoever dialled; here it only matters that it did.
      this.#driven.feed({ type: 'dial-failed', peer })
    }
  }
}

function withoutPeer(address: Multiaddr): string {
  return address.decapsulate('/p2p').toString()
}

/** The addresses of each peer that is named. */
function grouped(bootstraps: string[]): { peer: string; addresses: string[] }[] {
  const named = bootstraps.map((address) => ({ address, peer: parseAddress(address)?.peer }))
  return [...Map.groupBy(named, ({ peer }) => peer)].flatMap(([peer, entries]) =>
    peer === undefined ? [] : [{ peer, addresses: entries.map(({ address }) => address) }],
  )
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
