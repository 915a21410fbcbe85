import { createHmac } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { canonicalIp, sameNetwork, scopeOf } from '../../protocols/kernel/address.ts'
import type { Family } from '../../protocols/kernel/address.ts'
import { NONCE_BYTES } from '../../protocols/port-mapping/pcp.ts'
import type { Mapping, PortMappingState } from '../../protocols/port-mapping/io.ts'
import { defaultGateway } from '../net/gateway/index.ts'
import type { Gateway } from '../net/gateway/index.ts'
import { PortMappingLane } from './port-mapping-lane.ts'
import type { MappingNews, Uplink } from './port-mapping-lane.ts'

export type { MappingNews } from './port-mapping-lane.ts'

export interface PortMappingDeps {
  /** Addresses of this host with the ports listened on there. */
  endpoints(): { ip: string; port: number }[]
  /** The identity's private key: what is derived from it is the same after a restart, and a secret. */
  privateKey: Uint8Array
  changed(family: Family, mapping: Mapping | undefined, reason: string): void
}

/** How often the routing table is read; Linux tells of no change without netlink. */
const ROUTES_MS = 5_000

/** External ports to wish for: above those of services, and with room for one more. */
const WISHES = { first: 20_000, count: 40_000 }

const FAMILIES: readonly Family[] = ['ip4', 'ip6']

/** Keeps the listening port mapped at the gateway, by whatever protocol that speaks. */
export class PortMappingDriver {
  readonly #deps: PortMappingDeps
  readonly #lanes: Record<Family, PortMappingLane>
  readonly #listeners = new Set<(news: MappingNews) => void>()
  #polling: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined

  constructor(deps: PortMappingDeps) {
    this.#deps = deps
    this.#lanes = { ip4: this.#lane('ip4'), ip6: this.#lane('ip6') }
  }

  /** What is known of the gateway of a family. */
  state(family: Family): PortMappingState {
    return this.#lanes[family].state
  }

  /** Calls back with every answer of a gateway. */
  onNews(listener: (news: MappingNews) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  start(): void {
    this.#polling = setInterval(() => this.look(), ROUTES_MS).unref()
    this.look()
  }

  /** Gives back what is held. */
  async stop(): Promise<void> {
    clearInterval(this.#polling)
    await this.#looking
    await Promise.all(FAMILIES.map((family) => this.#lanes[family].leave()))
  }

  /** Looks whether the gateway or our address changed. */
  look(): void {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined))
  }

  /** Somebody tried the mapped IPv4 address in vain. */
  doubted(): void {
    this.#lanes.ip4.doubted()
  }

  async #look(): Promise<void> {
    for (const family of FAMILIES) {
      const gateway = await defaultGateway(family)
      this.#lanes[family].enter(gateway && this.#uplinkTo(gateway, family))
    }
  }

  /** Our address on the gateway's network, if it is one that needs help and that we listen on. */
  #uplinkTo(gateway: Gateway, family: Family): Uplink | undefined {
    const cidrs = (networkInterfaces()[gateway.device] ?? []).map(({ cidr }) => cidr ?? '')
    const near = cidrs
      .map((cidr) => cidr.split('/'))
      .map(([ip = '', bits]) => ({ ip: canonicalIp(ip) ?? '', bits: Number(bits) }))
      .filter(({ ip }) => scopeOf(ip) === (family === 'ip4' ? 'private' : 'public'))
      .sort((a, b) => Number(isBeside(b, gateway)) - Number(isBeside(a, gateway)))
    const listened = this.#deps.endpoints()
    for (const { ip } of near) {
      const endpoint = listened.find((one) => one.ip === ip)
      if (endpoint !== undefined) return { gateway, ip, port: endpoint.port }
    }
    return undefined
  }

  #lane(family: Family): PortMappingLane {
    const derived = createHmac('sha256', this.#deps.privateKey)
      .update(`warren port mapping ${family}`)
      .digest()
    return new PortMappingLane({
      nonce: derived.subarray(0, NONCE_BYTES),
      wish: WISHES.first + (derived.readUInt32BE(NONCE_BYTES) % WISHES.count),
      rng: Math.random,
      changed: (mapping, reason) => this.#deps.changed(family, mapping, reason),
      news: (news) => {
        for (const listener of this.#listeners) listener(news)
      },
    })
  }
}

function isBeside({ ip, bits }: { ip: string; bits: number }, gateway: Gateway): boolean {
  return sameNetwork(ip, gateway.ip, bits)
}
