import type { Connection, Libp2pEvents, PeerId, TypedEventTarget } from '@libp2p/interface'
import { best, superfluous } from '../../protocols/paths/choose.ts'
import type { OpenConnection } from '../../protocols/paths/choose.ts'
import { isDirect, relayOf } from '../net/connection.ts'
import type { EventHub } from '../observe/event-hub.ts'
import type { Path, PathMethod, PeerKey } from '../types.ts'

/** One open libp2p connection and what we know of it. */
export interface Held extends OpenConnection {
  connection: Connection
  method: PathMethod
  rttMs: number | undefined
  /** The last few round trips, the newest last. */
  rtts: number[]
}

/** Names how a connection came about. */
export type MethodOf = PathMethod | ((connection: Connection) => PathMethod)

/** Round trips of which the least counts: any of them may have waited for something. */
const RTTS = 8

interface LinkState {
  held: Map<string, Held>
  linkedAt: number
  path: Path
}

/** How often connections that may have become superfluous are looked at. */
const TIDY_MS = 1_000

/** Knows every open connection by peer, which of them is the path in use, and tells when that changes. */
export class Links {
  readonly #self: PeerKey
  readonly #events: TypedEventTarget<Libp2pEvents>
  readonly #hub: EventHub
  readonly #links = new Map<PeerKey, LinkState>()
  readonly #expected = new Map<PeerKey, MethodOf[]>()
  readonly #waiting = new Set<() => void>()
  #tidying: NodeJS.Timeout | undefined

  constructor(self: PeerKey, events: TypedEventTarget<Libp2pEvents>, hub: EventHub) {
    this.#self = self
    this.#events = events
    this.#hub = hub
  }

  start(): void {
    this.#events.addEventListener('connection:open', this.#onOpen)
    this.#events.addEventListener('connection:close', this.#onClose)
    this.#tidying = setInterval(() => this.#tidy(), TIDY_MS).unref()
  }

