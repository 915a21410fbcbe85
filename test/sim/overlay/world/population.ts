import { scopeOf } from '../../../../protocols/kernel/address.ts'
import { seededRng } from '../../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../../protocols/kernel/rng.ts'
import { PORT } from './constants.ts'
import { fixed } from './random.ts'

/** As many /16 networks as the prototype's figures were taken with. */
const GROUPS = 3_000

const ZERO = '0'.charCodeAt(0)

export interface Newcomer {
  hidden: boolean
  hostile: boolean
  /** Of all IP groups, which share it may be in; the first so many. */
  groups?: number
  /** How wrong its clock is. */
  skewMs?: number
}

/** Who there is: each node's facts in columns, by its index. Nodes never leave the tables, so an index is for ever. */
export class Population {
  size = 0
  alive = new Uint8Array(0)
  hidden = new Uint8Array(0)
  hostile = new Uint8Array(0)
  /** Its NAT gives every destination another port. */
  symmetric = new Uint8Array(0)
  side = new Uint8Array(0)
  ip = new Uint32Array(0)
  /** Index of the /16 network. */
  group = new Uint16Array(0)
  /** Where it is on a plane of side 1, and what its own line adds to every way, in milliseconds. */
  x = new Float64Array(0)
  y = new Float64Array(0)
  line = new Float64Array(0)
  skew = new Float64Array(0)
  sent = new Float64Array(0)
  received = new Float64Array(0)
  startedAt = new Float64Array(0)
  joinedAt = new Float64Array(0)
  diedAt = new Float64Array(0)
  readonly keys: string[] = []
  readonly addresses: string[] = []
  readonly byIp = new Map<number, number>()
  readonly #rng: Rng
  readonly #seed: number
  readonly #symmetricShare: number
  readonly #groups: number[]

  constructor(seed: number, symmetricShare: number) {
    this.#seed = seed
    this.#rng = seededRng(seed ^ 0x50b1)
    this.#symmetricShare = symmetricShare
    this.#groups = publicGroups(this.#rng)
  }

  /** Puts a node down; it does nothing before it is started. */
  add({ hidden, hostile, groups = 1, skewMs = 0 }: Newcomer): number {
    const node = this.size++
    if (node >= this.alive.length) this.#grow()
    const rng = this.#rng
    this.hidden[node] = hidden ? 1 : 0
    this.hostile[node] = hostile ? 1 : 0
    this.symmetric[node] = hidden && fixed(this.#seed, node, 0x5e) < this.#symmetricShare ? 1 : 0
    this.x[node] = rng()
    this.y[node] = rng()
    this.line[node] = 2 + 30 * squared(squared(rng())) // most lines are short, a few are slow
    this.skew[node] = skewMs
    this.startedAt[node] = NaN
    this.joinedAt[node] = NaN
    this.diedAt[node] = NaN
    this.group[node] = Math.floor(rng() * Math.max(1, Math.round(groups * GROUPS)))
    this.ip[node] = this.#freeIp(this.group[node])
    this.byIp.set(this.ip[node], node)
    this.keys.push(`p${node}`)
    this.addresses.push(`/ip4/${ipText(this.ip[node])}/tcp/${PORT}`)
    return node
  }

  /** The node that a key names; -1 when there is none. */
  indexOf(peer: string): number {
    let index = 0
    for (let i = 1; i < peer.length; i++) index = index * 10 + peer.charCodeAt(i) - ZERO
    return this.keys[index] === peer ? index : -1
  }

  /** An address in one of the groups where no node is. */
  vacantAddress(): number {
    return this.#freeIp(Math.floor(this.#rng() * GROUPS))
  }

  #freeIp(group: number): number {
    const prefix = this.#groups[group] as number
    for (;;) {
      const ip = (prefix * 65536 + 256 + Math.floor(this.#rng() * 65_000)) >>> 0
      if (!this.byIp.has(ip)) return ip
    }
  }

  #grow(): void {
    const size = Math.max(1024, this.alive.length * 2)
    this.alive = grown(new Uint8Array(size), this.alive)
    this.hidden = grown(new Uint8Array(size), this.hidden)
    this.hostile = grown(new Uint8Array(size), this.hostile)
    this.symmetric = grown(new Uint8Array(size), this.symmetric)
    this.side = grown(new Uint8Array(size), this.side)
    this.ip = grown(new Uint32Array(size), this.ip)
    this.group = grown(new Uint16Array(size), this.group)
    this.x = grown(new Float64Array(size), this.x)
    this.y = grown(new Float64Array(size), this.y)
    this.line = grown(new Float64Array(size), this.line)
    this.skew = grown(new Float64Array(size), this.skew)
    this.sent = grown(new Float64Array(size), this.sent)
    this.received = grown(new Float64Array(size), this.received)
    this.startedAt = grown(new Float64Array(size), this.startedAt)
    this.joinedAt = grown(new Float64Array(size), this.joinedAt)
    this.diedAt = grown(new Float64Array(size), this.diedAt)
  }
}

/** Dotted text of an IPv4 address. */
export function ipText(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`
}

/** The upper halves of addresses whose whole /16 the internet routes. */
function publicGroups(rng: Rng): number[] {
  const groups = new Set<number>()
  while (groups.size < GROUPS) {
    const prefix = Math.floor(rng() * 65536)
    const base = prefix * 65536
    const isPublic = [0, 2, 100, 113].every((c) => scopeOf(ipText(base + c * 256 + 7)) === 'public')
    if (isPublic) groups.add(prefix)
  }
  return [...groups]
}

function grown<T extends { set(from: T): void }>(to: T, from: T): T {
  to.set(from)
  return to
}

function squared(value: number): number {
  return value * value
}
