import type { Machine } from '../../../../protocols/kernel/machine.ts'
import { seededRng } from '../../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../../protocols/kernel/rng.ts'
import type {
  Input,
  MakeOverlay,
  Output,
  OverlayView,
  Role,
} from '../../../../protocols/overlay/overlay.ts'
import type { Picture } from '../picture.ts'
import { DETECTION_MS, EPOCH } from './constants.ts'
import { Dialling, refusesWhenDead } from './dialling.ts'
import type { Dial } from './dialling.ts'
import { EventQueue } from './events.ts'
import { Exchanges } from './exchanges.ts'
import type { Exchange } from './exchanges.ts'
import { Floods } from './floods.ts'
import type { Running } from './floods.ts'
import { EVENT } from './ground.ts'
import type { Ground } from './ground.ts'
import type { Link } from './link.ts'
import { Links, symmetricShare } from './links.ts'
import { SimNotation } from './notation.ts'
import { Population } from './population.ts'
import type { Newcomer } from './population.ts'
import { mixed, quantile } from './random.ts'
import { readingOnce } from './reading.ts'
import { Relays } from './relays.ts'
import { isGenuine, sealed } from './signing.ts'
import { hashOf, pictureOf } from './snapshot.ts'
import { Wire } from './wire.ts'

export interface WorldOptions {
  seed: number
  /** The machine of honest nodes. */
  makeOverlay: MakeOverlay
  loss?: number
  punchShare?: number
  /** Quantiles of how long silent deaths go unnoticed. */
  detectionMs?: readonly number[]
}

/** A machine in the world: an overlay node, or something that behaves worse. */
export type Actor = Machine<Input, Output>

/** How a node stops. `crash`: in silence; `kill`: half of the dead have a host that says so; `leave`: with a farewell. */
export type Death = 'crash' | 'kill' | 'leave'

/** Network id and scope are the same for everybody. */
export const NETWORK_ID = 0x77617272656en
const SCOPE = { loopback: false, subnets: [] }

/**
 * Thousands of overlay nodes on a simulated internet. Each is the machine that ships; this decides what the network makes of
 * what they want. Everything happens in the order of one queue and every number comes from the seed, so a run can be repeated.
 */
export class World implements Ground {
  readonly queue = new EventQueue()
  readonly people: Population
  readonly notation: SimNotation
  readonly wire: Wire
  readonly rng: Rng
  readonly seed: number
  readonly punchShare: number
  readonly links: Links
  readonly relays: Relays
  readonly dialling: Dialling
  now = 0
  /** Machine steps taken. */
  steps = 0
  /** Whom every node is told to start from. */
  bootstraps: { peer: string; addresses: string[] }[] = []
  readonly #makeOverlay: MakeOverlay
  readonly #read = readingOnce()
  readonly #detectionMs: readonly number[]
  readonly #exchanges: Exchanges
  readonly #floods: Floods
  readonly #actors: (Actor | undefined)[] = []
  readonly #views: (OverlayView | undefined)[] = []
  readonly #roles: Map<number, Role>[] = []
  /** For which time each node's next waking is planned; earlier ones in the queue are stale. */
  #wakeAt = new Float64Array(1024)
  /** Answers that a step owes itself: signatures and their checks take no time here. */
  readonly #owed: Input[] = []

  constructor({
    seed,
    makeOverlay,
    loss = 0.01,
    punchShare = 0.7,
    detectionMs = DETECTION_MS,
  }: WorldOptions) {
    this.seed = seed
    this.punchShare = punchShare
    this.#makeOverlay = makeOverlay
    this.#detectionMs = detectionMs
    this.rng = seededRng(seed)
    this.people = new Population(seed, symmetricShare(punchShare))
    this.notation = new SimNotation(this.people)
    this.wire = new Wire(this.people, this.rng, loss)
    this.relays = new Relays(this, () => this.links)
    this.links = new Links(this, this.relays)
    this.dialling = new Dialling(this, this.links, this.relays)
    this.#exchanges = new Exchanges(this, this.links)
    this.#floods = new Floods(this, this.links, (node) => this.#roles[node]?.keys() ?? [])
  }

