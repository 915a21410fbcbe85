import type { Instant } from '../../../../protocols/kernel/machine.ts'
import type { Input, Output } from '../../../../protocols/overlay/overlay.ts'
import type { Frame } from '../../../../protocols/peer-exchange/messages.ts'
import type { Actor, World } from './world.ts'

/** A node that does what it is told and notes what it is told: the world's own rules are seen by it alone. */
export class Puppet implements Actor {
  readonly heard: { at: number; input: Input }[] = []
  /** What it answers to every question. */
  answer: Frame | undefined
  readonly node: number
  readonly #world: World
  #wanted: Output[] = []
  #asks = 0

  constructor(world: World, node: number) {
    this.#world = world
    this.node = node
    world.start(node, this)
  }

  /** Does something now. */
  does(...outputs: Output[]): void {
    this.#wanted.push(...outputs)
    this.#world.feed(this.node, { type: 'tick' })
  }

  dials(other: Puppet, purpose: 'neighbour' | 'visit' = 'neighbour', addresses?: string[]): void {
    const { people, relays } = this.#world
    const peer = people.keys[other.node] as string
    const named = relays
      .factsOf(other.node)
      .addresses.map(({ address }) => `${address}/p2p/${peer}`)
    this.does({ type: 'dial', peer, addresses: addresses ?? named, purpose })
  }

  asks(other: Puppet, frame: Frame): void {
    const peer = this.#world.people.keys[other.node] as string
    this.does({ type: 'ask', exchange: ++this.#asks, peer, frame })
  }

  releases(other: Puppet): void {
    this.does({ type: 'release', peer: this.#world.people.keys[other.node] as string })
  }

  takes(other: Puppet, role: 'chosen' | 'accepted'): void {
    this.does({ type: 'neighbour', peer: this.#world.people.keys[other.node] as string, role })
  }

  /** All it heard of one kind, with the time of each. */
  all<T extends Input['type']>(type: T): (Extract<Input, { type: T }> & { at: number })[] {
    return this.heard.flatMap(({ at, input }) =>
      input.type === type ? [{ ...(input as Extract<Input, { type: T }>), at }] : [],
    )
  }

  step(input: Input): readonly Output[] {
    if (input.type !== 'tick') this.heard.push({ at: this.#world.now, input })
    const out = this.#wanted
    this.#wanted = []
    if (input.type === 'request') {
      out.push({ type: 'reply', exchange: input.exchange, frame: this.answer })
    }
    return out
  }

  nextWake(): Instant | undefined {
    return undefined
  }
}
