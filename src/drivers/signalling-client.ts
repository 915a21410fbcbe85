import type {
  Connection,
  Libp2pEvents,
  Logger,
  PrivateKey,
  Stream,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { TokenBucket } from '../../protocols/kernel/token-bucket.ts'
import { PAYLOAD_BYTES } from '../../protocols/signalling/box.ts'
import { keyOfPeer } from '../../protocols/kernel/peer.ts'
import type { Frame, RefusalCode } from '../../protocols/signalling/codec.ts'
import { SIGNAL_LIMITS, SIGNAL_PROTOCOL } from '../../protocols/signalling/limits.ts'
import { Lines } from '../../protocols/signalling/lines.ts'
import type { LineInput, LineOutput } from '../../protocols/signalling/lines.ts'
import { ReplayGuard } from '../../protocols/kernel/replay-guard.ts'
import { open, seal } from '../net/seal.ts'
import { systemClock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { FrameStream } from './signalling-stream.ts'

/** Where a relay sees the sender of a message: it vouches for that, nobody else does. */
export interface SignalSeen {
  relay: string
  ip: string
  port: number
}

/** Why a message did not arrive; `lost`: the stream broke right after it was sent, so it may have. */
export type SignalFailure = RefusalCode | 'lost'

/** What the client's side needs of the node. */
export interface SignalClientDeps {
  privateKey: PrivateKey
  connectionManager: Pick<ConnectionManager, 'getConnections'>
  events: TypedEventTarget<Libp2pEvents>
  network: string
  /** A genuine message arrived. */
  received(from: string, payload: Uint8Array, seen: SignalSeen): void
  /** A message that was sent did not arrive. */
  refused?(relay: string, to: string, failure: SignalFailure): void
}

/** An open stream to a relay. */
interface Line {
  stream: FrameStream
  nextId: number
  /** To whom the messages went that may still be refused, and when. */
  unanswered: BoundedMap<number, { to: string; at: number }>
  received: TokenBucket
}

/** The client's side: streams to relays, messages sealed and sent, messages received and opened. */
export class SignalClient {
  readonly #deps: SignalClientDeps
  readonly #log: Logger
  readonly #machine = new Lines(Math.random)
  readonly #driven: Driven<LineInput>
  /** Both as many as the machine allows. */
  readonly #open = new Map<string, Line>()
  readonly #opening = new Map<string, Promise<Line>>()
  /** Relays that refused the protocol when it was last tried. */
  readonly #missing = new BoundedMap<string, true>(SIGNAL_LIMITS.lines)
  readonly #guard = new ReplayGuard(SIGNAL_LIMITS.replayEntries)
  readonly #stopping = new AbortController()
  #waiting = 0

  constructor(deps: SignalClientDeps, log: Logger) {
    this.#deps = deps
    this.#log = log
    this.#driven = drive(this.#machine, (output) => this.#perform(output))
  }

  start(): void {
    this.#deps.events.addEventListener('connection:open', this.#onConnection)
  }

  stop(): void {
    const reason = new WarrenError('ERR_NODE_STOPPED', 'the node is stopping')
    this.#deps.events.removeEventListener('connection:open', this.#onConnection)
    this.#stopping.abort(reason)
    this.#driven[Symbol.dispose]()
    const lines = [...this.#open.values()]
    this.#open.clear()
    for (const { stream } of lines) stream.abort(reason)
  }

  keep(relay: string, on: boolean): void {
    this.#driven.feed({ type: 'keep', relay, on })
  }

  isOpen(relay: string): boolean {
    return this.#open.get(relay)?.stream.writable === true
  }

  isMissing(relay: string): boolean {
    return this.#missing.has(relay)
  }

  /** Seals and sends; resolves when the message is on its way to the relay. */
  async send(relay: string, to: string, payload: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#stopping.signal.throwIfAborted()
    signal.throwIfAborted()
    const sealed = this.#seal(to, payload)
    const line = this.#open.get(relay) ?? (await this.#opened(relay, signal))
    const id = line.nextId++ % 2 ** 32
    const sent = line.stream.send({
      type: 'pass',
      to: peerIdFromString(to).toMultihash().bytes,
      sealed,
      id,
    })
    if (!sent) throw notSent(relay, line.stream)
    line.unanswered.set(id, { to, at: systemClock.now() })
    this.#driven.feed({ type: 'used', relay })
  }

  #seal(to: string, payload: Uint8Array): Uint8Array {
    if (payload.length > PAYLOAD_BYTES) {
      throw tooMuch(`a message of ${payload.length} bytes, at most ${PAYLOAD_BYTES} can be sent`)
    }
    const { privateKey, network } = this.#deps
    return seal(payload, { from: privateKey, to: peerIdFromString(to), network })
  }

  /** The line to the relay once it is open. */
  async #opened(relay: string, signal: AbortSignal): Promise<Line> {
    if (this.#waiting >= SIGNAL_LIMITS.waiting) throw tooMuch('too many messages wait for streams')
    this.#driven.feed({ type: 'want', relay })
    const opening = this.#opening.get(relay)
    if (opening === undefined) throw tooMuch('streams to too many relays are open')
    this.#waiting++
    try {
      return await within(opening, signal)
    } finally {
      this.#waiting--
    }
  }

  #perform({ type, relay }: LineOutput): void {
    if (type === 'open') {
      const opening = this.#newLine(relay)
      opening.catch((error: unknown) => this.#log('no stream to relay %s - %e', relay, error))
      this.#opening.set(relay, opening)
      return
    }
    const line = this.#open.get(relay)
    this.#open.delete(relay)
    line?.stream.end()
  }

  async #newLine(relay: string): Promise<Line> {
    try {
      const line = this.#lineOn(await this.#openStream(relay), relay)
      // In the same turn: the stream may have ended already, which is told in the next one.
      this.#open.set(relay, line)
      this.#missing.delete(relay)
      this.#driven.feed({ type: 'opened', relay })
      return line
    } catch (error) {
      this.#broke(relay, error)
      throw readable(relay, error)
    } finally {
      this.#opening.delete(relay)
    }
  }

  async #openStream(relay: string): Promise<Stream> {
    const deadline = AbortSignal.timeout(SIGNAL_LIMITS.openMs)
    const signal = AbortSignal.any([this.#stopping.signal, deadline])
    const all = this.#deps.connectionManager.getConnections(peerIdFromString(relay))
    const connection = all.find((each) => isUsable(each))
    if (connection === undefined) {
      throw new WarrenError('ERR_PEER_UNREACHABLE', `there is no direct connection to ${relay}`)
    }
    // `eager` is an option of our own muxer: the first message does not wait for the negotiation.
    return connection.newStream(SIGNAL_PROTOCOL, { signal, eager: true })
  }

  #lineOn(stream: Stream, relay: string): Line {
    const line: Line = {
      stream: new FrameStream(stream, {
        frame: (frame) => this.#onFrame(relay, line, frame),
        closed: (error) => this.#closed(relay, line, error),
      }),
      nextId: 1,
      unanswered: new BoundedMap(SIGNAL_LIMITS.unanswered),
      received: new TokenBucket(SIGNAL_LIMITS.received, systemClock.now()),
    }
    return line
  }

  #closed(relay: string, line: Line, error: Error | undefined): void {
    if (this.#open.get(relay) !== line) return // let go by ourselves
    this.#open.delete(relay)
    this.#broke(relay, error)
    const since = systemClock.now() - SIGNAL_LIMITS.uncertainMs
    for (const { to, at } of line.unanswered.values()) {
      if (at >= since) this.#deps.refused?.(relay, to, 'lost')
    }
  }

  #broke(relay: string, error: unknown): void {
    const unsupported = isUnsupported(error)
    if (unsupported) this.#missing.set(relay, true)
    this.#driven.feed({ type: 'broke', relay, unsupported })
  }

  #onFrame(relay: string, line: Line, frame: Frame): void {
    switch (frame.type) {
      case 'passed':
        return this.#onPassed(relay, line, frame)
      case 'refused': {
        const to = line.unanswered.get(frame.id)?.to
        if (to === undefined || !line.unanswered.delete(frame.id)) return
        return this.#deps.refused?.(relay, to, frame.code)
      }
      case 'pass':
        return line.stream.abort(
          new WarrenError('ERR_PROTOCOL_VIOLATION', 'a relay sent "pass" to its client'),
        )
      case 'skip':
    }
  }

  #onPassed(relay: string, line: Line, frame: Extract<Frame, { type: 'passed' }>): void {
    if (!line.received.take(1, systemClock.now())) return
    const { privateKey, network } = this.#deps
    const from = peerIdFromPublicKey(publicKeyFromRaw(keyOfPeer(frame.from)))
    const box = { self: privateKey, from, network, guard: this.#guard }
    const payload = open(frame.sealed, box)
    if (payload === undefined) return this.#log('a message of %p cannot be opened', from)
    this.#driven.feed({ type: 'used', relay })
    try {
      this.#deps.received(from.toString(), payload, { relay, ip: frame.ip, port: frame.port })
    } catch (error) {
      this.#log.error('a message of %p could not be taken - %e', from, error)
    }
  }

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => {
    if (!isUsable(detail)) return
    const relay = detail.remotePeer.toString()
    this.#missing.delete(relay)
    this.#driven.feed({ type: 'connected', relay })
  }
}

