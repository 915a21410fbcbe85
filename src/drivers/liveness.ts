import type { Connection, Libp2pEvents, TypedEventTarget } from '@libp2p/interface'
import { Liveness } from '../../protocols/paths/liveness.ts'
import type { LivenessInput, LivenessOutput, Nature } from '../../protocols/paths/liveness.ts'
import { ping } from '../net/ping.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'

export interface LivenessDeps {
  events: TypedEventTarget<Libp2pEvents>
  /** Whether a NAT lies between us and the rest, whose mappings pings keep open. */
  nature(): Nature
  measured(connection: Connection, rttMs: number): void
  ownFault(silent: number, links: number): void
}

/** The first round trip is measured as soon as a connection opens, so that a path has its `rttMs`. */
const FIRST_PING_MS = 10_000

/** Pings connections as the liveness machine asks, and closes those it declares dead. */
export class LivenessDriver {
  readonly #deps: LivenessDeps
  readonly #connections = new Map<string, Connection>()
  readonly #stopping = new AbortController()
  #driven: Driven<LivenessInput> | undefined

  constructor(deps: LivenessDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#driven = drive(new Liveness(Math.random), (output) => this.#perform(output))
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
    this.#driven?.feed({ type: 'link-up', link: connection.id, nature: this.#deps.nature() })
    void this.#ping(connection, FIRST_PING_MS)
  }

  readonly #onClose = ({ detail: connection }: CustomEvent<Connection>): void => {
    this.#connections.delete(connection.id)
    this.#driven?.feed({ type: 'link-down', link: connection.id })
  }

  #perform(output: LivenessOutput): void {
    switch (output.type) {
      case 'ping': {
        const connection = this.#connections.get(output.link)
        if (connection !== undefined) void this.#ping(connection, output.timeoutMs)
        return
      }
      case 'declare-dead':
        this.#connections.get(output.link)?.abort(new Error(output.reason))
        return
      case 'own-fault':
        this.#deps.ownFault(output.silent, output.links)
    }
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
