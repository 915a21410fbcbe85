import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { dcutr } from '@libp2p/dcutr'
import type { DCUtRServiceComponents, DCUtRServiceInit } from '@libp2p/dcutr'
import type { Connection, Logger, Stream, Topology } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { endpointOf, isDirect } from '../net/connection.ts'

/** What the punching needs of the node; all calls are made after the node has started. */
export interface HolePunchingDeps {
  /** Addresses at which others saw our listening port: what CONNECT offers. */
  externalAddresses(): Multiaddr[]
  /** Dials from the listening port; `initiator: false` plays the server's role. */
  dial(address: Multiaddr, options: PunchDialOptions): Promise<Connection>
  /** While held, an inbound connection from there takes the client's role. */
  expectPunch(from: { host: string; port: number }): Disposable
  /** While held, connections to the peer count as made by `method`. */
  expectMethod(peer: string, method: 'punch' | 'dial'): Disposable
  direct(peer: string): Connection | undefined
  whenDirect(peer: string, signal: AbortSignal): Promise<Connection>
  report(event: PunchReport): void
}

export interface PunchDialOptions {
  signal: AbortSignal
  initiator: boolean
}

export type PunchReport =
  | { type: 'punch:started'; peer: string; method: 'punch' | 'dial' }
  | { type: 'punch:succeeded'; peer: string; method: 'punch' | 'dial'; ms: number; address: string }
  | { type: 'punch:failed'; peer: string; method: 'punch' | 'dial'; ms: number; reason: string }

/**
 * One attempt of the stock service, from CONNECT to a connection. A relayed round trip of 600 ms takes
 * 1.5 s to agree and 2 s to shake hands; a lost SYN is sent again after one second and then three more.
 */
const ATTEMPT_MS = 10_000

/**
 * Addresses dialled at one peer's word, each with one socket at a time. More than this is not a NAT's
 * set of mappings but a list of somebody else's hosts.
 */
const MAX_TARGETS = 4

/** Pause between two dials of one address: refused ones answer within one round trip, so spread them. */
const REDIAL_MS = { least: 20, spread: 80 }

/** Dials of one address in one attempt: with the pause above, refusals are met for several seconds. */
const MAX_REDIALS = 60

/** Conversations a peer may start with us in a minute; an honest one needs three per relayed connection. */
const PER_PEER_PER_MINUTE = 12

interface Conversation {
  peer: string
}

/**
 * The stock DCUtR service, given components that make it work over TCP: CONNECT carries the addresses that
 * observers saw, dials leave from the listening port in the role the protocol gives, refused dials are
 * repeated, and the relayed connection is left to the node to close when nothing uses it any more.
 * See docs/decisions/0008-dcutr-adapted.md.
 */
export function holePunching(
  deps: HolePunchingDeps,
  init: DCUtRServiceInit = {},
): (components: DCUtRServiceComponents) => unknown {
  return (components) => {
    const log = components.logger.forComponent('warren:hole-punching')
    const conversation = new AsyncLocalStorage<Conversation>()
    const puncher = new Puncher(deps, conversation, log)
    return dcutr({ timeout: ATTEMPT_MS, ...init })({
      addressManager: offering(components.addressManager, deps),
      connectionManager: {
        openConnection: puncher.openConnection,
      } as unknown as ConnectionManager,
      registrar: inConversation(components.registrar, conversation, log),
      peerStore: components.peerStore,
      transportManager: components.transportManager,
      logger: components.logger,
    })
  }
}

type AddressManager = DCUtRServiceComponents['addressManager']

/** CONNECT carries what observers saw and what we announce, never a relayed address. */
function offering(stock: AddressManager, deps: HolePunchingDeps): AddressManager {
  const shim: Pick<AddressManager, 'getAddresses'> = {
    getAddresses: () => {
      const direct = stock.getAddresses().filter((ma) => !ma.toString().includes('/p2p-circuit'))
      const seen = new Set<string>()
      return [...deps.externalAddresses(), ...direct].filter((ma) => {
        const key = JSON.stringify(endpointOf(ma))
        return seen.size < MAX_TARGETS * 2 && !seen.has(key) && seen.add(key)
      })
    },
  }
  return shim as AddressManager
}

/** Lets every conversation of the stock service know its peer, and guards who may start one. */
function inConversation(
  stock: Registrar,
  conversation: AsyncLocalStorage<Conversation>,
  log: Logger,
): Registrar {
  const admit = rateLimit(PER_PEER_PER_MINUTE)
  const shim: Pick<Registrar, 'register' | 'unregister' | 'handle' | 'unhandle'> = {
    register: (protocol, topology: Topology) =>
      stock.register(protocol, {
        ...topology,
        onConnect: (peerId, connection) =>
          conversation.run({ peer: peerId.toString() }, () =>
            topology.onConnect?.(peerId, keptOpen(connection)),
          ),
      }),
    unregister: (id) => stock.unregister(id),
    handle: (protocol, handler, options) =>
      stock.handle(
        protocol,
        (stream: Stream, connection: Connection) => {
          const peer = connection.remotePeer.toString()
          // Only the peer we dialled through a relay may make us dial: see DCUtR, "The protocol".
          if (isDirect(connection) || connection.direction !== 'outbound' || !admit(peer)) {
            log('refused a DCUtR conversation with %s', peer)
            stream.abort(new Error('no hole punching on this connection'))
            return undefined
          }
          return conversation.run({ peer }, () => handler(stream, keptOpen(connection)))
        },
        options,
      ),
    unhandle: (protocol) => stock.unhandle(protocol),
  }
  return shim as Registrar
}

