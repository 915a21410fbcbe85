import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'

/** Peers whose word is kept: enough for an honest majority, and no more than a node has neighbours. */
const MAX_PEERS = 32

/** Greetings say whole seconds, cut off: on average half a second has gone by besides. */
const CUT_OFF_MS = 500

/** What the clocks of peers showed when they greeted us. */
export class PeerClocks {
  readonly #steady: Pick<Clock, 'now'>
  readonly #wall: Pick<Clock, 'now'>
  /** By peer, how far its clock is ahead of the one here that nobody sets. */
  readonly #ahead = new BoundedMap<string, number>(MAX_PEERS)

  constructor(wall: Pick<Clock, 'now'>, steady: Pick<Clock, 'now'> = systemClock) {
    this.#steady = steady
    this.#wall = wall
  }

  /** A peer's greeting has arrived, and says this Unix time. */
  note(peer: string, seconds: number): void {
    this.#ahead.set(peer, seconds * 1000 + CUT_OFF_MS - this.#steady.now())
  }

  /** How far each is ahead of the host's clock as it is set now, in milliseconds. */
  ahead(): number[] {
    const set = this.#wall.now() - this.#steady.now()
    return [...this.#ahead.values()].map((ahead) => ahead - set)
  }
}
