import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, Logger } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { endpointOf } from '../net/connection.ts'

/** What the punching needs of the node; all calls are made after the node has started. */
export interface HolePunchingDeps {
  /** Our own peer id. */
  self(): string
  /** The protocol that is used instead with peers that speak it. */
  insteadOf?: string
  /** Whether private addresses that a peer offers are dialled, as in a network that has no others. */
  privateTargets?: boolean
  /** What the peer says of itself, where it has told. */
  claims(peer: string): PeerClaims | undefined
  /** Addresses at which others saw our listening port: what CONNECT offers. */
  externalAddresses(): Multiaddr[]
  /** Dials from the listening port; `initiator: false` plays the server's role. */
  dial(address: Multiaddr, options: PunchDialOptions): Promise<Connection>
  /** While held, an inbound connection from there takes the client's role. */
  expectPunch(from: { host: string; port?: number }): Disposable
  /** While held, connections to the peer count as made by `method`. */
  expectMethod(peer: string, method: 'punch' | 'dial'): Disposable
  direct(peer: string): Connection | undefined
  whenDirect(peer: string, signal: AbortSignal): Promise<Connection>
  report(event: PunchReport): void
  /** A conversation that a peer began was refused. */
  refused?(reason: DcutrRefusal): void
}

/** The peer asked over a connection that may not, too often, or while we are asking it ourselves. */
export type DcutrRefusal = 'dcutr-path' | 'dcutr-rate' | 'dcutr-turn'

/** What a peer's record says of its network. */
export interface PeerClaims {
  reachability: 'public' | 'private' | 'unknown'
  /** RFC 4787, as in the public API. */
  mapping: string
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
 * Addresses dialled at one peer's word, each with one socket at a time. More than this is not a NAT's
 * set of mappings but a list of somebody else's hosts.
 */
export const MAX_TARGETS = 4

/**
 * The plain dial that the stock service makes before CONNECT, when the peer lists public addresses. One that is
 * reachable is connected in two seconds at a round trip of 300 ms; a firewall would cost the whole attempt.
 */
const PLAIN_DIAL_MS = 3_000

/**
 * Pause between two dials of one address. A NAT that answers strangers with RST lets the peer's SYN in only between our SYN
 * and the RST it meets, one round trip; go-libp2p sends one SYN an attempt. So at first our next SYN follows at once.
 */
const REDIAL_MS = { least: 3, spread: 9 }

/** After so many dials the pause is another: routers that refuse at once would use them all up in a second. */
const QUICK_REDIALS = 20
const PATIENT_REDIAL_MS = { least: 20, spread: 80 }

/** Dials of one address in one attempt: with the pause above, refusals are met for several seconds. */
const MAX_REDIALS = 60

/** What our dials in a conversation need to know of it. */
export interface Conversation {
  peer: string
  /** Fires when the peer has begun another one. */
  replaced: AbortSignal
}

/** One attempt at a peer's addresses. */
interface Reaching {
  signal: AbortSignal
  replaced: AbortSignal
  punching: boolean
  initiator: boolean
}

function reasonOf(err: Error, by: { replaced: AbortSignal; deadline: AbortSignal }): string {
  if (by.replaced.aborted) return 'the peer began another attempt'
  return by.deadline.aborted ? 'no answer in time' : err.message
}

/** Dials on both sides' agreement until they have met, however that came about. */
export class Puncher {
  readonly #deps: HolePunchingDeps
  readonly #conversation: () => Conversation | undefined
  readonly #log: Logger

  constructor(deps: HolePunchingDeps, conversation: () => Conversation | undefined, log: Logger) {
    this.#deps = deps
    this.#conversation = conversation
    this.#log = log
  }