/** The relayed connection as the stock service sees it: it may use it, but not close it. */
function keptOpen(connection: Connection): Connection {
  const view = {
    id: connection.id,
    remotePeer: connection.remotePeer,
    remoteAddr: connection.remoteAddr,
    direction: connection.direction,
    log: connection.log,
    newStream: (...args: Parameters<Connection['newStream']>) => connection.newStream(...args),
    close: async () => {},
  }
  return view as unknown as Connection
}

class Puncher {
  readonly #deps: HolePunchingDeps
  readonly #conversation: AsyncLocalStorage<Conversation>
  readonly #log: Logger

  constructor(deps: HolePunchingDeps, conversation: AsyncLocalStorage<Conversation>, log: Logger) {
    this.#deps = deps
    this.#conversation = conversation
    this.#log = log
  }

  /** What the stock service calls to dial: before CONNECT without a priority, to punch with one. */
  readonly openConnection = async (
    target: Multiaddr | Multiaddr[],
    options: { signal: AbortSignal; priority?: number; initiator?: boolean },
  ): Promise<Connection> => {
    const peer = this.#conversation.getStore()?.peer
    if (peer === undefined) throw new Error('hole punching outside a conversation')
    const already = this.#deps.direct(peer)
    if (already !== undefined) return already

    const punching = options.priority !== undefined
    const method = punching ? 'punch' : 'dial'
    const initiator = options.initiator !== false
    const targets = [target].flat().slice(0, MAX_TARGETS)
    const began = Date.now()
    this.#deps.report({ type: 'punch:started', peer, method })
    using _expected = this.#deps.expectMethod(peer, method)
    try {
      const connection = await this.#reach(peer, targets, { ...options, punching, initiator })
      const ms = Date.now() - began
      const address = connection.remoteAddr.toString()
      this.#deps.report({ type: 'punch:succeeded', peer, method, ms, address })
      return connection
    } catch (err) {
      const reason = options.signal.aborted ? 'no answer in time' : (err as Error).message
      this.#log('punching to %s failed - %s', peer, reason)
      this.#deps.report({ type: 'punch:failed', peer, method, ms: Date.now() - began, reason })
      throw err
    }
  }

  /** The first direct connection, whoever of both sides made it. */
  async #reach(
    peer: string,
    targets: Multiaddr[],
    options: { signal: AbortSignal; punching: boolean; initiator: boolean },
  ): Promise<Connection> {
    const met = new AbortController()
    const roles =
      options.punching && options.initiator ? targets.flatMap((ma) => this.#claim(ma)) : []
    try {
      return await Promise.any([
        this.#deps.whenDirect(peer, options.signal),
        ...targets.map((ma) => this.#dialUntilMet(peer, ma, { ...options, met: met.signal })),
      ])
    } catch (err) {
      throw err instanceof AggregateError ? (err.errors.at(-1) as Error) : err
    } finally {
      met.abort()
      for (const role of roles) role[Symbol.dispose]()
    }
  }

  /** The server's dial may reach our listener instead of our socket: then we still play the client. */
  #claim(ma: Multiaddr): Disposable[] {
    const endpoint = endpointOf(ma)
    return endpoint === undefined ? [] : [this.#deps.expectPunch(endpoint)]
  }

  /**
   * Dials one address again and again: routers that answer strangers with RST refuse until the other side's SYN
   * has opened their NAT, which is not a verdict. A plain dial before CONNECT is tried once. Once the sides have `met` no new
   * dial starts, but one under way may finish: the other side may have taken that very one for the winner.
   */
  async #dialUntilMet(
    peer: string,
    address: Multiaddr,
    options: { signal: AbortSignal; met: AbortSignal; punching: boolean; initiator: boolean },
  ): Promise<Connection> {
    const { signal, met, initiator } = options
    const pause = AbortSignal.any([signal, met])
    const full = address.toString().includes('/p2p/')
      ? address
      : address.encapsulate(`/p2p/${peer}`)
    for (let dials = 1; ; dials++) {
      try {
        return await this.#deps.dial(full, { signal, initiator })
      } catch (err) {
        if (!options.punching || pause.aborted || dials >= MAX_REDIALS) throw err
      }
      await sleep(REDIAL_MS.least + Math.random() * REDIAL_MS.spread, undefined, { signal: pause })
    }
  }
}

/** Admits `most` calls a minute for each key; forgets keys after that minute. */
function rateLimit(most: number): (key: string) => boolean {
  const windowMs = 60_000
  const used = new Map<string, { count: number; until: number }>()
  return (key) => {
    const now = Date.now()
    for (const [k, { until }] of used) if (until <= now) used.delete(k)
    const entry = used.get(key) ?? { count: 0, until: now + windowMs }
    entry.count++
    used.set(key, entry)
    return entry.count <= most
  }
}
