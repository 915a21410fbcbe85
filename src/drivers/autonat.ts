import { AsyncLocalStorage } from 'node:async_hooks'
import { autoNAT } from '@libp2p/autonat'
import type { AutoNATComponents } from '@libp2p/autonat'
import { autoNATv2 } from '@libp2p/autonat-v2'
import type { AutoNATv2Components } from '@libp2p/autonat-v2'
import type { AbortOptions, Connection, Topology } from '@libp2p/interface'
import type {
  AddressManager,
  ConnectionManager,
  NodeAddress,
  Registrar,
} from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { shuffle } from '../../protocols/kernel/rng.ts'
import { endpointOf } from '../net/connection.ts'

/** What both AutoNAT services need of the node. */
export interface AutoNatDeps {
  /** A new connection that does not leave from the listening port, as a dial-back must be. */
  dialFresh(address: Multiaddr, options: AbortOptions): Promise<Connection>
  /** Addresses worth asking others to dial back: public, and our own to announce. */
  unverified(): Multiaddr[]
  /** What the peer at that IP address found of one of these. */
  judged(address: Multiaddr, reachable: boolean, byIp: string): void
}

/** An address is asked about again this long after a verdict: networks change, but not by the minute. */
const REASK_MS = 10 * 60_000

/** Peers asked at once about an address that has just appeared: as many as the stock client talks to at a time. */
const ASKED_AT_ONCE = 3

/** A request may take two dial-backs of an unresponsive address. */
const TIMEOUT_MS = 15_000

/**
 * Stock AutoNAT v1, answering only. Asking is of no use: against stock servers it ends the asker's
 * connection (docs/upstream.md). Its own answer had the same fault, because its dial joined the connection it came
 * from; here every dial-back is a connection of its own, so that closing it harms nobody.
 */
export function autoNatV1(deps: AutoNatDeps): (components: AutoNATComponents) => unknown {
  return (components) =>
    autoNAT({ timeout: TIMEOUT_MS })({
      ...pick(components),
      addressManager: { ...answers(components.addressManager), getAddressesWithMetadata: () => [] },
      connectionManager: dialsFresh(components.connectionManager, deps),
    } as unknown as AutoNATComponents)
}

/**
 * Stock AutoNAT v2, both ways: it asks about the addresses that our reachability machine doubts, and its
 * verdicts go there as evidence instead of into the stock address manager.
 */
export function autoNatV2(
  deps: AutoNatDeps,
  peers: AutoNatPeers = new AutoNatPeers(),
): (components: AutoNATv2Components) => unknown {
  return (components) => {
    const judgedAt = new Map<string, number>()
    const asked = new AsyncLocalStorage<string>()
    const judge = (address: Multiaddr, reachable: boolean): void => {
      judgedAt.set(address.toString(), Date.now())
      deps.judged(address, reachable, asked.getStore() ?? '')
    }
    const candidates = (): NodeAddress[] => {
      const current = peers.forgetting ? [] : deps.unverified()
      const names = new Set(current.map((ma) => ma.toString()))
      for (const name of judgedAt.keys()) if (!names.has(name)) judgedAt.delete(name)
      return current.map((ma) => {
        const expires = (judgedAt.get(ma.toString()) ?? -REASK_MS) + REASK_MS
        return { multiaddr: ma, verified: false, type: 'transport', expires }
      })
    }
    return autoNATv2({ timeout: TIMEOUT_MS })({
      ...pick(components),
      addressManager: {
        ...answers(components.addressManager),
        getAddressesWithMetadata: candidates,
        confirmObservedAddr: (ma: Multiaddr) => judge(ma, true),
        removeObservedAddr: (ma: Multiaddr) => judge(ma, false),
      },
      connectionManager: dialsFresh(components.connectionManager, deps),
      registrar: knowsWhomItAsks(components.registrar, asked, peers),
    } as unknown as AutoNATv2Components)
  }
}

interface Asking {
  connection: Connection
  ask: () => void
}

const isOpen = ({ connection }: Asking): boolean => connection.status === 'open'

