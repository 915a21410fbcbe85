import { EVENT } from './ground.ts'
import type { Ground } from './ground.ts'
import type { Links } from './links.ts'

/** An application message on its way over neighbours. */
export interface Running {
  startedAt: number
  /** Who has it, and after how many hops: one more than there were, 0 for nobody. */
  hops: Uint16Array
  lastAt: number
  /** After this nobody passes it on. */
  endsAt: number
}

/** Who a node passes messages on to. */
export type Neighbours = (node: number) => Iterable<number>

/** Messages that go from neighbour to neighbour, each passed on once, and again to a neighbour that comes while it is new. */
export class Floods {
  readonly #ground: Ground
  readonly #links: Links
  readonly #neighbours: Neighbours
  #running: Running[] = []

  constructor(ground: Ground, links: Links, neighbours: Neighbours) {
    this.#ground = ground
    this.#links = links
    this.#neighbours = neighbours
  }

  start(origin: number, lastsMs: number): Running {
    const { now, people } = this.#ground
    const hops = new Uint16Array(people.size)
    const flood = { startedAt: now, hops, lastAt: now, endsAt: now + lastsMs }
    this.#running = this.#running.filter(({ endsAt }) => endsAt > now)
    this.#running.push(flood)
    hops[origin] = 1
    this.#passOn(flood, origin, -1)
    return flood
  }

  arrived(flood: Running, node: number, from: number): void {
    const { people, now } = this.#ground
    const { hops } = flood
    if (people.alive[node] === 0 || node >= hops.length || hops[node] !== 0) return
    if (now > flood.endsAt) return
    hops[node] = (hops[from] as number) + 1
    flood.lastAt = now
    if (people.hostile[node] === 0) this.#passOn(flood, node, from)
  }

  /** A new neighbour gets what is still going round. */
  gained(node: number, other: number): void {
    for (const flood of this.#running) {
      if (flood.endsAt > this.#ground.now && flood.hops[node] !== 0) this.#send(flood, node, other)
    }
  }

  #passOn(flood: Running, node: number, from: number): void {
    for (const other of this.#neighbours(node)) {
      if (other !== from) this.#send(flood, node, other)
    }
  }

  #send(flood: Running, node: number, other: number): void {
    const { people, wire, queue, now } = this.#ground
    const link = this.#links.get(node, other)
    if (link === undefined) return
    const { via } = link
    const isDead = people.alive[other] === 0 || (via !== -1 && people.alive[via] === 0)
    if (isDead || !wire.carries(node, other)) this.#links.suspect(link, node)
    else if (link.isOpenAt(other)) {
      queue.push(now + wire.delay(node, other, via), EVENT.flood, other, node, flood)
    }
  }
}
