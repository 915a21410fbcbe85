import type {
  CreateListenerOptions,
  Listener,
  MultiaddrConnection,
  Transport,
  Upgrader,
} from '@libp2p/interface'
import { tryGetNetConfig } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { WarrenError } from '../../../protocols/kernel/errors.ts'
import { eagerUpgrader } from '../eager/index.ts'
import { assertNobodyListens } from './bound-socket.ts'
import type { LocalEndpoint, SocketApi } from './bound-socket.ts'
import { endsOf } from './ends.ts'
import { listenError } from './listen-error.ts'
import type { ListeningPorts } from './listening-ports.ts'
import type { ExpectedPunches } from './punches.ts'
import type { ConnectionFacts } from './types.ts'
import { upgraderWith } from './upgrader.ts'

interface AcceptorParts {
  readonly stock: Transport
  readonly ports: ListeningPorts
  readonly punches: ExpectedPunches
  /** Where the facts of a connection are kept, by its timeline. */
  readonly facts: WeakMap<object, ConnectionFacts>
  /** Undefined while ports cannot be shared. */
  api(): SocketApi | undefined
  /** Resolves when `api` can be trusted. */
  ready(): Promise<void>
}

/** Makes stock TCP listeners whose port dials can share, and gives the connections they accept their role. */
export class Acceptor {
  readonly #parts: AcceptorParts
  // One entry a listen address; it leaves when listening there succeeds.
  readonly #errors = new Map<string, WarrenError>()

  constructor(parts: AcceptorParts) {
    this.#parts = parts
  }

  errors(): WarrenError[] {
    return [...this.#errors.values()]
  }

  /** Adapts the listener object of stock TCP, whose class is not exported, by replacing two of its methods. */
  createListener(options: CreateListenerOptions): Listener {
    const { stock, ports } = this.#parts
    const upgrader = upgraderWith(options.upgrader, {
      upgradeInbound: async (maConn, upgradeOptions) => {
        if (this.#recognise(maConn)) {
          await upgradeAsClient(options.upgrader, maConn, upgradeOptions.signal)
        } else {
          await options.upgrader.upgradeInbound(maConn, upgradeOptions)
        }
      },
    })
    const shared = { ...options, upgrader, reusePort: this.#parts.api() !== undefined }
    const listener: Listener = stock.createListener(shared)
    const listen = listener.listen.bind(listener)
    const close = listener.close.bind(listener)
    listener.listen = (ma) => ports.starting(this.#listen(ma, listener, listen))
    listener.close = async () => {
      ports.closed(listener)
      await close()
    }
    return listener
  }

  async #listen(ma: Multiaddr, listener: Listener, listen: Listener['listen']): Promise<void> {
    await this.#parts.ready()
    const wanted = localEndpoint(ma)
    const api = this.#parts.api()
    try {
      if (api !== undefined && wanted !== undefined && wanted.port !== 0)
        assertNobodyListens(api, wanted)
      await listen(ma)
    } catch (err) {
      const error = listenError(ma, err)
      this.#errors.set(ma.toString(), error)
      throw error
    }
    this.#errors.delete(ma.toString())
    const port = wanted?.port || portOf(listener)
    if (wanted !== undefined && port !== undefined)
      this.#parts.ports.opened(listener, { ...wanted, port })
  }

  /** Notes the facts of an accepted connection; true when it is the other side of an expected punch. */
  #recognise(maConn: MultiaddrConnection): boolean {
    const ends = endsOf(maConn)
    this.#parts.facts.set(maConn.timeline, { dialled: false, fromListenPort: true, ...ends })
    const remote = tryGetNetConfig(maConn.remoteAddr)
    return remote !== null && this.#parts.punches.claim(remote.host, remote.port)
  }
}

/** We accepted the connection, and yet speak first: the other side of the punch plays the server. */
async function upgradeAsClient(
  upgrader: Upgrader,
  maConn: MultiaddrConnection,
  signal: AbortSignal,
): Promise<void> {
  maConn.direction = 'outbound'
  // Only the inbound upgrade has a deadline of its own; this one needs the same.
  const bounded = upgrader.createInboundAbortSignal(signal)
  try {
    await eagerUpgrader(upgrader).upgradeOutbound(maConn, { signal: bounded })
  } finally {
    bounded.clear()
  }
}

/** The IP address and port to listen on; undefined for Unix sockets and names, which dials cannot share. */
function localEndpoint(ma: Multiaddr): LocalEndpoint | undefined {
  const config = tryGetNetConfig(ma)
  if (config?.type !== 'ip4' && config?.type !== 'ip6') return undefined
  return { family: config.type === 'ip4' ? 4 : 6, host: config.host, port: config.port ?? 0 }
}

function portOf(listener: Listener): number | undefined {
  const [address] = listener.getAddrs()
  return address === undefined ? undefined : tryGetNetConfig(address)?.port
}
