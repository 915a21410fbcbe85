import type { Connection, Logger, Stream } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import type { MemoryBudget } from '../../protocols/resumption/budget.ts'
import type { RefusalCode } from '../../protocols/resumption/codec.ts'
import { Session } from '../../protocols/resumption/session.ts'
import type {
  Outcome,
  SessionInput,
  SessionOptions,
  SessionOutput,
} from '../../protocols/resumption/session-io.ts'
import type { Tick } from '../../protocols/kernel/machine.ts'
import { ResumableStream } from '../net/resumable-stream.ts'
import { lost } from '../net/stream-flow.ts'
import type { Clock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { Carrier } from './resumption-carrier.ts'
import type { CarrierEvents } from './resumption-carrier.ts'

/** What a session needs to find its carriers. */
export interface CarrierSource {
  /** The connection for a carrier; undefined if there is none, and none is to be made. */
  connection(how: {
    connect: boolean
    avoid: string | undefined
    signal: AbortSignal
  }): Promise<Connection | undefined>
  open(connection: Connection, signal: AbortSignal): Promise<Stream>
}

export interface LiveOptions {
  peer: string
  protocol: string
  budget: MemoryBudget
  clock: Clock
  /** Of the side that opens. */
  opens?: NonNullable<SessionOptions['opens']>
  source?: CarrierSource
  log: Logger
  id: string
  /** Called once, when all is over. */
  over?(): void
}

const REFUSALS: Record<
  RefusalCode,
  [code: 'ERR_PROTOCOL_UNSUPPORTED' | 'ERR_LIMIT_REACHED' | 'ERR_STREAM_LOST', text: string]
> = {
  'unknown-protocol': ['ERR_PROTOCOL_UNSUPPORTED', 'does not speak'],
  busy: ['ERR_LIMIT_REACHED', 'has no room for another resumable stream of'],
  'unknown-session': ['ERR_STREAM_LOST', 'does not know the stream of'],
  stale: ['ERR_STREAM_LOST', 'knows a newer carrier of the stream of'],
}

/** A session at work: its machine, the stream that the application holds, and the carriers. */
export class LiveSession {
  readonly peer: string
  readonly protocol: string
  readonly stream: ResumableStream
  readonly #options: LiveOptions
  readonly #machine: Session
  readonly #driven: Driven<Exclude<SessionInput, Tick>>
  readonly #carriers = new Map<number, Carrier>()
  /** Carriers that are being opened; the machine has at most one at a time. */
  readonly #opening = new Map<number, AbortController>()
  readonly #established = Promise.withResolvers<void>()
  /** Why the last carrier could not be had or broke. */
  #problem: Error | undefined
  #inbound = 0
  #heardAt: number | undefined

  constructor(options: LiveOptions) {
    this.#options = options
    this.peer = options.peer
    this.protocol = options.protocol
    const { clock } = options
    this.#machine = new Session({ opens: options.opens, budget: options.budget }, clock.now())
    this.#driven = drive(this.#machine, (output) => this.#perform(output), clock)
    this.stream = this.#makeStream()
    this.#established.promise.catch(() => {})
  }

  get moves(): number {
    return this.#machine.moves
  }

  get resumedBytes(): number {
    return this.#machine.resent
  }

  /** Begins; resolves when the other side has accepted. */
  async start(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.stream.abort(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    else this.#driven.feed({ type: 'start' })
    try {
      await this.#established.promise
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Takes a carrier that the peer opened for this session; its greeting is the next frame. */
  take(carrier: Carrier): CarrierEvents {
    this.#inbound += 1
    this.#carriers.set(this.#inbound, carrier)
    return this.#events(this.#inbound)
  }

  /** When the last frame came, as the clock has it; undefined before the first. */
  get heardAt(): number | undefined {
    return this.#heardAt
  }

  /** Whether something was sent that the peer has not said to have. */
  get waits(): boolean {
    return this.#machine.waits
  }

  /** Whether the peer opened it. */
  get isAnswered(): boolean {
    return this.#options.opens === undefined
  }

  /** Which connection to the peer is the best now. */
  pathIs(best: string | undefined): void {
    this.#driven.feed({ type: 'path', best })
  }

  leave(): void {
    this.#driven.feed({ type: 'leave' })
  }

  stop(): void {
    this.#driven.feed({ type: 'reset', code: 'stopping' })
  }

  #makeStream(): ResumableStream {
    const { id, protocol, opens, log } = this.#options
    const direction = opens === undefined ? 'inbound' : 'outbound'
    const feed = (input: Exclude<SessionInput, Tick>): void => this.#driven.feed(input)
    return new ResumableStream(
      {
        write: (chunks) => {
          const taken = this.#machine.append(chunks)
          const more = taken === chunks.byteLength && this.#machine.room > 0
          feed({ type: 'written' })
          return { taken, more }
        },
        finish: () => feed({ type: 'finished' }),
        reset: () => feed({ type: 'reset', code: 'application' }),
        consumed: (offset) => feed({ type: 'consumed', offset }),
      },
      { id, protocol, direction, log },
    )
  }

  #perform(output: SessionOutput): void {
    switch (output.type) {
      case 'open':
        return void this.#open(output)
      case 'drop':
        return this.#drop(output.carrier)
      case 'send':
        return this.#carriers.get(output.carrier)?.send(output.frames)
      case 'finish':
        return this.#finish(output.carrier)
      case 'established':
        return this.#established.resolve()
      case 'deliver':
        return this.stream.deliver(output.bytes)
      case 'ended':
        return this.stream.onRemoteCloseWrite()
      case 'room':
        return this.stream.drain()
      case 'flushed':
        return this.stream.flush()
      case 'over':
        return this.#end(output.outcome)
    }
  }

  async #open(how: {
    carrier: number
    connect: boolean
    avoid: string | undefined
  }): Promise<void> {
    const { carrier, connect, avoid } = how
    const source = this.#options.source as CarrierSource
    const opening = new AbortController()
    this.#opening.set(carrier, opening)
    try {
      const { signal } = opening
      const connection = await source.connection({ connect, avoid, signal })
      signal.throwIfAborted()
      if (connection === undefined) {
        throw new WarrenError('ERR_PEER_UNREACHABLE', `there is no other way to ${this.peer}`)
      }
      this.#driven.feed({ type: 'trying', carrier, path: connection.id })
      const stream = await source.open(connection, signal)
      if (signal.aborted) stream.abort(signal.reason as Error)
      signal.throwIfAborted()
      this.#carriers.set(carrier, new Carrier(stream, this.#events(carrier)))
      this.#driven.feed({ type: 'opened', carrier })
    } catch (error) {
      this.#problem = error as Error
      this.#driven.feed({ type: 'unopened', carrier })
    } finally {
      this.#opening.delete(carrier)
    }
  }

  #events(carrier: number): CarrierEvents {
    const feed = (input: Exclude<SessionInput, Tick>): void => this.#driven.feed(input)
    return {
      frame: (frame) => {
        this.#heardAt = this.#options.clock.now()
        feed({ type: 'frame', carrier, frame })
      },
      writable: () => feed({ type: 'writable', carrier }),
      ended: () => feed({ type: 'ended', carrier }),
      broken: (error) => {
        this.#problem = error
        feed({ type: 'broken', carrier })
      },
      garbage: (text) => feed({ type: 'garbage', carrier, text }),
    }
  }

  #drop(carrier: number): void {
    this.#opening.get(carrier)?.abort(new Error('another carrier is taken instead'))
    this.#carriers.get(carrier)?.drop()
    this.#carriers.delete(carrier)
  }

  #finish(carrier: number): void {
    this.#carriers.get(carrier)?.finish()
    // Nothing more is sent on it; what still happens on it is told all the same.
    this.#carriers.delete(carrier)
  }

  #end(outcome: Outcome): void {
    const error = this.#errorOf(outcome)
    if (outcome.type === 'reset' && outcome.by === 'peer') this.stream.resetByPeer()
    else if (error !== undefined) this.stream.fail(error)
    this.#established.reject(error ?? lost())
    for (const opening of this.#opening.values()) opening.abort(error)
    for (const carrier of this.#carriers.values()) carrier.drop()
    this.#carriers.clear()
    this.#options.over?.()
  }

  /** What the application is told; undefined when it knows already. */
  #errorOf(outcome: Outcome): Error | undefined {
    const { peer, protocol } = this
    const cause = this.#problem
    switch (outcome.type) {
      case 'complete':
      case 'reset':
        return undefined
      case 'unopened':
        return cause ?? new WarrenError('ERR_TIMEOUT', `${peer} did not open ${protocol} in time`)
      case 'refused': {
        const [code, text] = REFUSALS[outcome.code]
        return new WarrenError(code, `${peer} ${text} ${protocol}`)
      }
      case 'lost':
        return new WarrenError('ERR_STREAM_LOST', outcome.text, { cause })
      default:
        return new WarrenError('ERR_PROTOCOL_VIOLATION', `${peer}: ${outcome.text}`)
    }
  }
}