  // --- what scenarios do ----------------------------------------------------------------------------------

  /** Does something at a time. */
  plan(at: number, what: () => void): void {
    this.queue.push(at, EVENT.plan, 0, 0, what)
  }

  /** Puts a node down without starting it. */
  add(newcomer: Newcomer): number {
    return this.people.add(newcomer)
  }

  /** Starts a node, with a machine of its own kind where one is given. */
  start(node: number, actor?: Actor): void {
    const { people, notation, seed } = this
    while (node >= this.#wakeAt.length) this.#wakeAt = doubled(this.#wakeAt)
    people.alive[node] = 1
    people.startedAt[node] = this.now
    this.#roles[node] = new Map()
    this.#wakeAt[node] = Infinity
    if (actor === undefined) {
      this.#views[node] = this.#makeOverlay({
        self: people.keys[node] as string,
        networkId: NETWORK_ID,
        scope: SCOPE,
        notation,
        read: this.#read,
        rng: seededRng(mixed(seed, node, 0x0e1a)),
      })
    }
    this.#actors[node] = actor ?? (this.#views[node] as OverlayView)
    this.feed(node, { type: 'self', facts: this.relays.factsOf(node) })
    const own = people.keys[node]
    const bootstraps = this.bootstraps.filter(({ peer }) => peer !== own)
    this.feed(node, { type: 'start', bootstraps })
  }

  /** Makes these the nodes that everybody starts from. */
  setBootstraps(nodes: readonly number[]): void {
    const { keys, addresses } = this.people
    this.bootstraps = nodes.map((node) => ({
      peer: keys[node] as string,
      addresses: [`${addresses[node]}/p2p/${keys[node]}`],
    }))
  }

  stop(node: number, death: Death): void {
    const { people } = this
    if (people.alive[node] === 0) return
    if (death === 'leave') this.feed(node, { type: 'leave' })
    this.links.died(node, death === 'crash' || (death === 'kill' && !refusesWhenDead(this, node)))
    people.alive[node] = 0
    people.diedAt[node] = this.now
    this.#actors[node] = undefined
    this.#views[node] = undefined
    this.#roles[node] = new Map()
  }

  /** From now on nothing passes between the sides that `people.side` names. */
  split(): void {
    this.wire.split = true
    this.links.severed()
  }

  /** The sides stay named, so that it can be seen how links between them come back. */
  heal(): void {
    this.wire.split = false
  }

  /** An application message that starts at a node now and goes round for so long. */
  flood(origin: number, lastsMs: number): Running {
    return this.#floods.start(origin, lastsMs)
  }

  /** Lets everything happen up to this time. */
  runUntil(end: number): void {
    const { queue } = this
    while (queue.next() <= end) {
      queue.take()
      this.now = queue.at
      this.#happen(queue.kind, queue.a, queue.b, queue.ref)
    }
    this.now = end
  }

  picture(): Picture {
    this.links.settle()
    return pictureOf(this.now, this.people, this.#views)
  }

  /** Equal for equal seeds: a hash over who is neighbour of whom, what is in whose slots, and all counters. */
  stateHash(): string {
    return hashOf(this.picture(), [this.steps, this.dialling.dials, this.dialling.failed])
  }

  view(node: number): OverlayView | undefined {
    return this.#views[node]
  }

  // --- what happens ---------------------------------------------------------------------------------------

  detection(): number {
    return quantile(this.#detectionMs, this.rng())
  }

  /** Gives a node's machine an input and does what it wants. */
  feed(node: number, input: Input): void {
    const actor = this.#actors[node]
    if (actor === undefined) return
    const clock = EPOCH + (this.people.skew[node] as number)
    this.#step(node, actor, input, clock)
    for (let owed = this.#owed.shift(); owed !== undefined; owed = this.#owed.shift()) {
      this.#step(node, actor, owed, clock)
    }
    this.#arm(node, actor, clock)
  }

  #step(node: number, actor: Actor, input: Input, clock: number): void {
    this.steps++
    const outputs = actor.step(input, clock + this.now)
    for (let i = 0; i < outputs.length; i++) this.#perform(node, outputs[i] as Output)
  }

  #arm(node: number, actor: Actor, clock: number): void {
    const wake = actor.nextWake()
    if (wake === undefined) return
    // A whole millisecond later at least, or a machine that is never content would stop time.
    const at = Math.max(Math.ceil(wake - clock), Math.floor(this.now) + 1)
    if (at >= (this.#wakeAt[node] as number)) return
    this.#wakeAt[node] = at
    this.queue.push(at, EVENT.wake, node, 0, undefined)
  }

  #wake(node: number): void {
    const actor = this.#actors[node]
    if (actor === undefined || this.#wakeAt[node] !== this.now) return
    this.#wakeAt[node] = Infinity
    const clock = EPOCH + (this.people.skew[node] as number)
    const wake = actor.nextWake()
    if (wake !== undefined && wake <= clock + this.now) this.feed(node, { type: 'tick' })
    else this.#arm(node, actor, clock)
  }

  #happen(kind: number, a: number, b: number, ref: unknown): void {
    switch (kind) {
      case EVENT.wake:
        return this.#wake(a)
      case EVENT.arrive:
        return this.#exchanges.arrived(ref as Exchange)
      case EVENT.answer:
        return this.#exchanges.answered(a, b, ref as Exchange | undefined)
      case EVENT.dialled:
        return this.dialling.dialled(ref as Dial)
      case EVENT.punched:
        return this.links.punched(ref as Link)
      case EVENT.limit:
        return this.links.limitReached(ref as Link)
      case EVENT.closed:
        return this.links.closed(ref as Link, a)
      case EVENT.seek:
        return this.relays.seek(a)
      case EVENT.reserved:
        return this.relays.reserved(a, b)
      case EVENT.flood:
        return this.#floods.arrived(ref as Running, a, b)
      case EVENT.plan:
        return (ref as () => void)()
      default:
        throw new Error(`no event: ${kind}`)
    }
  }

  #perform(node: number, output: Output): void {
    switch (output.type) {
      case 'sign': {
        const envelope = sealed(node, output.payload)
        this.#owed.push({ type: 'signed', seq: output.seq, envelope })
        return
      }
      case 'verify':
        this.#owed.push({ type: 'verified', job: output.job, valid: isGenuine(output.signed) })
        return
      case 'ask':
        this.#exchanges.ask(node, this.people.indexOf(output.peer), output.exchange, output.frame)
        return
      case 'tell':
        this.#exchanges.tell(node, this.people.indexOf(output.peer), output.frame)
        return
      case 'reply':
        this.#exchanges.reply(output.exchange, output.frame)
        return
      case 'dial':
        this.dialling.dial(node, output.peer, output.addresses, output.purpose)
        return
      case 'want-direct': {
        const link = this.links.get(node, this.people.indexOf(output.peer))
        if (link !== undefined) this.links.punch(link)
        return
      }
      case 'release': {
        const link = this.links.get(node, this.people.indexOf(output.peer))
        if (link !== undefined) this.links.release(link, node)
        return
      }
      case 'neighbour':
        this.#gained(node, this.people.indexOf(output.peer), output.role)
        return
      case 'neighbour-lost':
        this.#roles[node]?.delete(this.people.indexOf(output.peer))
        return
      case 'searched':
        this.relays.searched(node, output.peers)
        return
      default: // news for people
    }
  }

  #gained(node: number, other: number, role: Role): void {
    const roles = this.#roles[node] as Map<number, Role>
    roles.set(other, role)
    const { joinedAt } = this.people
    if (role === 'chosen' && Number.isNaN(joinedAt[node])) {
      let chosen = 0
      for (const one of roles.values()) if (one === 'chosen') chosen++
      if (chosen >= 3) joinedAt[node] = this.now
    }
    this.#floods.gained(node, other)
  }
}

function doubled(array: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2)
  larger.set(array)
  return larger
}
