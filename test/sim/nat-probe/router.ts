import type { Rng } from '../../../protocols/kernel/rng.ts'

type Behaviour = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

/** What a router does, in RFC 4787 words. */
export interface Traits {
  mapping: Behaviour
  filtering: Behaviour
  ports: 'preserved' | 'shifted' | 'sequential' | 'random'
  /** What a stranger meets. */
  unsolicited?: 'silent' | 'refused'
  /** Its outside addresses; which one a connection leaves by depends on where it goes. */
  addresses?: string[]
  /** An outside port that leads to this local one for everybody. */
  forwarded?: { outside: number; inside: number }
}

export interface Endpoint {
  ip: string
  port: number
}

const SHIFT = 10_000

/** Who maps what where, and who gets in. Packets are of no interest here. */
export class Router {
  readonly traits: Traits
  readonly addresses: string[]
  readonly #rng: Rng
  /** Outside ports by local port and, as far as the mapping depends on it, destination. */
  readonly #mappings = new Map<string, number>()
  /** Local ports by outside port. */
  readonly #inside = new Map<number, number>()
  /** Whom a local port has sent to. */
  readonly #sent = new Set<string>()
  #next = 20_000

  constructor(traits: Traits, rng: Rng) {
    this.traits = traits
    this.addresses = traits.addresses ?? ['51.20.0.10']
    this.#rng = rng
  }

  /** A connection leaves; how it looks from outside. */
  out(local: number, to: Endpoint): Endpoint {
    this.#sent.add(`${local} ${to.ip}`).add(`${local} ${to.ip} ${to.port}`)
    const key = this.#mappingKey(local, to)
    const port = this.#mappings.get(key) ?? this.#pick(local)
    this.#mappings.set(key, port)
    this.#inside.set(port, local)
    return { ip: this.#addressTowards(to), port }
  }

  /** The local port that a connection from outside gets to, if it gets in. */
  in(at: Endpoint, from: Endpoint): number | undefined {
    if (!this.addresses.includes(at.ip)) return undefined
    if (at.port === this.traits.forwarded?.outside) return this.traits.forwarded.inside
    const local = this.#inside.get(at.port)
    if (local === undefined) return undefined
    const { filtering } = this.traits
    if (filtering === 'endpoint-independent') return local
    const known = filtering === 'address-dependent' ? from.ip : `${from.ip} ${from.port}`
    return this.#sent.has(`${local} ${known}`) ? local : undefined
  }

  #mappingKey(local: number, to: Endpoint): string {
    if (this.traits.mapping === 'endpoint-independent') return `${local}`
    return this.traits.mapping === 'address-dependent'
      ? `${local} ${to.ip}`
      : `${local} ${to.ip} ${to.port}`
  }

  #pick(local: number): number {
    switch (this.traits.ports) {
      case 'preserved':
        return local
      case 'shifted':
        return local + SHIFT
      case 'sequential':
        return this.#next++
      default:
        return 1_024 + Math.floor(this.#rng() * 64_000)
    }
  }

  #addressTowards({ ip }: Endpoint): string {
    const sum = Buffer.from(ip).reduce((total, byte) => total + byte, 0)
    return this.addresses[sum % this.addresses.length] as string
  }
}