/**
 * The connected peers that can be asked. The stock client asks a peer when it connects and never again, which is too
 * late for an address that appears later, and too seldom for one whose verdict has grown old.
 */
export class AutoNatPeers {
  // One entry an open connection, and libp2p bounds those.
  readonly #known = new Map<string, Asking[]>()
  #timer: NodeJS.Timeout | undefined
  /** While this is set the client is shown no address, and so forgets whose word on which it has had. */
  forgetting = false

  /** Asks a few peers about every address that has no fresh verdict. Returns how many. */
  askNow(): number {
    const open = [...this.#known.values()].flatMap((all) => all.find(isOpen) ?? [])
    const some = shuffle(open, Math.random).slice(0, ASKED_AT_ONCE)
    for (const [i, { ask }] of some.entries()) {
      // The client cleans up before its first wait, and looks for addresses after it.
      this.forgetting = i === 0
      ask()
      this.forgetting = false
    }
    return some.length
  }

  /** @internal The topology as the stock client gave it, with every peer remembered while it is connected. */
  watch(topology: Topology, view: (connection: Connection) => Connection): Topology {
    this.#timer ??= setInterval(() => this.askNow(), REASK_MS).unref()
    return {
      ...topology,
      onConnect: (peer, connection) => {
        const seen = view(connection)
        const ask = (): void => void topology.onConnect?.(peer, seen)
        // A dial-back of the peer's is a connection too, and soon closed again.
        const others = this.#known.get(peer.toString())?.filter(isOpen) ?? []
        this.#known.set(peer.toString(), [...others, { connection, ask }])
        ask()
      },
      onDisconnect: (peer) => {
        this.#known.delete(peer.toString())
        void topology.onDisconnect?.(peer)
      },
    }
  }

  /** @internal */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#known.clear()
  }
}

/** The stock client passes a verdict on without the peer that gave it; the question is where both meet. */
function knowsWhomItAsks(
  stock: Registrar,
  asked: AsyncLocalStorage<string>,
  peers: AutoNatPeers,
): object {
  const view = (connection: Connection): object => ({
    remotePeer: connection.remotePeer,
    remoteAddr: connection.remoteAddr,
    newStream: (...args: Parameters<Connection['newStream']>) => {
      // Stays in force for the rest of the conversation that opens this stream, and for no other.
      asked.enterWith(endpointOf(connection.remoteAddr)?.host ?? '')
      return connection.newStream(...args)
    },
  })
  return {
    register: (protocol: string, topology: Topology) =>
      stock.register(
        protocol,
        peers.watch(topology, (connection) => view(connection) as Connection),
      ),
    unregister: (id: string) => stock.unregister(id),
    handle: (...args: Parameters<Registrar['handle']>) => stock.handle(...args),
    unhandle: (...args: Parameters<Registrar['unhandle']>) => {
      // The stock client ends with this; it never unregisters.
      peers.stop()
      return stock.unhandle(...args)
    },
  }
}

/** libp2p's components are a proxy that throws for what is absent, so it cannot be spread. */
function pick(components: AutoNATv2Components): object {
  const { registrar, logger, peerStore } = components
  const { transportManager, peerId } = components as unknown as AutoNATComponents
  // Asking only those we are connected to anyway: a random walk would dial strangers for it.
  const randomWalk = { async *walk() {} }
  return { registrar, logger, randomWalk, peerStore, transportManager, peerId }
}

/** Relayed addresses mean nothing to a dial-back; the stock server stumbles over them. */
function answers(stock: AddressManager): object {
  return {
    getAddresses: () =>
      stock.getAddresses().filter((ma) => !ma.toString().includes('/p2p-circuit')),
  }
}

function dialsFresh(stock: ConnectionManager, deps: AutoNatDeps): object {
  return {
    openConnection: (address: Multiaddr, options: AbortOptions) => deps.dialFresh(address, options),
    isDialable: (address: Multiaddr, options: AbortOptions) => stock.isDialable(address, options),
    getConnections: () => stock.getConnections(),
    getMaxConnections: () => stock.getMaxConnections(),
  }
}
