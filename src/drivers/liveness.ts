import type { Connection, Libp2pEvents, TypedEventTarget } from '@libp2p/interface'
import { Liveness } from '../../protocols/paths/liveness.ts'
import type { LivenessInput, LivenessOutput, Nature } from '../../protocols/paths/liveness.ts'
import type { Learnt } from '../../protocols/paths/keep-alive.ts'
import { endpointOf, isDirect } from '../net/connection.ts'
import { onBytes } from '../net/on-bytes.ts'
import { ping } from '../net/ping.ts'
import { systemClock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'

export interface LivenessDeps {
  events: TypedEventTarget<Libp2pEvents>
  /** Whether a NAT lies between us and the rest, whose mappings pings keep open. */
  nature(): Nature
  measured(connection: Connection, rttMs: number): void
  ownFault(silent: number, links: number): void
  /**
   * Whether losing this direct connection would hurt nobody, so that it may be left idle to learn for how long it survives.
   * Without it nothing is tried, and only what happens by itself is learnt from.
   */
  isSpare?(connection: Connection): boolean
}

/** What came within this time of the last sign of life may have been sent before it. */
const NEWS_MS = 1_000

/** The first round trip is measured as soon as a connection opens, so that a path has its `rttMs`. */
const FIRST_PING_MS = 10_000

/** Pings connections as the liveness machine asks, and closes those it declares dead. */
export class LivenessDriver {
  readonly #deps: LivenessDeps
  readonly #connections = new Map<string, Connection>()
  readonly #heard = new WeakMap<Connection, number>()
  readonly #stopping = new AbortController()
  readonly #machine: Liveness
  #driven: Driven<LivenessInput> | undefined

  constructor(deps: LivenessDeps) {
    this.#deps = deps
    this.#machine = new Liveness(Math.random, (link) => this.#isSpare(link))
  }

  /** How long links may be idle in the network we are in, and what that rests on. */
  learnt(): Learnt {
    return this.#machine.learnt()
  }

  /** Tells the external address that the node is behind now: what was learnt belongs to one network. */
  network(address: string): void {
    this.#driven?.feed({ type: 'network', address })
  }

  /** Data has stopped flowing to or from the peer: whether its direct connections are alive is asked now. */
  suspect(peer: string): void {
    for (const [link, connection] of this.#connections) {
      if (connection.remotePeer.toString() !== peer || !isDirect(connection)) continue
      this.#driven?.feed({ type: 'suspect', link })
    }
  }

  start(): void {
    this.#driven = drive(this.#machine, (output) => this.#perform(output))
    this.#deps.events.addEventListener('connection:open', this.#onOpen)
    this.#deps.events.addEventListener('connection:close', this.#onClose)
  }

  stop(): void {
    this.#stopping.abort()
    this.#deps.events.removeEventListener('connection:open', this.#onOpen)
    this.#deps.events.removeEventListener('connection:close', this.#onClose)
    this.#driven?.[Symbol.dispose]()
  }

  readonly #onOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    this.#connections.set(connection.id, connection)
    onBytes(connection, () => this.#heard.set(connection, systemClock.now()))
    const from = isDirect(connection) ? endpointOf(connection.remoteAddr)?.host : undefined
    this.#driven?.feed({
      type: 'link-up',
      link: connection.id,
      nature: this.#deps.nature(),
      peer: connection.remotePeer.toString(),
      ...(from !== undefined && { from }),
    })
    void this.#ping(connection, FIRST_PING_MS)
    // Nobody comes through a relay to a peer that it reaches directly.
    if (!isDirect(connection) && connection.direction === 'inbound') {
      this.suspect(connection.remotePeer.toString())
    }
  }

  readonly #onClose = ({ detail: connection }: CustomEvent<Connection>): void => {
    this.#connections.delete(connection.id)
    this.#driven?.feed({ type: 'link-down', link: connection.id })
  }

  #isSpare(link: string): boolean {
    const connection = this.#connections.get(link)
    if (connection === undefined || !isDirect(connection)) return false
    return this.#deps.isSpare?.(connection) ?? false
  }

  #perform(output: LivenessOutput): void {
    switch (output.type) {
      case 'ping': {
        const connection = this.#connections.get(output.link)
        if (connection !== undefined) this.#ask(connection, output.timeoutMs)
        return
      }
      case 'declare-dead':
        this.#connections.get(output.link)?.abort(new Error(output.reason))
        return
      case 'own-fault':
        this.#deps.ownFault(output.silent, output.links)
    }
  }

  /** Bytes that came meanwhile, the other side's pings among them, are sign of life enough. */
  #ask(connection: Connection, timeoutMs: number): void {
    const at = this.#heard.get(connection)
    const link = connection.id
    if (at !== undefined && at > (this.#machine.heardAt(link) ?? Infinity) + NEWS_MS) {
      this.#driven?.feed({ type: 'heard', link, at })
    } else void this.#ping(connection, timeoutMs)
  }

  async #ping(connection: Connection, timeoutMs: number): Promise<void> {
    const link = connection.id
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(timeoutMs)])
    try {
      this.#deps.measured(connection, await ping(connection, signal))
      this.#driven?.feed({ type: 'heard', link })
    } catch (err) {
      // A peer that answers "I know no such protocol" is alive, and answered.
      const answered = (err as Error).name === 'UnsupportedProtocolError'
      this.#driven?.feed({ type: answered ? 'heard' : 'missed', link })
    }
  }
}
