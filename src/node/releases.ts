import type { Connection } from '@libp2p/interface'
import { PROTOCOL as PEER_EXCHANGE } from '../../protocols/peer-exchange/codec.ts'
import type { RelayService } from '../drivers/relay-service.ts'
import type { RelayingDriver } from '../drivers/relaying.ts'
import type { Links } from './links.ts'
import type { Meeting } from './meeting.ts'
import type { PeerKey } from '../types.ts'

/** How often links that the overlay has no use for are looked at. */
const LOOK_MS = 1_000

/** A link that carried something of an application's will probably do so again soon. */
const WARM_MS = 30_000

/** What every link carries by itself. */
const OWN_BUSINESS = new Set<string | undefined>([
  PEER_EXCHANGE,
  '/ipfs/id/1.0.0',
  '/ipfs/id/push/1.0.0',
  '/ipfs/ping/1.0.0',
])

const CLOSE_MS = 2_000

export interface ReleasesParts {
  links: Links
  relaying: RelayingDriver
  relayService: RelayService
  meeting: Meeting
}

/**
 * Closes links that the overlay has no use for any more, unless somebody else has: an application, a reservation of ours
 * or theirs, a hole that is being punched.
 */
export class Releases {
  readonly #parts: ReleasesParts
  /** Released peers, and when an application's stream was last seen on their links. Bounded by the links there are. */
  readonly #released = new Map<PeerKey, number>()
  /** Peers whose link an application holds. */
  readonly #inUse = new Set<PeerKey>()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: ReleasesParts) {
    this.#parts = parts
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** The overlay needs no link to the peer. */
  release(peer: PeerKey): void {
    if (!this.#released.has(peer)) this.#released.set(peer, -Infinity)
  }

  /** The overlay does need it. */
  keep(peer: PeerKey): void {
    this.#released.delete(peer)
  }

  /** An application holds a link to the peer, until `leave`. */
  use(peer: PeerKey): void {
    this.#inUse.add(peer)
  }

  leave(peer: PeerKey): void {
    this.#inUse.delete(peer)
  }

  #look(): void {
    const now = performance.now()
    for (const [peer, usedAt] of this.#released) {
      const connections = this.#parts.links.held(peer).map(({ connection }) => connection)
      if (connections.length === 0) {
        this.#released.delete(peer)
      } else if (connections.some(carriesMore)) {
        this.#released.set(peer, now)
      } else if (now - usedAt > WARM_MS && !this.#isHeld(peer)) {
        this.#released.delete(peer)
        for (const connection of connections) close(connection)
      }
    }
  }

  #isHeld(peer: PeerKey): boolean {
    const { relaying, relayService, meeting } = this.#parts
    return (
      this.#inUse.has(peer) ||
      relaying.relays().some((one) => one.peer === peer) ||
      relayService.hasReservation(peer) ||
      meeting.punching.isActive(peer)
    )
  }
}

function carriesMore({ streams }: Connection): boolean {
  return streams.some(({ protocol }) => !OWN_BUSINESS.has(protocol))
}

function close(connection: Connection): void {
  connection.close({ signal: AbortSignal.timeout(CLOSE_MS) }).catch((err: Error) => {
    connection.abort(err)
  })
}
