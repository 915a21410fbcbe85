/** Streams that survive a change of path, over /warren/resume/1.0.0. */
import type { Connection, Stream, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { refusal } from '../../protocols/resumption/admission.ts'
import { MemoryBudget } from '../../protocols/resumption/budget.ts'
import type { Frame, RefusalCode } from '../../protocols/resumption/codec.ts'
import {
  RESUMPTION_LIMITS,
  RESUMPTION_PROTOCOL,
  SESSION_ID_BYTES,
} from '../../protocols/resumption/limits.ts'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'
import { Carrier } from './resumption-carrier.ts'
import type { CarrierEvents } from './resumption-carrier.ts'
import { LiveSession } from './resumption-session.ts'
import type { CarrierSource, LiveOptions } from './resumption-session.ts'

/** What the driver needs of the node. */
export interface ResumptionDeps {
  handle(
    protocol: string,
    handler: StreamHandler,
    options: StreamHandlerOptions,
  ): void | Promise<void>
  unhandle(protocol: string): void | Promise<void>
  /** The best open connection to the peer, `avoid` left out. */
  best(peer: string, avoid?: string): Connection | undefined
  /** Makes a connection where there is none. */
  connect(peer: string, options: { signal: AbortSignal }): Promise<unknown>
  /** Opens a stream; `eager` does not wait for the peer to agree to the protocol. */
  openStream(
    connection: Connection,
    protocol: string,
    options: { signal: AbortSignal; eager?: boolean },
  ): Promise<Stream>
  /** Frames of the peer have stopped coming: is the path alive? */
  suspect(peer: string): void
  /** Calls back when a connection to a peer has opened; returns how to stop that. */
  onConnection(listener: (peer: string) => void): () => void
  logger: { warn(fields: object, message: string): void }
  clock?: Clock
}

/** What has happened so far. */
export interface ResumptionStats {
  /** Sessions that are open now. */
  sessions: number
  /** How often one went over to another carrier, since the node started. */
  moves: number
  /** Bytes sent once more because a carrier was lost or left. */
  resumedBytes: number
  /** Bytes of windows promised and of data kept for sending again. */
  memoryBytes: number
}

/** The resumable streams of one node. */
export interface Resumption {
  /** Opens a resumable stream, or a plain one if the peer knows no others. */
  open(peer: string, protocol: string, options?: { signal?: AbortSignal }): Promise<Stream>
  /** Answers resumable streams of a protocol. */
  answer(protocol: string, handler: StreamHandler): void
  /** Answers no new ones. */
  unanswer(protocol: string): void
  /** The application has closed its link to the peer: no session brings it back. */
  leave(peer: string): void
  stats(): ResumptionStats
  stop(): Promise<void>
}

const HANDLER: StreamHandlerOptions = {
  // A session that moves has two carriers for a moment; above the bound it reads `busy` rather than a reset.
  maxInboundStreams: RESUMPTION_LIMITS.sessionsPerPeer * 2,
  maxOutboundStreams: RESUMPTION_LIMITS.sessions * 2,
  runOnLimitedConnection: true,
}

/**
 * How often the best connection is looked at besides when one opens: which of two is the better can change when one of
 * them has settled. The same as the pace at which superfluous connections are tidied away.
 */
const LOOK_MS = 1_000

/**
 * A flow of frames that stops for this long has ended, or its path has. A ping tells; it is asked for once, for as long
 * as nothing is on the way. Three TCP retransmissions on a good path.
 */
const QUIET_MS = 3_000

/** A peer that opened streams here and is out of reach is called back this often: it may not know that it is. */
const CALL_BACK_MS = 5_000

/** Makes the resumable streams of a node and starts to answer the protocol. */
export function createResumption(deps: ResumptionDeps): Resumption {
  return new ResumptionDriver(deps)
}

class ResumptionDriver implements Resumption {
  readonly #deps: ResumptionDeps
  readonly #budget = new MemoryBudget()
  readonly #handlers = new Map<string, StreamHandler>()
  /** By peer and session id, ours apart from those of peers; at most RESUMPTION_LIMITS.sessions. */
  readonly #sessions = new Map<string, LiveSession>()
  /** Sessions that peers have opened, by peer. */
  readonly #ofPeer = new Map<string, number>()
  /** Of sessions that are over. */
  readonly #past = { moves: 0, resumedBytes: 0 }
  readonly #handling: Promise<void>
  readonly #unwatch: () => void
  /** When peers were called back last. */
  readonly #calledAt = new BoundedMap<string, number>(RESUMPTION_LIMITS.sessions)
  #looking: NodeJS.Timeout | undefined
  #stopped = false

  constructor(deps: ResumptionDeps) {
    this.#deps = deps
    const handler: StreamHandler = (stream, connection) => this.#greeted(stream, connection)
    this.#handling = Promise.resolve(deps.handle(RESUMPTION_PROTOCOL, handler, HANDLER))
    this.#handling.catch((error: unknown) =>
      deps.logger.warn({ error }, 'resumable streams cannot be answered'),
    )
    // In a microtask: whoever knows which connection is the best may hear of the new one after us.
    this.#unwatch = deps.onConnection((peer) => queueMicrotask(() => this.#look(peer)))
  }

  async open(
    peer: string,
    protocol: string,
    { signal = new AbortController().signal }: { signal?: AbortSignal } = {},
  ): Promise<Stream> {
    if (this.#stopped) throw new WarrenError('ERR_NODE_STOPPED', 'the node is stopping')
    const source = this.#source(peer)
    const connection = await this.#connection(peer, { connect: true, avoid: undefined, signal })
    const session = this.#opener(connection as Connection, peer, protocol, source)
    try {
      await session.start(signal)
      return session.stream
    } catch (error) {
      if (!isUnsupported(error)) throw error
      return await this.#plain(peer, protocol, signal)
    }
  }

  answer(protocol: string, handler: StreamHandler): void {
    this.#handlers.set(protocol, handler)
  }

  unanswer(protocol: string): void {
    this.#handlers.delete(protocol)
  }

  leave(peer: string): void {
    for (const session of this.#sessions.values()) if (session.peer === peer) session.leave()
  }

  stats(): ResumptionStats {
    let { moves, resumedBytes } = this.#past
    for (const session of this.#sessions.values()) {
      moves += session.moves
      resumedBytes += session.resumedBytes
    }
    return { sessions: this.#sessions.size, moves, resumedBytes, memoryBytes: this.#budget.used }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#unwatch()
    await this.#handling.then(() => this.#deps.unhandle(RESUMPTION_PROTOCOL)).catch(() => {})
    for (const session of this.#sessions.values()) session.stop()
  }

  #opener(
    connection: Connection,
    peer: string,
    protocol: string,
    source: CarrierSource,
  ): LiveSession {
    if (this.#sessions.size >= RESUMPTION_LIMITS.sessions) {
      throw new WarrenError(
        'ERR_LIMIT_REACHED',
        `a node keeps at most ${RESUMPTION_LIMITS.sessions} resumable streams`,
      )
    }
    const id = crypto.getRandomValues(new Uint8Array(SESSION_ID_BYTES))
    const opens = { session: id, protocol, rng: Math.random }
    const { log } = connection
    return this.#add(`our ${keyOf(peer, id)}`, { peer, protocol, opens, source, log })
  }

  #add(key: string, options: Omit<LiveOptions, 'id' | 'budget' | 'clock'>): LiveSession {
    const session = new LiveSession({
      ...options,
      id: key,
      budget: this.#budget,
      clock: this.#deps.clock ?? systemClock,
      over: () => {
        this.#remove(key, session)
        options.over?.()
      },
    })
    this.#sessions.set(key, session)
    this.#looking ??= setInterval(() => this.#look(), LOOK_MS).unref()
    return session
  }

  #remove(key: string, session: LiveSession): void {
    if (!this.#sessions.delete(key)) return
    this.#past.moves += session.moves
    this.#past.resumedBytes += session.resumedBytes
    if (this.#sessions.size > 0) return
    clearInterval(this.#looking)
    this.#looking = undefined
  }

  #look(peer?: string): void {
    for (const session of this.#sessions.values()) {
      if (peer === undefined || session.peer === peer) {
        session.pathIs(this.#deps.best(session.peer)?.id)
      }
    }
    if (peer === undefined) this.#watch()
  }

  /** Looks for peers whose path seems to have died, once for each peer however many sessions it has. */
  #watch(): void {
    const now = (this.#deps.clock ?? systemClock).now()
    const [silent, unreachable] = [new Set<string>(), new Set<string>()]
    for (const session of this.#sessions.values()) {
      const quietMs = now - (session.heardAt ?? now)
      const hasStopped = quietMs >= QUIET_MS && (session.waits || quietMs < QUIET_MS + LOOK_MS)
      if (hasStopped) silent.add(session.peer)
      const isLost = session.isAnswered && this.#deps.best(session.peer) === undefined
      if (isLost) unreachable.add(session.peer)
    }
    for (const peer of silent) this.#deps.suspect(peer)
    for (const peer of unreachable) this.#callBack(peer, now)
  }

  #callBack(peer: string, now: number): void {
    if (now - (this.#calledAt.get(peer) ?? -Infinity) < CALL_BACK_MS) return
    this.#calledAt.set(peer, now)
    const signal = AbortSignal.timeout(CALL_BACK_MS)
    this.#deps.connect(peer, { signal }).catch(() => {})
  }

  #source(peer: string): CarrierSource {
    return {
      connection: (how) => this.#connection(peer, how),
      open: (connection, signal) => this.#openCarrier(connection, signal),
    }
  }

  async #openCarrier(connection: Connection, signal: AbortSignal): Promise<Stream> {
    try {
      return await this.#deps.openStream(connection, RESUMPTION_PROTOCOL, { signal, eager: true })
    } catch (error) {
      // While the other side closes it in order, a connection counts as open here for up to 10 s, and hides that there is
      // none that can be used.
      if (isClosing(error)) connection.abort(error as Error)
      throw error
    }
  }

  async #connection(
    peer: string,
    how: { connect: boolean; avoid: string | undefined; signal: AbortSignal },
  ): Promise<Connection | undefined> {
    const { connect, avoid, signal } = how
    const other = this.#deps.best(peer, avoid)
    if (other !== undefined || !connect) return other
    const only = this.#deps.best(peer)
    if (only !== undefined) return only
    await this.#deps.connect(peer, { signal })
    const made = this.#deps.best(peer)
    if (made === undefined) throw new WarrenError('ERR_PEER_UNREACHABLE', `${peer} is gone`)
    return made
  }

  async #plain(peer: string, protocol: string, signal: AbortSignal): Promise<Stream> {
    const how = { connect: true, avoid: undefined, signal }
    const connection = (await this.#connection(peer, how)) as Connection
    return await this.#deps.openStream(connection, protocol, { signal })
  }

  /** A carrier that a peer has opened: its first frame says what for. */
  #greeted(stream: Stream, connection: Connection): void {
    const late = setTimeout(() => carrier.drop(), RESUMPTION_LIMITS.greetingMs).unref()
    const gone = (): void => clearTimeout(late)
    const carrier: Carrier = new Carrier(stream, {
      frame: (frame) => {
        clearTimeout(late)
        this.#greeting(frame, carrier, connection)
      },
      writable: gone,
      ended: () => carrier.drop(),
      broken: gone,
      garbage: () => carrier.drop(),
    })
  }

  #greeting(frame: Frame, carrier: Carrier, connection: Connection): void {
    if (this.#stopped || (frame.type !== 'open' && frame.type !== 'resume')) return carrier.drop()
    // Only the peer that opened a session finds it under its name, which the connection has proved.
    const peer = connection.remotePeer.toString()
    const key = keyOf(peer, frame.session)
    const known = this.#sessions.get(key)
    if (known !== undefined) return hand(frame, carrier, known.take(carrier))
    if (frame.type === 'resume') return refuse(carrier, 'unknown-session')
    const handler = this.#handlers.get(frame.protocol)
    const ofPeer = this.#ofPeer.get(peer) ?? 0
    const no = refusal({ handled: handler !== undefined, ofPeer, inAll: this.#sessions.size })
    if (no !== undefined) return refuse(carrier, no)

    this.#ofPeer.set(peer, ofPeer + 1)
    const { protocol } = frame
    const session = this.#add(key, {
      peer,
      protocol,
      log: connection.log,
      over: () => this.#release(peer),
    })
    hand(frame, carrier, session.take(carrier))
    void this.#serve(handler as StreamHandler, session, connection)
  }

  async #serve(
    handler: StreamHandler,
    { stream }: LiveSession,
    connection: Connection,
  ): Promise<void> {
    try {
      await handler(stream, connection)
    } catch (error) {
      stream.abort(error as Error)
    }
  }

  #release(peer: string): void {
    const left = (this.#ofPeer.get(peer) ?? 1) - 1
    if (left === 0) this.#ofPeer.delete(peer)
    else this.#ofPeer.set(peer, left)
  }
}

/** Names a session: two peers may choose the same id. */
function keyOf(peer: string, session: Uint8Array): string {
  return `${peer} ${Buffer.from(session).toString('hex')}`
}

/** Gives the carrier, with the greeting that was read from it, to its session. */
function hand(frame: Frame, carrier: Carrier, events: CarrierEvents): void {
  carrier.handTo(events)
  events.frame(frame)
}

function refuse(carrier: Carrier, code: RefusalCode): void {
  carrier.send([{ type: 'refuse', code }])
  carrier.finish()
}

/** Whether the connection opens no more streams. */
function isClosing(error: unknown): boolean {
  const { name, cause } = error as { name?: string; cause?: { name?: string } }
  return [name, cause?.name].includes('ConnectionClosedError')
}

function isUnsupported(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string }
  // An eager stream learns only afterwards that the peer does not speak the protocol.
  return name === 'UnsupportedProtocolError' || code === 'ERR_PROTOCOL_UNSUPPORTED'
}
