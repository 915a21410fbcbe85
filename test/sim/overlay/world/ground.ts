import type { Rng } from '../../../../protocols/kernel/rng.ts'
import type { Input } from '../../../../protocols/overlay/overlay.ts'
import type { EventQueue } from './events.ts'
import type { SimNotation } from './notation.ts'
import type { Population } from './population.ts'
import type { Wire } from './wire.ts'

/** What happens in the world. Numbers, since the queue holds rows of them. */
export const EVENT = {
  /** Node `a` wanted to be woken. */
  wake: 0,
  /** A question or a telling has arrived; `ref` is the exchange. */
  arrive: 1,
  /** Its answer has. */
  answer: 2,
  /** A dial is over; `ref` is the dial. */
  dialled: 3,
  /** Hole punching on link `ref` is over. */
  punched: 4,
  /** The relay ends the limited connection `ref`. */
  limit: 5,
  /** Node `a` hears that link `ref` is closed. */
  closed: 6,
  /** Node `a` looks for a relay. */
  seek: 7,
  /** The relay `b` has answered node `a`. */
  reserved: 8,
  /** A flood `ref` reaches node `a` from `b`. */
  flood: 9,
  /** The scenario's own doings; `ref` is a function. */
  plan: 10,
} as const

/** What all parts of the world stand on. */
export interface Ground {
  readonly queue: EventQueue
  readonly people: Population
  readonly notation: SimNotation
  readonly wire: Wire
  readonly rng: Rng
  readonly seed: number
  readonly now: number
  readonly punchShare: number
  /** How long a silent death goes unnoticed this time. */
  detection(): number
  feed(node: number, input: Input): void
}