  /** What the stock service calls to dial: before CONNECT without a priority, to punch with one. */
  readonly openConnection = async (
    target: Multiaddr | Multiaddr[],
    options: { signal: AbortSignal; priority?: number; initiator?: boolean },
  ): Promise<Connection> => {
    const conversation = this.#conversation()
    if (conversation === undefined) throw new Error('hole punching outside a conversation')
    const { peer, replaced } = conversation
    const already = this.#deps.direct(peer)
    if (already !== undefined) return already

    const punching = options.priority !== undefined
    if (!punching && this.#isHidden(peer))
      throw new Error('the peer does not claim to be reachable')
    const method = punching ? 'punch' : 'dial'
    const initiator = options.initiator !== false
    const targets = [target].flat().slice(0, MAX_TARGETS)
    const began = Date.now()
    this.#deps.report({ type: 'punch:started', peer, method })
    using _expected = this.#deps.expectMethod(peer, method)
    try {
      const signal = punching
        ? options.signal
        : AbortSignal.any([options.signal, AbortSignal.timeout(PLAIN_DIAL_MS)])
      const reaching = { signal, replaced, punching, initiator }
      const connection = await this.#reach(peer, targets, reaching)
      const ms = Date.now() - began
      const address = connection.remoteAddr.toString()
      this.#deps.report({ type: 'punch:succeeded', peer, method, ms, address })
      return connection
    } catch (err) {
      const reason = reasonOf(err as Error, { replaced, deadline: options.signal })
      this.#log('punching to %s failed - %s', peer, reason)
      this.#deps.report({ type: 'punch:failed', peer, method, ms: Date.now() - began, reason })
      throw err
    }
  }

  /** Its public addresses, if it lists any, are behind a firewall then: dialling them before the punch only costs time. */
  #isHidden(peer: string): boolean {
    const reachability = this.#deps.claims(peer)?.reachability
    return reachability === 'private' || reachability === 'unknown'
  }

  /** The first direct connection, whoever of both sides made it. */
  async #reach(peer: string, targets: Multiaddr[], options: Reaching): Promise<Connection> {
    const met = new AbortController()
    const roles = options.punching && options.initiator ? this.#claims(peer, targets) : []
    try {
      return await Promise.any([
        this.#deps.whenDirect(peer, AbortSignal.any([options.signal, options.replaced])),
        ...targets.map((ma) => this.#dialUntilMet(peer, ma, { ...options, met: met.signal })),
      ])
    } catch (err) {
      throw err instanceof AggregateError ? (err.errors.at(-1) as Error) : err
    } finally {
      met.abort()
      for (const role of roles) role[Symbol.dispose]()
    }
  }

  /**
   * The server's dial may reach our listener instead of our socket: then we still play the client. It comes from the port
   * that others saw only when the peer's NAT gives every destination the same one.
   */
  #claims(peer: string, targets: Multiaddr[]): Disposable[] {
    const mapping = this.#deps.claims(peer)?.mapping
    const keepsPort = mapping === 'endpoint-independent' || mapping === 'none'
    const endpoints = targets.map(endpointOf).filter((endpoint) => endpoint !== undefined)
    if (keepsPort) return endpoints.map((endpoint) => this.#deps.expectPunch(endpoint))
    return [...new Set(endpoints.map(({ host }) => host))].map((host) =>
      this.#deps.expectPunch({ host }),
    )
  }

  /**
   * Dials one address again and again: routers that answer strangers with RST refuse until the other side's SYN
   * has opened their NAT, which is not a verdict. A plain dial before CONNECT is tried once. Once the sides have `met` no new
   * dial starts, but one under way may finish: the other side may have taken that very one for the winner.
   */
  async #dialUntilMet(
    peer: string,
    address: Multiaddr,
    options: Reaching & { met: AbortSignal },
  ): Promise<Connection> {
    const { signal, met, initiator } = options
    const pause = AbortSignal.any([signal, met, options.replaced])
    const full = address.toString().includes('/p2p/')
      ? address
      : address.encapsulate(`/p2p/${peer}`)
    for (let dials = 1; ; dials++) {
      try {
        return await this.#deps.dial(full, { signal, initiator })
      } catch (err) {
        if (!options.punching || pause.aborted || dials >= MAX_REDIALS) throw err
      }
      const { least, spread } = dials < QUICK_REDIALS ? REDIAL_MS : PATIENT_REDIAL_MS
      await sleep(least + Math.random() * spread, undefined, { signal: pause })
    }
  }
}