function isUsable({ direct, status, limits }: Connection): boolean {
  return direct && status === 'open' && limits === undefined
}

function isUnsupported(error: unknown): boolean {
  return error instanceof Error && error.name === 'UnsupportedProtocolError'
}

/** What went wrong when a stream was opened, for whoever waits for it. */
function readable(relay: string, cause: unknown): WarrenError {
  if (cause instanceof WarrenError) return cause
  if (isUnsupported(cause)) {
    const text = `relay ${relay} has no signalling service`
    return new WarrenError('ERR_PROTOCOL_UNSUPPORTED', text, { cause })
  }
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    const text = `relay ${relay} did not answer within ${SIGNAL_LIMITS.openMs} ms`
    return new WarrenError('ERR_TIMEOUT', text, { cause })
  }
  return new WarrenError('ERR_STREAM_LOST', `no stream to relay ${relay} could be opened`, {
    cause,
  })
}

function notSent(relay: string, stream: FrameStream): WarrenError {
  if (stream.writable) return tooMuch(`relay ${relay} takes messages more slowly than we send them`)
  return new WarrenError('ERR_STREAM_LOST', `relay ${relay} ended the stream`)
}

function tooMuch(text: string): WarrenError {
  return new WarrenError('ERR_LIMIT_REACHED', text)
}

/** Settles as `work` does, or rejects when the signal fires first. */
async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
