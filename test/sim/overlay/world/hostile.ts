import type { Instant } from '../../../../protocols/kernel/machine.ts'
import { jittered, seededRng } from '../../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../../protocols/kernel/rng.ts'
import type { Input, Output } from '../../../../protocols/overlay/overlay.ts'
import { limits } from '../../../../protocols/peer-exchange/limits.ts'
import type { Entry, Frame, FrameOf } from '../../../../protocols/peer-exchange/messages.ts'
import { buildPayload } from '../../../../protocols/peer-exchange/record.ts'
import type { SelfFacts } from '../../../../protocols/peer-exchange/record.ts'
import { ipText } from './population.ts'
import { NETWORK_ID } from './world.ts'
import type { Actor, World } from './world.ts'
import { mixed } from './random.ts'

const MINUTE = 60_000
/** Records are made anew before they expire. */
const REFRESH_MS = (limits.ownTtlS * 1000) / 2

export interface Plot {
  /** Honest nodes that each of them dials a minute. */
  dialsPerMinute: number
  /** An address of somebody else, which their records name as theirs. */
  victim?: number
}

/** Hostile nodes that know each other and nobody else, and whom to press. */
export class Gang {
  readonly world: World
  readonly plot: Plot
  readonly rng: Rng
  readonly #members: Hostile[] = []
  readonly #byId = new Map<number, Hostile>()

  constructor(world: World, plot: Plot) {
    this.world = world
    this.plot = plot
    this.rng = seededRng(mixed(world.seed, 0x6a6e, 1))
  }

  /** Starts a node that was put down as one of them. */
  start(node: number): void {
    const member = new Hostile(this, node)
    this.#members.push(member)
    this.#byId.set(member.id, member)
    this.world.start(node, member)
  }

