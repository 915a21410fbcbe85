import { parseAddress } from '../../../../protocols/kernel/address.ts'
import { BYTES, ROUND_TRIPS, TIMES } from './constants.ts'
import { EVENT } from './ground.ts'
import type { Ground } from './ground.ts'
import type { Links } from './links.ts'
import type { Relays } from './relays.ts'
import { fixed } from './random.ts'

type Purpose = 'neighbour' | 'visit'

interface Dial {
  from: number
  peer: string
  to: number
  purpose: Purpose
  /** What should come of it: nothing, or a connection that is direct (-1) or through a relay. */
  via: number | undefined
}

/** What an address leads to. */
interface Target {
  ip: number
  /** -1: the address is that of the peer itself. */
  relay: number
}

/** Who dialled a watched address: for victims that are no members. */
export interface Watched {
  dials: number
  atMs: number[]
  byNode: Map<number, number>
}

/** As many texts as 10,000 nodes have relayed addresses, several times. */
const TARGETS = 500_000

/** Decides what comes of dials: who answers, through which relay, and when. */
export class Dialling {
  dials = 0
  failed = 0
  /** By IP address: whose dials are counted one by one. */
  readonly watched = new Map<number, Watched>()
  readonly #ground: Ground
  readonly #links: Links
  readonly #relays: Relays
  readonly #targets = new Map<string, Target>()

  constructor(ground: Ground, links: Links, relays: Relays) {
    this.#ground = ground
    this.#links = links
    this.#relays = relays
  }

  dial(from: number, peer: string, addresses: readonly string[], purpose: Purpose): void {
    const { people, queue, now } = this.#ground
    const to = people.indexOf(peer)
    this.dials++
    const link = this.#links.get(from, to)
    if (link !== undefined) {
      queue.push(now, EVENT.dialled, from, 0, { from, peer, to, purpose, via: link.via })
      return
    }
    const { via, afterMs } = this.#attempt(from, to, addresses)
    queue.push(now + afterMs, EVENT.dialled, from, 0, { from, peer, to, purpose, via })
  }

  dialled({ from, peer, to, purpose, via }: Dial): void {
    const { people } = this.#ground
    if (people.alive[from] === 0) return
    const known = this.#links.get(from, to)
    if (known === undefined && (via === undefined || !this.#answers(from, to, via))) {
      this.failed++
      this.#ground.feed(from, { type: 'dial-failed', peer })
      return
    }
    if (known !== undefined && known.via !== -1 && via === -1) this.#links.upgrade(known)
    const link = known ?? this.#links.open(from, to, via as number)
    if (purpose === 'neighbour') this.#links.punch(link)
    this.#ground.feed(from, { type: 'dial-done', peer })
  }

  /** All addresses are raced: the best that answers wins, and only the last failure is one. */
  #attempt(from: number, to: number, addresses: readonly string[]) {
    let via: number | undefined
    let failedMs = 0
    for (const address of addresses) {
      const target = this.#targetOf(address)
      if (target === undefined) continue
      if (target.relay === -1) this.#watch(from, target.ip)
      const reached = target.relay === -1 ? this.#host(target.ip) : target.relay
      const answers = this.#answers(from, to, target.relay)
      if (answers && (target.relay !== -1 || reached === to)) {
        if (via === undefined || target.relay === -1) via = target.relay
      } else {
        this.#ground.wire.spend(from, BYTES.failedDial, 'failed dial')
        failedMs = Math.max(failedMs, this.#refusal(from, reached))
      }
    }
    if (via === undefined) return { via, afterMs: failedMs }
    const roundTrips = via === -1 ? ROUND_TRIPS.direct : ROUND_TRIPS.relayed
    return { via, afterMs: this.#ground.wire.handshake(from, to, via, roundTrips) }
  }

  /** Whether a connection to the peer comes about: directly, or through a relay where it has a reservation. */
  #answers(from: number, to: number, via: number): boolean {
    const { people, wire } = this.#ground
    if (to === -1 || to === from || people.alive[to] === 0 || !wire.carries(from, to)) return false
    if (via === -1) return people.hidden[to] === 0
    const isUp = people.alive[via] === 1 && wire.carries(from, via) && wire.carries(via, to)
    return isUp && this.#relays.serves(via, to)
  }

  /** How long until somebody says no, or nobody says anything. */
  #refusal(from: number, reached: number): number {
    const { people, wire } = this.#ground
    if (reached === -1 || !wire.carries(from, reached)) return TIMES.dialMs
    if (people.alive[reached] === 1) {
      return people.hidden[reached] === 1 ? TIMES.dialMs : wire.handshake(from, reached, -1, 2)
    }
    if (!refusesWhenDead(this.#ground, reached)) return TIMES.dialMs
    return wire.handshake(from, reached, -1, 1)
  }

  #host(ip: number): number {
    return this.#ground.people.byIp.get(ip) ?? -1
  }

  #watch(from: number, ip: number): void {
    const watched = this.watched.get(ip)
    if (watched === undefined || this.#ground.people.hostile[from] === 1) return
    watched.dials++
    watched.atMs.push(this.#ground.now)
    watched.byNode.set(from, (watched.byNode.get(from) ?? 0) + 1)
  }

  #targetOf(address: string): Target | undefined {
    const known = this.#targets.get(address)
    if (known !== undefined) return known
    const parsed = parseAddress(address)
    if (parsed?.family !== 'ip4') return undefined
    const ip = parsed.host.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
    const relay = parsed.relay === undefined ? -1 : this.#ground.people.indexOf(parsed.relay)
    if (parsed.relayed && relay === -1) return undefined
    const target = { ip, relay }
    if (this.#targets.size < TARGETS) this.#targets.set(address, target)
    return target
  }
}

/** Half of the dead leave a host behind that says so: there only the process died. */
export function refusesWhenDead({ seed }: Pick<Ground, 'seed'>, node: number): boolean {
  return fixed(seed, node, 0xdead) < 0.5
}

export type { Dial }