  stop(): void {
    clearInterval(this.#tidying)
    this.#events.removeEventListener('connection:open', this.#onOpen)
    this.#events.removeEventListener('connection:close', this.#onClose)
  }

  peers(): MapIterator<PeerKey> {
    return this.#links.keys()
  }

  has(peer: PeerKey): boolean {
    return this.#links.has(peer)
  }

  path(peer: PeerKey): Path | undefined {
    return this.#links.get(peer)?.path
  }

  /** The connection that new streams to the peer should use; another one than `avoid`. */
  best(peer: PeerKey, avoid?: string): Held | undefined {
    return best(
      this.held(peer).filter(({ id }) => id !== avoid),
      Date.now(),
    )
  }

  direct(peer: PeerKey): Connection | undefined {
    const held = this.best(peer)
    return held?.direct === true ? held.connection : undefined
  }

  held(peer: PeerKey): Held[] {
    return [...(this.#links.get(peer)?.held.values() ?? [])]
  }

  counts(): { direct: number; relayed: number } {
    let direct = 0
    for (const { path } of this.#links.values()) if (path.kind === 'direct') direct++
    return { direct, relayed: this.#links.size - direct }
  }

  /** While held, connections to `peer` that open count as made by `method`. */
  expect(peer: PeerKey, method: MethodOf): Disposable {
    const methods = this.#expected.get(peer) ?? []
    methods.push(method)
    this.#expected.set(peer, methods)
    return {
      [Symbol.dispose]: () => {
        methods.splice(methods.indexOf(method), 1)
        if (methods.length === 0) this.#expected.delete(peer)
      },
    }
  }

  /** Takes a measured round trip into account. */
  measured(connection: Connection, rttMs: number): void {
    const peer = connection.remotePeer.toString()
    const held = this.#links.get(peer)?.held.get(connection.id)
    if (held === undefined) return
    held.rttMs = rttMs
    held.rtts = [...held.rtts, rttMs].slice(-RTTS)
    const link = this.#links.get(peer) as LinkState
    const chosen = best(link.held.values(), Date.now())
    if (chosen === held) link.path = pathOf(held)
  }

  /** The least of the last round trips on a connection. */
  roundTrip(connection: Connection): number | undefined {
    const peer = connection.remotePeer.toString()
    const rtts = this.#links.get(peer)?.held.get(connection.id)?.rtts ?? []
    return rtts.length === 0 ? undefined : Math.min(...rtts)
  }

  /** Resolves with the connection as soon as the peer is linked (or linked directly). */
  async whenLinked(
    peer: PeerKey,
    options: { direct: boolean; signal: AbortSignal },
  ): Promise<Connection> {
    for (;;) {
      const held = this.best(peer)
      if (held !== undefined && (held.direct || !options.direct)) return held.connection
      await this.#change(options.signal)
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', aborted)
        resolve()
      }
      const aborted = (): void => {
        this.#waiting.delete(done)
        reject(signal.reason)
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', aborted, { once: true })
    })
  }

  readonly #onOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    const peer = connection.remotePeer.toString()
    const held: Held = {
      id: connection.id,
      connection,
      direct: isDirect(connection),
      preferred: (connection.direction === 'outbound') === this.#self < peer,
      method: this.#methodOf(peer, connection),
      openedAt: Date.now(),
      streams: 0,
      idleSince: Date.now(),
      rttMs: connection.rtt,
      rtts: [],
    }
    const link = this.#links.get(peer)
    if (link === undefined) {
      const path = pathOf(held)
      this.#links.set(peer, { held: new Map([[held.id, held]]), linkedAt: Date.now(), path })
      this.#hub.publish({ type: 'peer:linked', peer, path })
    } else {
      link.held.set(held.id, held)
      this.#settle(peer, link)
    }
    this.#wake()
  }

  readonly #onClose = ({ detail: connection }: CustomEvent<Connection>): void => {
    const peer = connection.remotePeer.toString()
    const link = this.#links.get(peer)
    if (link === undefined || !link.held.delete(connection.id)) return
    if (link.held.size === 0) {
      this.#links.delete(peer)
      this.#hub.publish({ type: 'peer:gone', peer, reason: 'the last connection closed' })
    } else this.#settle(peer, link)
    this.#wake()
  }

  /** Announces the path when the best connection is another one than before. */
  #settle(peer: PeerKey, link: LinkState): void {
    const held = best(link.held.values(), Date.now())
    if (held === undefined) return
    const from = link.path
    const to = pathOf(held)
    link.path = to
    if (!samePath(from, to)) {
      const ms = Date.now() - link.linkedAt
      this.#hub.publish({ type: 'peer:path-changed', peer, from, to, ms })
    }
  }

  #methodOf(peer: PeerKey, connection: Connection): PathMethod {
    const expected = this.#expected.get(peer)?.at(-1)
    if (expected !== undefined && isDirect(connection)) {
      return typeof expected === 'function' ? expected(connection) : expected
    }
    if (connection.direction === 'outbound') return 'dial'
    // We reached for them through a relay, and they came to us: they dialled back.
    const asked = this.held(peer).some((h) => !h.direct && h.connection.direction === 'outbound')
    return asked ? 'reverse' : 'inbound'
  }

  #wake(): void {
    for (const done of this.#waiting) done()
  }

  #tidy(): void {
    const now = Date.now()
    for (const [peer, link] of this.#links) {
      const { held } = link
      if (held.size < 2) continue
      // A connection that has settled meanwhile may be the better one now.
      this.#settle(peer, link)
      for (const one of held.values()) {
        one.streams = one.connection.streams.length
        one.idleSince = one.streams > 0 ? undefined : (one.idleSince ?? now)
      }
      for (const { connection } of superfluous([...held.values()], this.#self < peer, now)) {
        connection.close({ signal: AbortSignal.timeout(TIDY_MS) }).catch((err: Error) => {
          connection.abort(err)
        })
      }
    }
  }
}

export function peerKey(peer: PeerId): PeerKey {
  return peer.toString()
}

/** What the public API says of a connection. */
export function pathOf(held: Held): Path {
  const rtt = held.rttMs === undefined ? {} : { rttMs: held.rttMs }
  if (!held.direct) return { kind: 'relayed', via: relayOf(held.connection) ?? 'unknown', ...rtt }
  return {
    kind: 'direct',
    address: held.connection.remoteAddr.toString(),
    method: held.method,
    ...rtt,
  }
}

function samePath(a: Path, b: Path): boolean {
  if (a.kind === 'direct') return b.kind === 'direct' && a.address === b.address
  return b.kind === 'relayed' && a.via === b.via
}
