import type { Connection, Libp2pEvents, PeerId, TypedEventTarget } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { parseAddress } from '../../protocols/kernel/address.ts'
import { limits } from '../../protocols/membership/limits.ts'
import { Membership } from '../../protocols/membership/membership.ts'
import type { Input, Output } from '../../protocols/membership/membership.ts'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import type { BookChange, KnownPeer } from './peer-exchange.ts'

/** What membership says about itself; the node makes conditions of it. */
export type MembershipReport = Exclude<Output, { type: 'dial' }>

export interface MembershipDeps {
  peerId: PeerId
  events: TypedEventTarget<Libp2pEvents>
  connectionManager: Pick<ConnectionManager, 'getConnections'>
  book: {
    candidates(): KnownPeer[]
    get(peer: string): KnownPeer | undefined
    onChange(listener: (change: BookChange) => void): () => void
  }
  /** Multiaddrs of members to join through, each ending in `/p2p/…`. */
  bootstraps: string[]
  /** Makes a link over the best path there is; rejects when there is none. */
  dial(peer: string, addresses: string[], signal: AbortSignal): Promise<void>
  report(report: MembershipReport): void
  clock?: Clock
  rng?: () => number
}

/** Puts membership to work on a libp2p node. */
export function createMembership(deps: MembershipDeps): MembershipDriver {
  return new MembershipDriver(deps)
}

/** Tells the membership machine who is known and linked, and dials whom it names. */
export class MembershipDriver {
  readonly #deps: MembershipDeps
  readonly #driven: Driven<Input>
  readonly #stopping = new AbortController()
  #forgetBook = (): void => {}

  constructor(deps: MembershipDeps) {
    this.#deps = deps
    const machine = new Membership(deps.peerId.toString(), deps.rng ?? Math.random)
    this.#driven = drive(machine, (output) => this.#perform(output), deps.clock ?? systemClock)
  }

  start(): void {
    const { events, book, connectionManager } = this.#deps
    events.addEventListener('connection:open', this.#onOpen)
    events.addEventListener('connection:close', this.#onClose)
    this.#forgetBook = book.onChange(({ type, peer }) => {
      if (type === 'known') this.#know(book.get(peer))
      else this.#driven.feed({ type: 'forgotten', peer })
    })
    for (const { remotePeer } of connectionManager.getConnections()) this.#look(remotePeer)
    for (const known of book.candidates()) {
      if (known.linkedBefore)
        for (const { address } of known.addresses) this.#driven.feed({ type: 'proven', address })
      this.#know(known)
    }
    this.#driven.feed({ type: 'start', bootstraps: grouped(this.#deps.bootstraps) })
  }

  /** Dials nobody any more. Cannot be started again. */
  stop(): void {
    this.#stopping.abort(new Error('membership is stopping'))
    this.#driven[Symbol.dispose]()
    this.#forgetBook()
    this.#deps.events.removeEventListener('connection:open', this.#onOpen)
    this.#deps.events.removeEventListener('connection:close', this.#onClose)
  }

  /** Whether strangers can reach this node: decides who of two hidden or public peers dials first. */
  setPublic(isPublic: boolean): void {
    this.#driven.feed({ type: 'self', dependable: isPublic })
  }

  #know(known: KnownPeer | undefined): void {
    if (known === undefined) return
    const { peer, addresses, reachability, relay } = known
    const candidate = {
      peer,
      addresses: addresses.map(({ address }) => address),
      dependable: reachability === 'public' || relay !== undefined,
    }
    this.#driven.feed({ type: 'known', candidate })
  }

  readonly #onOpen = ({ detail }: CustomEvent<Connection>): void => this.#look(detail.remotePeer)

  readonly #onClose = ({ detail }: CustomEvent<Connection>): void => this.#look(detail.remotePeer)

  /** Tells the machine what connections to a peer there are now. */
  #look(peerId: PeerId): void {
    const peer = peerId.toString()
    const open = this.#deps.connectionManager
      .getConnections(peerId)
      .filter(({ status }) => status === 'open')
    const [first] = open
    if (first === undefined) {
      this.#driven.feed({ type: 'unlinked', peer })
      return
    }
    const direct = open.find((one) => one.direct)
    const path = direct === undefined ? 'relayed' : 'direct'
    const dialled = first.direction === 'outbound'
    const proven = direct === undefined ? {} : { address: direct.remoteAddr.toString() }
    this.#driven.feed({ type: 'linked', peer, path, dialled, ...proven })
  }

  #perform(output: Output): void {
    if (output.type === 'dial') void this.#dial(output.peer, output.addresses)
    else this.#deps.report(output)
  }

  async #dial(peer: string, addresses: string[]): Promise<void> {
    const timeout = AbortSignal.timeout(limits.dialMs)
    try {
      await this.#deps.dial(peer, addresses, AbortSignal.any([this.#stopping.signal, timeout]))
      this.#driven.feed({ type: 'dial-done', peer })
    } catch {
      // Why it failed is told by whoever dialled; here it only matters that it did.
      this.#driven.feed({ type: 'dial-failed', peer })
    }
  }
}

/** The addresses of each peer that is named. */
function grouped(bootstraps: string[]): { peer: string; addresses: string[] }[] {
  const named = bootstraps.map((address) => ({ address, peer: parseAddress(address)?.peer }))
  return [...Map.groupBy(named, ({ peer }) => peer)].flatMap(([peer, entries]) =>
    peer === undefined ? [] : [{ peer, addresses: entries.map(({ address }) => address) }],
  )
}
