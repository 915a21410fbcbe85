import type { Rng } from '../../../../protocols/kernel/rng.ts'
import { TIMES } from './constants.ts'
import type { Population } from './population.ts'

/** One way: the processing at both ends, and what the width of the plane takes. */
const LEAST_MS = 3
const PLANE_MS = 50
const MOST_MS = 150
/** What queues on the way add at most, as a share of the way. */
const JITTER = 0.15
/** Most handshakes are a dozen segments, any of which can be lost. */
const HANDSHAKE_SEGMENTS = 8
/** A lost SYN is sent again after this. */
const SYN_MS = 1_000

/** How long messages travel, whether they do, and what they weigh. */
export class Wire {
  split = false
  /** What all bytes sent so far were for. */
  readonly spent = new Map<string, number>()
  readonly #people: Population
  readonly #rng: Rng
  readonly #loss: number

  constructor(people: Population, rng: Rng, loss: number) {
    this.#people = people
    this.#rng = rng
    this.#loss = loss
  }

  /** Without jitter or loss. */
  oneWay(from: number, to: number): number {
    const { x, y, line } = this.#people
    const dx = (x[from] as number) - (x[to] as number)
    const dy = (y[from] as number) - (y[to] as number)
    const way = LEAST_MS + PLANE_MS * Math.sqrt(dx * dx + dy * dy)
    return Math.min(MOST_MS, way + (line[from] as number) + (line[to] as number))
  }

  /** Without jitter or loss, through a relay unless `via` is -1. */
  way(from: number, to: number, via: number): number {
    return via === -1 ? this.oneWay(from, to) : this.oneWay(from, via) + this.oneWay(via, to)
  }

  /** One message on an open connection: TCP sends again what is lost. */
  delay(from: number, to: number, via: number): number {
    const way = this.way(from, to, via)
    const draw = this.#rng()
    if (draw >= this.#loss) return way * (1 + JITTER * draw)
    return way + Math.max(TIMES.retransmitMs, 2 * way) + way
  }

  /** So many round trips of a new connection. */
  handshake(from: number, to: number, via: number, roundTrips: number): number {
    const time = 2 * roundTrips * this.way(from, to, via) * (1 + (JITTER / 2) * this.#rng())
    const draw = this.#rng()
    if (draw < this.#loss) return time + SYN_MS
    return draw < this.#loss * HANDSHAKE_SEGMENTS ? time + TIMES.retransmitMs : time
  }

  /** Whether packets get from one to the other: no partition lies between. */
  carries(a: number, b: number): boolean {
    return !this.split || this.#people.side[a] === this.#people.side[b]
  }

  /** `what` names the purse it is taken from: a frame's type, or what else bytes are for. */
  count(from: number, to: number, via: number, bytes: number, what: string): void {
    this.spend(from, bytes, what)
    const { received } = this.#people
    received[to] = (received[to] as number) + bytes
    if (via === -1) return
    this.spend(via, bytes, 'relayed for others')
    received[via] = (received[via] as number) + bytes
  }

  /** Bytes that nobody receives. */
  spend(from: number, bytes: number, what: string): void {
    const { sent } = this.#people
    sent[from] = (sent[from] as number) + bytes
    this.spent.set(what, (this.spent.get(what) ?? 0) + bytes)
  }

  /** The same in both directions. */
  countBoth(a: number, b: number, via: number, bytes: number, what: string): void {
    this.count(a, b, via, bytes, what)
    this.count(b, a, via, bytes, what)
  }
}
