import { BYTES, ROUND_TRIPS, TIMES } from './constants.ts'
import { EVENT } from './ground.ts'
import type { Ground } from './ground.ts'
import { Link } from './link.ts'
import { fixed } from './random.ts'

/** Told of what links do to those who rely on them. */
export interface LinkWatcher {
  /** A link with a reservation is gone, as this side sees it. */
  reservationLost(link: Link, node: number): void
  linked(node: number): void
}

/** Opens, upgrades and closes what is between nodes, and tells both. */
export class Links {
  readonly #ground: Ground
  readonly #watcher: LinkWatcher
  /** By node: its links by the other's index. */
  readonly #of: Map<number, Link>[] = []
  /** Relayed ones by relay. */
  readonly #through: (Set<Link> | undefined)[] = []

  constructor(ground: Ground, watcher: LinkWatcher) {
    this.#ground = ground
    this.#watcher = watcher
  }

  of(node: number): Map<number, Link> {
    return (this.#of[node] ??= new Map())
  }

  /** The link that this side takes for open. */
  get(node: number, other: number): Link | undefined {
    const link = this.#of[node]?.get(other)
    return link?.isOpenAt(node) === true ? link : undefined
  }

  open(a: number, b: number, via: number): Link {
    const { wire, now } = this.#ground
    wire.countBoth(a, b, via, via === -1 ? BYTES.directDial : BYTES.relayedDial, 'dial')
    const link = new Link(a, b, via, now)
    if (via !== -1) {
      if (this.get(a, via) === undefined)
        wire.countBoth(a, via, -1, BYTES.directDial, 'dial to relay')
      const through = (this.#through[via] ??= new Set())
      through.add(link)
      this.#ground.queue.push(now + TIMES.limitedMs, EVENT.limit, 0, 0, link)
    }
    this.#enter(a, b, link)
    this.#enter(b, a, link)
    this.#tell(link, a)
    this.#tell(link, b)
    return link
  }

  /** A direct connection takes the place of the relayed one. */
  upgrade(link: Link): void {
    const { a, b, via } = link
    this.#through[via]?.delete(link)
    link.via = -1
    link.paidAt = this.#ground.now
    this.#ground.wire.countBoth(a, b, -1, BYTES.directDial, 'punch')
    this.#tell(link, a)
    this.#tell(link, b)
  }

  /** Tries to make a relayed link a direct one; the first try is all there is, as most punches succeed in it or never. */
  punch(link: Link): void {
    if (link.via === -1 || link.punching) return
    const { queue, wire, now } = this.#ground
    link.punching = true
    link.unwanted = false
    wire.countBoth(link.a, link.b, link.via, BYTES.punch, 'punch')
    const time = TIMES.punchMs + wire.handshake(link.a, link.b, -1, ROUND_TRIPS.punch)
    queue.push(now + time, EVENT.punched, 0, 0, link)
  }

  punched(link: Link): void {
    link.punching = false
    const { a, b } = link
    const isUp = link.openA && link.openB && link.via !== -1
    if (isUp && this.#ground.wire.carries(a, b) && this.canMeet(a, b)) this.upgrade(link)
    if (link.unwanted && link.openA && link.openB) this.close(link, a)
  }

  /** Whether a direct connection between the two can be made at all: a matter of their NATs, the same every time. */
  canMeet(a: number, b: number): boolean {
    const { people, seed, punchShare } = this.#ground
    if (people.hidden[a] === 0 || people.hidden[b] === 0) return true
    if (people.symmetric[a] === 1 && people.symmetric[b] === 1) return false
    const share = punchShare / (1 - symmetricShare(punchShare) ** 2)
    return fixed(seed, Math.min(a, b), Math.max(a, b)) < share
  }

  limitReached(link: Link): void {
    if (link.via === -1) return
    const { now, queue } = this.#ground
    for (const node of [link.a, link.b]) {
      if (link.isOpenAt(node)) queue.push(now, EVENT.closed, node, 0, link)
    }
  }

  /** The overlay of this side needs the link no more. */
  release(link: Link, node: number): void {
    if (link.reservedBy !== -1) return
    if (link.punching) link.unwanted = true
    else this.close(link, node)
  }

  /** This side closes; the other hears of it. */
  close(link: Link, node: number): void {
    if (!link.isOpenAt(node)) return
    const { queue, wire, now } = this.#ground
    this.#shut(link, node)
    queue.push(now, EVENT.closed, node, 0, link)
    const other = link.other(node)
    if (!link.isOpenAt(other) || !wire.carries(node, other)) return
    const at = link.arrival(other, now + wire.delay(node, other, link.via))
    queue.push(at, EVENT.closed, other, 0, link)
  }

  /** This side hears that the link is no more. */
  closed(link: Link, node: number): void {
    this.#shut(link, node)
    const other = link.other(node)
    if (this.#of[node]?.get(other) !== link) return
    this.#of[node].delete(other)
    const { people } = this.#ground
    if (people.alive[node] === 0) return
    this.#ground.feed(node, { type: 'unlinked', peer: people.keys[other] as string })
    if (link.reservedBy !== -1) this.#watcher.reservationLost(link, node)
  }

  /** The node is dead: its links end, told at once or found out later. */
  died(node: number, silent: boolean): void {
    for (const [other, link] of this.of(node)) {
      this.#shut(link, node)
      this.#mourned(link, other, node, silent)
    }
    this.of(node).clear()
    for (const link of this.#through[node] ?? []) {
      this.#mourned(link, link.a, node, silent)
      this.#mourned(link, link.b, node, silent)
    }
    this.#through[node] = undefined
  }

  /** A partition came between: both sides find out, each in its own time. */
  severed(): void {
    const { people, wire } = this.#ground
    for (let node = 0; node < people.size; node++) {
      for (const [other, link] of this.of(node)) {
        const through =
          link.via === -1 || (wire.carries(node, link.via) && wire.carries(link.via, other))
        if (!through || !wire.carries(node, other)) this.#mourned(link, node, other, true)
      }
    }
  }

  /** Data that goes unanswered makes a dead link known sooner. */
  suspect(link: Link, node: number): void {
    const { queue, now, rng } = this.#ground
    const { least, most } = TIMES.suspectMs
    queue.push(now + least + (most - least) * rng(), EVENT.closed, node, 0, link)
  }

  /** Pays for the pings of all open links up to now. */
  settle(): void {
    for (let node = 0; node < this.#of.length; node++) {
      for (const link of this.#of[node]?.values() ?? []) if (link.a === node) this.#pay(link)
    }
  }

  #mourned(link: Link, survivor: number, dead: number, silent: boolean): void {
    if (!link.isOpenAt(survivor)) return
    const { queue, wire, now } = this.#ground
    const isSilent = silent || !wire.carries(survivor, dead)
    const at = isSilent
      ? now + this.#ground.detection()
      : link.arrival(survivor, now + wire.delay(dead, survivor, -1))
    queue.push(at, EVENT.closed, survivor, 0, link)
  }

  #shut(link: Link, node: number): void {
    if (link.openA && link.openB) {
      this.#pay(link)
      if (link.via !== -1) this.#through[link.via]?.delete(link)
    }
    link.shut(node)
  }

  #pay(link: Link): void {
    const { now, wire } = this.#ground
    const pings = (now - link.paidAt) / TIMES.keepAliveMs
    link.paidAt = now
    if (!link.openA || !link.openB) return
    wire.countBoth(link.a, link.b, link.via, pings * BYTES.ping, 'ping')
  }

  /** An earlier link whose end this side has not heard of ends now. */
  #enter(node: number, other: number, link: Link): void {
    const stale = this.of(node).get(other)
    if (stale !== undefined) this.closed(stale, node)
    this.of(node).set(other, link)
  }

  #tell(link: Link, node: number): void {
    const { people, notation } = this.#ground
    const other = link.other(node)
    const peer = people.keys[other] as string
    const direct = link.via === -1
    const dialled = link.a === node
    const through = direct || !dialled ? undefined : `${notation.relayedText(link.via)}/p2p/${peer}`
    this.#ground.feed(node, {
      type: 'linked',
      peer,
      path: direct ? 'direct' : 'relayed',
      limited: !direct,
      dialled,
      ...(direct && { address: people.addresses[other] as string }),
      ...(through !== undefined && { through }),
    })
    this.#watcher.linked(node)
  }
}

/** How many hidden nodes have symmetric NATs: a fifth, or fewer where more pairs are to meet than that allows. */
export function symmetricShare(punchShare: number): number {
  return Math.min(0.2, Math.sqrt(1 - punchShare))
}
