import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Connection, Libp2pEvents, Logger, Stream, TypedEventTarget } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { multiaddr } from '@multiformats/multiaddr'
import { scopeOf, tcpAddress } from '../../protocols/kernel/address.ts'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { decode, encode } from '../../protocols/hole-punching/codec.ts'
import type { PunchMessage, RoundMethod, Violation } from '../../protocols/hole-punching/codec.ts'
import { isOpen, NOTHING_KNOWN } from '../../protocols/hole-punching/facts.ts'
import type { Endpoint, SideFacts } from '../../protocols/hole-punching/facts.ts'
import { HolePunching } from '../../protocols/hole-punching/hole-punching.ts'
import type { PunchInput, PunchOutput } from '../../protocols/hole-punching/hole-punching.ts'
import { LIMITS } from '../../protocols/hole-punching/limits.ts'
import type { Attempt, Carrier, Role } from '../../protocols/hole-punching/outputs.ts'
import { SEARCH } from '../../protocols/hole-punching/search-limits.ts'
import { endpointOf, isDirect, relayOf } from '../net/connection.ts'
import { frames } from '../net/frames.ts'
import { knock, probe } from '../net/port-search/index.ts'
import type { TcpReuseTransport } from '../net/tcp-reuse/index.ts'
import { systemClock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { PunchDials } from './punch-dials.ts'
import type { PunchDialsDeps } from './punch-dials.ts'
import type { Signalling, SignalSeen } from './signalling.ts'

export const PUNCH_PROTOCOL = '/warren/punch/1.0.0'

/** How a direct connection came about, as far as hole punching can tell. */
export type MetBy = 'dial' | 'reverse' | 'lan' | 'punch' | 'birthday' | 'inbound'

export interface PunchingDeps extends Omit<PunchDialsDeps, 'now'> {
  self: string
  logger: { forComponent(name: string): Logger }
  events: TypedEventTarget<Libp2pEvents>
  registrar: Registrar
  transport: TcpReuseTransport
  signalling: Signalling
  /** Open connections to the peer. */
  connections(peer: string): Connection[]
  /** The least round trip measured on a connection. */
  roundTrip(connection: Connection): number | undefined
  /** What the peer's record says of its network. */
  facts(peer: string): SideFacts | undefined
  /** Relays by which the peer's record says it can be reached. */
  relaysOf(peer: string): string[]
  /** Relays whose reservations we hold. */
  ownRelays(): string[]
  /** Whether we have chosen this relay ourselves, so that what it sees may be believed. */
  isChosen(relay: string): boolean
  /** Whether a peer is only looked in on: then a relayed link is as good as any. */
  isVisiting(peer: string): boolean
  /** While held, direct connections to the peer are named by this. */
  expectMethod(peer: string, method: (connection: Connection) => MetBy): Disposable
  report(event: PunchEvent): void
}

export type PunchEvent =
  | { type: 'started'; peer: string; method: MetBy }
  | { type: 'ended'; attempt: Attempt; method: MetBy }
  | { type: 'gave-up'; peer: string; reason: string; againAt?: number }

/** Bytes on a stream of the protocol: the message and its length. */
const STREAM_BYTES = LIMITS.messageBytes + 2
const STREAM_MS = 10_000

/** A message goes by one carrier after the other until it is answered; three asks try no more than that. */
const MAX_CARRIERS = 4
const MAX_SIGNALS = 3

/** A timer this late means that the host was asleep: its network may be another one now. */
const ASLEEP_MS = 15_000
const HEARTBEAT_MS = 5_000

/** What is under way with one peer. */
interface Work extends Disposable {
  dials: PunchDials | undefined
  /** Ends a search. */
  search: AbortController | undefined
  method: RoundMethod
  side: 'caller' | 'callee'
  /** Unix time. */
  since: number
}

/** Carries out what the hole punching machine decides. */
export class PunchingDriver {
  readonly #deps: PunchingDeps
  readonly #machine: HolePunching
  readonly #log: Logger
  readonly #violations = new Map<Violation | 'slow', number>()
  /** One for each campaign under way. */
  readonly #work = new Map<string, Work>()
  #own = NOTHING_KNOWN
  #driven: Driven<PunchInput> | undefined
  #heartbeat: NodeJS.Timeout | undefined

  constructor(deps: PunchingDeps) {
    this.#deps = deps
    this.#machine = new HolePunching(deps.self, Math.random)
    this.#log = deps.logger.forComponent('warren:punching')
  }

  async start(): Promise<void> {
    this.#driven = drive<PunchInput, PunchOutput>(this.#machine, (output) => this.#perform(output))
    const { events, registrar } = this.#deps
    events.addEventListener('connection:open', this.#onOpen)
    events.addEventListener('connection:close', this.#onClose)
    this.#watchSleep()
    await registrar.handle(PUNCH_PROTOCOL, this.#onStream, {
      maxInboundStreams: 8,
      maxOutboundStreams: 8,
      runOnLimitedConnection: true,
    })
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeat)
    const { events, registrar } = this.#deps
    events.removeEventListener('connection:open', this.#onOpen)
    events.removeEventListener('connection:close', this.#onClose)
    this.#driven?.[Symbol.dispose]()
    this.#driven = undefined
    for (const peer of this.#work.keys()) this.#end(peer, false)
    await registrar.unhandle(PUNCH_PROTOCOL)
  }

  /** What we know of our own network. */
  own(facts: SideFacts): void {
    this.#own = facts
    this.#driven?.feed({ type: 'own', facts })
  }

  /** Our network is another one now. */
  moved(): void {
    this.#driven?.feed({ type: 'moved' })
  }

  /** A direct path to the peer is wanted. */
  call(peer: string): void {
    if (!this.#deps.transport.portReuse.ok) return
    const facts = this.#deps.facts(peer) ?? NOTHING_KNOWN
    this.#offerCarriers(peer)
    const campaign = randomBytes(16).toString('hex')
    this.#driven?.feed({ type: 'call', peer, facts, campaign })
  }

  isActive(peer: string): boolean {
    return this.#machine.isActive(peer)
  }

  /** The last attempts with the peer, oldest first, and when the next campaign begins. */
  history(peer: string): { attempts: readonly Attempt[]; againAt: number | undefined } {
    return { attempts: this.#machine.attempts(peer), againAt: this.#machine.againAt(peer) }
  }

  /** Messages that were no messages, by what was wrong. */
  violations(): ReadonlyMap<string, number> {
    return this.#violations
  }

  /** A message to the peer did not get through by this carrier. */
  undelivered(peer: string, carrier: Carrier): void {
    this.#driven?.feed({ type: 'undelivered', peer, carrier })
  }

  /** What is known of the peer has changed: it may be reached by other relays. */
  recordChanged(peer: string): void {
    if (this.#machine.isActive(peer)) this.#offerCarriers(peer)
  }

  /** A signal came in for us. */
  signalled(peer: string, payload: Uint8Array, seen: SignalSeen): void {
    const { relay, ip, port } = seen
    const vouched = this.#deps.isChosen(relay) ? { ip, port } : undefined
    this.#received(peer, payload, { kind: 'signal', relay }, vouched)
  }

  readonly #onStream = (stream: Stream, connection: Connection): void => {
    void this.#read(stream, connection).catch((err: Error) => {
      this.#count('slow')
      stream.abort(err)
    })
  }

  async #read(stream: Stream, connection: Connection): Promise<void> {
    const relay = relayOf(connection)
    if (relay === undefined) throw new WarrenError('ERR_PROTOCOL_VIOLATION', 'the path is direct')
    const payload = await frames(stream, { maxBytes: STREAM_BYTES }).read({ timeoutMs: STREAM_MS })
    await stream.close({ signal: AbortSignal.timeout(STREAM_MS) })
    const peer = connection.remotePeer.toString()
    this.#received(peer, payload, { kind: 'circuit', relay }, undefined)
  }

  #received(peer: string, payload: Uint8Array, carrier: Carrier, seen: Endpoint | undefined): void {
    const decoded = decode(payload)
    if (!decoded.ok) return this.#count(decoded.violation)
    const vouched = seen === undefined ? {} : { seen }
    const measured = this.#withRtt(carrier, peer)
    this.#driven?.feed({
      type: 'message',
      peer,
      message: decoded.value,
      carrier: measured,
      ...vouched,
    })
  }

  #count(violation: Violation | 'slow'): void {
    this.#violations.set(violation, (this.#violations.get(violation) ?? 0) + 1)
  }

  // What the machine decides.

  #perform(output: PunchOutput): void {
    switch (output.type) {
      case 'send':
        void this.#send(output.peer, output.carrier, output.message)
        return
      case 'dial':
        return this.#dial(output)
      case 'probe':
        return this.#searching(this.#probe(output))
      case 'knock':
        return this.#searching(this.#knock(output))
      case 'stop':
        return this.#end(output.peer, output.met)
      case 'started':
        Object.assign(this.#workWith(output.peer), { method: output.method, side: output.side })
        return this.#deps.report({
          type: 'started',
          peer: output.peer,
          method: output.method === 'search' ? 'birthday' : 'punch',
        })
      case 'ended':
        return this.#report(output.attempt)
      case 'gave-up':
        return this.#deps.report(output)
      case 'due':
        if (this.#directTo(output.peer) === undefined) this.call(output.peer)
    }
  }

  #report(attempt: Attempt): void {
    const direct = this.#directTo(attempt.peer)
    const tried = attempt.method === 'search' ? 'birthday' : 'punch'
    const method =
      attempt.outcome === 'success' && direct ? this.#metBy(attempt.peer, direct) : tried
    this.#deps.report({ type: 'ended', attempt, method })
  }

  async #send(peer: string, carrier: Carrier, message: PunchMessage): Promise<void> {
    const payload = encode(message)
    const signal = AbortSignal.timeout(STREAM_MS)
    try {
      if (carrier.kind === 'signal') {
        await this.#deps.signalling.send(carrier.relay, peer, payload, { signal })
      } else await this.#sendOverCircuit(peer, payload, signal)
    } catch (err) {
      this.#log('%s for %s by %s was not sent - %e', message.type, peer, carrier.kind, err)
      if (message.type === 'ask') this.undelivered(peer, carrier)
    }
  }

  async #sendOverCircuit(peer: string, payload: Uint8Array, signal: AbortSignal): Promise<void> {
    const connection = this.#deps.connections(peer).find((one) => !isDirect(one))
    if (connection === undefined) throw new WarrenError('ERR_STREAM_LOST', 'no relayed connection')
    const eager = { signal, runOnLimitedConnection: true, eager: true }
    const stream = await connection.newStream(PUNCH_PROTOCOL, eager)
    await frames(stream, { maxBytes: STREAM_BYTES }).write(payload, { timeoutMs: STREAM_MS })
    await stream.close({ signal })
  }

  #workWith(peer: string): Work {
    const known = this.#work.get(peer)
    if (known !== undefined) return known
    const named = this.#deps.expectMethod(peer, (connection) => this.#metBy(peer, connection))
    const work: Work = {
      dials: undefined,
      search: undefined,
      method: 'meet',
      side: 'caller',
      since: Date.now(),
      [Symbol.dispose]: () => named[Symbol.dispose](),
    }
    this.#work.set(peer, work)
    return work
  }

  #dial(plan: Extract<PunchOutput, { type: 'dial' }>): void {
    const work = this.#workWith(plan.peer)
    if (work.dials !== undefined && work.dials.role === plan.role) return work.dials.follow(plan)
    work.dials?.stop(false)
    work.dials = new PunchDials(plan, { ...this.#deps, now: () => systemClock.now() }, this.#log)
  }

  /** A search that cannot be made, for want of sockets or because too much is expected already, is one that finds nothing. */
  #searching(search: Promise<void>): void {
    search.catch((err: Error) => this.#log('a search came to nothing - %e', err))
  }

  /** Opens our NAT for many ports of the peer's address, one of which its own NAT may use towards us. */
  async #probe(plan: Extract<PunchOutput, { type: 'probe' }>): Promise<void> {
    const { peer, role, ip, ports, until } = plan
    const from = this.#deps.transport.listening().find(({ family }) => family === 4)
    if (from === undefined) return
    const work = this.#workWith(peer)
    const signal = this.#beginSearch(work, until)
    using _expected =
      role === 'client'
        ? this.#deps.expectPunch({ host: ip, uses: SEARCH.sockets })
        : { [Symbol.dispose]: () => {} }
    const { probesPerSecond: perSecond, inFlight } = SEARCH
    await probe({
      host: ip,
      ports,
      from,
      perSecond,
      inFlight,
      signal,
      onConnect: (socket) => void this.#adopt(peer, role, socket),
    }).then(
      ({ sent }) => this.#log('probed %d ports of %s', sent, ip),
      (err: Error) => this.#log('probing %s failed - %e', ip, err),
    )
    // What was let in may come until the search is over.
    await aborted(signal)
  }

  async #knock(plan: Extract<PunchOutput, { type: 'knock' }>): Promise<void> {
    const { peer, role, ip, port, sockets, startAt, until } = plan
    const work = this.#workWith(peer)
    const signal = this.#beginSearch(work, until)
    await aborted(AbortSignal.any([signal, AbortSignal.timeout(msUntil(startAt))]))
    if (signal.aborted) return
    const patienceMs = msUntil(until)
    const { socketsPerSecond: perSecond, refusedPauseMs } = SEARCH
    const options = { host: ip, port, sockets, perSecond, refusedPauseMs, patienceMs, signal }
    const { socket, opened } = await knock(options)
    this.#log(
      'knocked %d times at %s:%d - %s',
      opened,
      ip,
      port,
      socket === undefined ? 'in vain' : 'met',
    )
    if (socket !== undefined) await this.#adopt(peer, role, socket)
  }

  #beginSearch(work: Work, until: number): AbortSignal {
    work.search?.abort()
    work.search = new AbortController()
    const ms = msUntil(until)
    return AbortSignal.any([work.search.signal, AbortSignal.timeout(ms)])
  }

  /** Makes a connection of a socket that the search has connected. */
  async #adopt(peer: string, role: Role, socket: Socket): Promise<void> {
    const { remoteAddress, remotePort } = socket
    if (remoteAddress === undefined || remotePort === undefined) return
    const ma = multiaddr(tcpAddress(remoteAddress, remotePort)).encapsulate(`/p2p/${peer}`)
    const options = { signal: AbortSignal.timeout(STREAM_MS), initiator: role === 'client' }
    await this.#deps.transport
      .adopt(socket, ma, options)
      .catch((err: Error) => this.#log('the search met %s in vain - %e', ma, err))
  }

  #end(peer: string, met: boolean): void {
    const work = this.#work.get(peer)
    if (work === undefined) return
    this.#work.delete(peer)
    work.dials?.stop(met)
    work.search?.abort()
    work[Symbol.dispose]()
  }

  // What happens to connections.

  readonly #onOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    const peer = connection.remotePeer.toString()
    if (isDirect(connection)) {
      const { open } = connection.timeline
      const address = connection.remoteAddr.toString()
      // libp2p's clock may be set, ours is not.
      const connectedAt = systemClock.now() - (Date.now() - open)
      this.#driven?.feed({ type: 'met', peer, address, connectedAt })
      for (const other of this.#work.keys()) if (other !== peer) this.#offerCarriers(other)
      return
    }
    this.#offerCarriers(peer)
    const unlinked = this.#directTo(peer) === undefined
    // Whoever dialled wants the peer; the other side waits to be asked.
    const wanted = connection.direction === 'outbound' && !this.#deps.isVisiting(peer)
    if (wanted && unlinked) this.call(peer)
  }

  readonly #onClose = ({ detail: connection }: CustomEvent<Connection>): void => {
    const peer = connection.remotePeer.toString()
    const left = this.#deps.connections(peer).filter(({ id }) => id !== connection.id)
    if (left.length === 0) {
      if (!this.#machine.isActive(peer)) this.#driven?.feed({ type: 'gone', peer })
    } else if (isDirect(connection) && !left.some(isDirect)) {
      this.#offerCarriers(peer)
      this.#driven?.feed({ type: 'lost', peer })
    }
  }

  #directTo(peer: string): Connection | undefined {
    return this.#deps.connections(peer).find((one) => one.status === 'open' && isDirect(one))
  }

  /** Tells the machine what can carry messages to the peer: relays of both first, then a relayed connection. */
  #offerCarriers(peer: string): void {
    const relayed = this.#deps.connections(peer).filter((one) => !isDirect(one))
    const named = [...this.#deps.relaysOf(peer), ...relayed.map((one) => relayOf(one) ?? '')]
    // Its record may be older than its reservations, and it may well have chosen as we have.
    const guessed = this.#deps.ownRelays().filter((relay) => !named.includes(relay))
    const signals = [...this.#signalsBy(named, peer), ...this.#signalsBy(guessed, peer)]
    const circuits = relayed.map((one) =>
      this.#withRtt({ kind: 'circuit', relay: relayOf(one) ?? '' }, peer),
    )
    this.#driven?.feed({
      type: 'carriers',
      peer,
      carriers: [...signals.slice(0, MAX_SIGNALS), ...circuits].slice(0, MAX_CARRIERS),
    })
  }

  /** Nearest first; before all others those whose streams are open. */
  #signalsBy(relays: string[], peer: string): Carrier[] {
    const { signalling } = this.#deps
    const usable = [...new Set(relays)].filter(
      (relay) => this.#directTo(relay) !== undefined && !signalling.isMissing(relay),
    )
    return usable
      .map((relay) => this.#withRtt({ kind: 'signal', relay }, peer))
      .sort(
        (a, b) => Number(this.#isReady(b)) - Number(this.#isReady(a)) || distance(a) - distance(b),
      )
  }

  #isReady({ relay }: Carrier): boolean {
    return this.#deps.signalling.isOpen(relay)
  }

  #withRtt(carrier: Carrier, peer: string): Carrier {
    const over =
      carrier.kind === 'signal'
        ? this.#directTo(carrier.relay)
        : this.#deps.connections(peer).find((one) => relayOf(one) === carrier.relay)
    const rttMs = over === undefined ? undefined : this.#deps.roundTrip(over)
    return rttMs === undefined ? carrier : { ...carrier, rttMs }
  }

  #metBy(peer: string, connection: Connection): MetBy {
    const work = this.#work.get(peer)
    const host = endpointOf(connection.remoteAddr)?.host ?? ''
    if (scopeOf(host) === 'private') return 'lan'
    const earlier = work === undefined || connection.timeline.open < work.since
    if (!earlier && work.method === 'search') return 'birthday'
    const dialled = this.#deps.transport.facts(connection)?.dialled === true
    const theirs = this.#deps.facts(peer)
    // Under way before there was a campaign: nobody punched for it.
    if (earlier) return dialled ? 'dial' : 'inbound'
    if (dialled) return theirs !== undefined && isOpen(theirs) ? 'dial' : 'punch'
    if (!isOpen(this.#own)) return 'punch'
    return work.side === 'caller' ? 'reverse' : 'inbound'
  }

  #watchSleep(): void {
    let last = Date.now()
    this.#heartbeat = setInterval(() => {
      const now = Date.now()
      if (now - last > HEARTBEAT_MS + ASLEEP_MS) this.moved()
      last = now
    }, HEARTBEAT_MS).unref()
  }
}

const msUntil = (at: number): number => Math.max(0, Math.ceil(at - systemClock.now()))

const distance = ({ rttMs }: Carrier): number => rttMs ?? Infinity

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
