import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { endpointAddress, parseAddress } from '../../protocols/kernel/address.ts'
import type { ReachabilityState } from '../../protocols/reachability/reachability.ts'
import { shouldServe } from '../../protocols/relaying/serving.ts'
import type { OverlayDriver } from '../drivers/overlay.ts'
import type { ReachabilityDriver } from '../drivers/reachability.ts'
import type { RelayService } from '../drivers/relay-service.ts'
import type { RelayingDriver } from '../drivers/relaying.ts'
import type { Conditions } from '../observe/conditions.ts'
import type { EventHub } from '../observe/event-hub.ts'
import type { Seam } from './libp2p.ts'
import type { MappingKeeper } from './mapping-keeper.ts'
import type { NatFacts } from '../types.ts'

export interface PresenceParts {
  seam: Seam
  hub: EventHub
  conditions: Conditions
  reachability: ReachabilityDriver
  mapping: MappingKeeper
  relaying: RelayingDriver
  relayService: RelayService
  overlay: OverlayDriver
  relayMode: 'auto' | 'on' | 'off'
  /** Relays here give without limit. */
  unlimited: boolean
  /** Names of the services offered to every member. */
  services(): string[]
}

/** A bootstrap is joined, and so proven, within seconds; who has not been by then may be firewalled. */
const HOPE_MS = 20_000

/**
 * What this node is to others: the addresses it announces, whether it relays, the record it publishes. Whenever
 * one of the machines changes its mind, `update` brings all of these in line.
 */
export class Presence {
  readonly #parts: PresenceParts
  #lookingAgain: NodeJS.Timeout | undefined
  readonly #startedAt = Date.now()
  #since = new Date().toISOString()
  #announced: string[] = []
  #serving = false
  #reachedInbound = false
  #record = ''

  constructor(parts: PresenceParts) {
    this.#parts = parts
  }

  /** ISO time of the last change of verdict. */
  get since(): string {
    return this.#since
  }

  /** Announced addresses, best first, each ending in our peer id. */
  announced(): string[] {
    return this.#announced
  }

  /** Where this node can be joined, as far as it knows or was told: who joins there confirms what it was told. */
  joinable(): string[] {
    const { reachability, seam } = this.#parts
    const open = reachability.state.claims.filter(({ state }) => state === 'open')
    const told = open.map(({ address }) => withPeer(address, seam.peerId.toString()))
    return [...new Set([...this.#announced, ...told])]
  }

  /** Where a hole punch can aim at. */
  external(): Multiaddr[] {
    return this.#parts.reachability.state.externalAddresses.map((endpoint) =>
      multiaddr(endpointAddress(endpoint)),
    )
  }

  nat(): NatFacts {
    const { mapping, filtering, ports, externalAddresses } = this.#parts.reachability.state
    const portMapping = this.#parts.mapping.protocol
    return { mapping, filtering, ports, externalAddresses, portMapping }
  }

  reachabilityChanged(state: ReachabilityState, before: ReachabilityState): void {
    const { hub } = this.#parts
    if (state.verdict !== before.verdict) this.#since = new Date().toISOString()
    const facts = ['verdict', 'mapping', 'filtering'] as const
    if (facts.some((fact) => state[fact] !== before[fact])) {
      hub.publish({ type: 'reachability:changed', verdict: state.verdict, nat: this.nat() })
    }
    this.#warn(state)
    this.update()
  }

  #warn({ claims }: ReachabilityState): void {
    const { conditions } = this.#parts
    const refuted = claims.filter(({ state }) => state === 'refuted').map(({ address }) => address)
    if (refuted.length === 0) return conditions.clear('announce.unreachable')
    conditions.raise({
      code: 'announce.unreachable',
      severity: 'degraded',
      text: `peers that tried ${refuted.join(', ')} did not get here, so it is not announced`,
      remedy:
        'publish or forward that port to this node and open it in the firewall, or correct --announce',
    })
  }

  /** Looks again when the time of hope is over. */
  start(): void {
    this.#lookingAgain = setTimeout(() => this.update(), HOPE_MS).unref()
    this.update()
  }

  stop(): void {
    clearTimeout(this.#lookingAgain)
  }

  /** Some peer has reached us without our having dialled it. */
  reachedInbound(): void {
    this.#reachedInbound = true
    this.update()
  }

  update(): void {
    this.#parts.relaying.need(this.#needsRelays())
    this.#decideServing()
    this.#announce()
    this.#publishRecord()
  }

  /**
   * Where no internet tells whether we are hidden, we are as long as nobody has come to us. Whoever is reached by a port of
   * the router's keeps its relays: the port can go at any moment, and a neighbour behind the same router, which may not
   * lead it back inside, has nothing else to meet by.
   */
  #needsRelays(): boolean {
    const { verdict } = this.#parts.reachability.state
    if (this.#parts.mapping.protocol !== 'none') return true
    return verdict === 'private' || (verdict === 'unknown' && !this.#reachedInbound)
  }

  #decideServing(): void {
    const { hub, reachability, relayMode, relayService } = this.#parts
    const { on, reason } = shouldServe({
      mode: relayMode,
      verdict: reachability.state.verdict,
      reachedInbound: this.#reachedInbound,
      hopeful: this.#isHopeful(),
    })
    if (on === this.#serving) return
    this.#serving = on
    hub.publish({ type: 'relay:serving', on, reason })
    void relayService.serve(on).then(() => this.#publishRecord())
  }

  #isHopeful(): boolean {
    const { announce } = this.#parts.reachability.state
    if (Date.now() - this.#startedAt >= HOPE_MS) return false
    return announce.some((address) => parseAddress(address)?.scope === 'public')
  }

  #announce(): void {
    const { hub, reachability, relaying, seam } = this.#parts
    const self = seam.peerId.toString()
    const direct = reachability.state.announce.map((address) => withPeer(address, self))
    const relayed = relaying.held().flatMap(({ addresses }) => addresses)
    const announced = [...new Set([...direct, ...relayed])]
    if (announced.join() === this.#announced.join()) return
    this.#announced = announced
    hub.publish({ type: 'addresses:changed', addresses: announced })
    // Makes identify push the new list to everybody we are connected to.
    seam.peerStore
      .patch(seam.peerId, { multiaddrs: announced.map((address) => multiaddr(address)) })
      .catch(() => {})
  }

  #publishRecord(): void {
    const { overlay, reachability, relayService, unlimited } = this.#parts
    const { verdict, mapping, filtering, externalAddresses } = reachability.state
    const self = this.#parts.seam.peerId.toString()
    // What is announced is open; to name it again as the outside of a NAT would say the contrary.
    const closed = externalAddresses
      .map((one) => endpointAddress(one))
      .filter((address) => !this.#announced.includes(withPeer(address, self)))
    const facts = {
      addresses: [
        ...this.#announced.map((address) => ({
          address,
          kind: address.includes('/p2p-circuit') ? ('relayed' as const) : ('direct' as const),
        })),
        ...closed.map((address) => ({ address, kind: 'external' as const })),
      ],
      reachability: verdict,
      mapping,
      filtering,
      services: this.#parts.services(),
      ...(this.#serving ? { relay: { ...relayService.capacity(), unlimited } } : {}),
    }
    const record = JSON.stringify(facts)
    if (record === this.#record) return
    this.#record = record
    overlay.setSelf(facts)
  }
}

function withPeer(address: string, peer: string): string {
  return address.includes('/p2p/') ? address : `${address}/p2p/${peer}`
}