  some(most: number): Hostile[] {
    const count = Math.min(most, this.#members.length)
    const first = Math.floor(this.rng() * this.#members.length)
    const at = (i: number): Hostile => this.#members[(first + i) % this.#members.length] as Hostile
    return Array.from({ length: count }, (_, i) => at(i))
  }

  byId(id: number): Hostile | undefined {
    return this.#byId.get(id)
  }

  /** Some honest node that is there. */
  prey(): number | undefined {
    const { people } = this.world
    for (let tries = 0; tries < 100; tries++) {
      const node = Math.floor(this.rng() * people.size)
      if (people.alive[node] === 1 && people.hostile[node] === 0) return node
    }
    return undefined
  }
}

/** One of them: names only its friends, takes every neighbour, presses itself on honest nodes and never lets go. */
class Hostile implements Actor {
  readonly id: number
  seq = 0
  #envelope = new Uint8Array()
  #facts: SelfFacts | undefined
  #dialAt: Instant | undefined
  #refreshAt: Instant = Infinity
  #asks = 0
  /** Greetings under way: the question after them is whether we may be a neighbour. */
  readonly #greeting = new Map<number, string>()
  readonly #gang: Gang
  readonly #peer: string

  constructor(gang: Gang, node: number) {
    this.#gang = gang
    this.#peer = gang.world.people.keys[node] as string
    this.id = gang.world.notation.idOf(this.#peer)
  }

  get entry(): Entry {
    return { envelope: this.#envelope, observedAgeS: 0, firstHand: true }
  }

  nextWake(): Instant | undefined {
    return this.#dialAt === undefined ? undefined : Math.min(this.#dialAt, this.#refreshAt)
  }

  step(input: Input, now: Instant): readonly Output[] {
    switch (input.type) {
      case 'self':
        this.#facts = this.#lie(input.facts)
        return [this.#sign(now)]
      case 'signed':
        this.#envelope = new Uint8Array(input.envelope)
        return []
      case 'start':
        this.#dialAt = now + this.#gang.rng() * this.#pauseMs()
        return []
      case 'tick':
        return this.#tick(now)
      case 'linked':
        return input.dialled ? [this.#greet(input.peer, now)] : []
      case 'answer':
        return this.#answered(input.exchange)
      case 'request':
        return [{ type: 'reply', exchange: input.exchange, frame: this.#answer(input.frame, now) }]
      default:
        return []
    }
  }

  #lie(facts: SelfFacts): SelfFacts {
    const { victim } = this.#gang.plot
    if (victim === undefined)
      return { ...facts, relay: { slotsTotal: 0, slotsFree: 0, unlimited: false } }
    return { ...facts, addresses: [{ address: `/ip4/${ipText(victim)}/tcp/4001`, kind: 'direct' }] }
  }

  #sign(now: Instant): Output {
    const { notation } = this.#gang.world
    this.seq = Math.max(this.seq + 1, Math.floor(now))
    this.#refreshAt = now + REFRESH_MS
    const issue = { self: this.#peer, networkId: NETWORK_ID, seq: this.seq, now, leaving: false }
    return {
      type: 'sign',
      seq: this.seq,
      payload: buildPayload(this.#facts as SelfFacts, issue, notation),
    }
  }

  #tick(now: Instant): Output[] {
    const out = now >= this.#refreshAt ? [this.#sign(now)] : []
    if (this.#dialAt === undefined || now < this.#dialAt) return out
    this.#dialAt = now + jittered(this.#pauseMs(), 0.5, this.#gang.rng)
    const prey = this.#gang.prey()
    if (prey !== undefined) out.push(this.#dial(prey))
    return out
  }

  #dial(prey: number): Output {
    const { people, relays } = this.#gang.world
    const peer = people.keys[prey] as string
    const { addresses } = relays.factsOf(prey)
    const usable = addresses.filter(({ kind }) => kind !== 'external')
    return {
      type: 'dial',
      peer,
      addresses: usable.map(({ address }) => `${address}/p2p/${peer}`),
      purpose: 'neighbour',
    }
  }

  #greet(peer: string, now: Instant): Output {
    const exchange = ++this.#asks
    this.#greeting.set(exchange, peer)
    const envelope = this.#envelope
    const nowS = Math.floor(now / 1000)
    const seenAddr = new Uint8Array()
    const frame: Frame = {
      type: 'hello',
      v: 1,
      networkId: NETWORK_ID,
      envelope,
      nowS,
      caps: 0,
      seenAddr,
    }
    return { type: 'ask', exchange, peer, frame }
  }

  #answered(exchange: number): Output[] {
    const peer = this.#greeting.get(exchange)
    if (peer === undefined) return []
    this.#greeting.delete(exchange)
    // It says to be isolated: such a one may get the place of another.
    const frame: Frame = { type: 'neighbourReq', isolated: true }
    return [{ type: 'ask', exchange: ++this.#asks, peer, frame }]
  }

  #answer(frame: Frame, now: Instant): Frame | undefined {
    switch (frame.type) {
      case 'hello': {
        const entries = this.#entries(limits.helloEntries)
        const nowS = Math.floor(now / 1000)
        return {
          type: 'helloAck',
          envelope: this.#envelope,
          nowS,
          seenAddr: new Uint8Array(),
          entries,
        }
      }
      case 'sampleReq':
        return this.#sample(frame)
      case 'want':
        return this.#records(frame)
      case 'find':
        return { type: 'records', entries: this.#entries(limits.helloEntries), unknown: [] }
      case 'neighbourReq':
        return { type: 'neighbourAck', verdict: 'accepted', retryS: 0, entries: [] }
      default:
        return undefined
    }
  }

  #sample({ max }: FrameOf<'sampleReq'>): Frame {
    const friends = this.#gang.some(Math.min(max, limits.sampleIds))
    return {
      type: 'sample',
      ids: friends.map(({ id }) => id),
      seqLo: friends.map(({ seq }) => seq % 2 ** 32),
      same: false,
      // Anything that gets their records fetched.
      groups: friends.map(() => 256 + Math.floor(this.#gang.rng() * 50_000)),
    }
  }

  #records({ ids }: FrameOf<'want'>): Frame {
    const friends = ids.map((id) => this.#gang.byId(id)).filter((one) => one !== undefined)
    const unknown = ids.filter((id) => this.#gang.byId(id) === undefined)
    return { type: 'records', entries: friends.map(({ entry }) => entry), unknown }
  }

  #entries(most: number): Entry[] {
    return this.#gang.some(most).map(({ entry }) => entry)
  }

  #pauseMs(): number {
    return MINUTE / this.#gang.plot.dialsPerMinute
  }
}
