import type { PunchInput, PunchOutput } from '../../../protocols/hole-punching/hole-punching.ts'
import type { PunchMessage } from '../../../protocols/hole-punching/codec.ts'
import { decode, encode } from '../../../protocols/hole-punching/codec.ts'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import type { Endpoint, SideFacts } from '../../../protocols/hole-punching/facts.ts'
import type { Attempt, Carrier, Role } from '../../../protocols/hole-punching/outputs.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../protocols/kernel/rng.ts'
import { Clock } from './clock.ts'
import { Node } from './node.ts'
import { Internet, Router } from './router.ts'
import type { RouterTraits } from './router.ts'
import { Host } from './tcp.ts'
import type { Socket, Uplink } from './tcp.ts'

const EI = 'endpoint-independent'
const APD = 'address-and-port-dependent'
const PORT: RouterTraits = {
  mapping: EI,
  filtering: APD,
  ports: 'preserved',
  unsolicited: 'dropped',
}

/** The places of the laboratory, by the same names; routers from the outermost to the innermost. */
export const PLACES = {
  public: [],
  full: [{ ...PORT, filtering: EI }],
  addr: [{ ...PORT, filtering: 'address-dependent' }],
  port: [PORT],
  'port-rst': [{ ...PORT, unsolicited: 'reset' }],
  shift: [{ ...PORT, ports: 'shifted' }],
  sym: [{ ...PORT, mapping: APD, ports: 'random' }],
  'sym-rst': [{ ...PORT, mapping: APD, ports: 'random', unsolicited: 'reset' }],
  'sym-addr': [{ ...PORT, mapping: 'address-dependent', ports: 'random' }],
  'sym-seq': [{ ...PORT, mapping: APD, ports: 'sequential' }],
  cgn: [PORT, PORT],
  v6fw: [{ ...PORT, mapping: 'none' }],
} as const satisfies Record<string, readonly RouterTraits[]>

export type Place = keyof typeof PLACES

/** Where the two are; `same`: behind the first one's router, without and with hairpinning. */
export type Places = readonly [Place, Place | 'same' | 'same-hairpin']

export interface Conditions {
  rttMs: number
  lossPct: number
  jitterMs: number
  /** Round trips of the two sides to the relay, where it is not as far away as everything else. */
  relayMs?: readonly [number, number]
  /** Packets and messages to the caller take this much longer. */
  skewMs: number
  /** Messages that no carrier delivers. */
  lostMessagesPct: number
  /** Whether both know the behaviour of their NATs, or only where they are seen. */
  knowNats: boolean
  /** Whether carriers come with a measured round trip. */
  knowRtt: boolean
  carriers: 'signal' | 'circuit' | 'both'
}

export const CALM: Conditions = {
  rttMs: 50,
  lossPct: 0,
  jitterMs: 1,
  skewMs: 0,
  lostMessagesPct: 0,
  knowNats: true,
  knowRtt: true,
  carriers: 'signal',
}

/** What came of one run. */
export interface Result {
  met: boolean
  /** From the first call until both have met, in milliseconds and in round trips. */
  ms: number
  /** Until the connection was open, before its handshake. */
  connectedMs: number
  method: string
  /** Connections whose ends both took the same part. */
  conflicts: number
  packets: number
  attempts: readonly Attempt[]
  reasons: string[]
}

const RELAY = { ip: '73.0.0.9', port: 4001 }
const OBSERVERS = [RELAY, { ip: '73.0.1.9', port: 4001 }, { ip: '73.0.2.9', port: 443 }]
const LISTEN = 4001

interface Side {
  node: Node
  facts: SideFacts
  /** As the relay sees it. */
  seen: Endpoint
  lagMs: number
  /** Its round trip to the relay. */
  relayMs: number
}

interface Site {
  uplink: Uplink
  /** The innermost first. */
  routers: Router[]
  outside: string
}

/** Two nodes in two places of an internet, and a relay between them. */
export class World {
  readonly clock = new Clock()
  readonly sides: [Side, Side]
  readonly reasons: string[] = []
  readonly #internet: Internet
  readonly #rng: Rng
  readonly #conditions: Conditions
  readonly #parts = new Map<string, Role>()
  #conflicts = 0
  /** What happened, for people: only a campaign's steps, so never long. */
  readonly trace: string[] = []

  constructor(places: Places, conditions: Conditions, seed: number) {
    this.#rng = seededRng(seed)
    this.#conditions = conditions
    const wire = {
      oneWayMs: conditions.rttMs / 2,
      jitterMs: conditions.jitterMs,
      loss: conditions.lossPct / 100,
    }
    this.#internet = new Internet(this.clock, this.#rng, wire)
    const names = this.#rng() < 0.5 ? (['1', '2'] as const) : (['2', '1'] as const)
    const [a, b] = places
    const shares = b === 'same' || b === 'same-hairpin'
    const site = this.#site(a, 0, shares && b === 'same-hairpin')
    this.sides = [
      this.#side(names, site, a, 0),
      this.#side([names[1], names[0]], shares ? site : this.#site(b, 1, false), shares ? a : b, 1),
    ]
  }

  /** Lets a side call, after so long. */
  call(which: 0 | 1, afterMs: number): void {
    const { node } = this.sides[which]
    const { facts } = this.sides[1 - which] as Side
    this.clock.after(afterMs, () => {
      const campaign = Array.from({ length: 32 }, () =>
        Math.floor(this.#rng() * 16).toString(16),
      ).join('')
      const known = { ...facts, lan: [] }
      node.feed({ type: 'call', peer: node.other, facts: known, campaign })
    })
  }

  /** Plays until both have met, one campaign has failed, or time is up. */
  play(maxMs = 60_000, again = false): Result {
    const isMet = (): boolean => this.sides.every(({ node }) => node.metAt !== undefined)
    const isOver = (): boolean => isMet() || (!again && this.reasons.length >= 2)
    this.clock.runUntil(isOver, maxMs)
    const [a, b] = this.sides
    const attempts = [
      ...a.node.machine.attempts(b.node.peer),
      ...b.node.machine.attempts(a.node.peer),
    ]
    return {
      met: isMet(),
      ms: Math.max(a.node.metAt ?? Infinity, b.node.metAt ?? Infinity),
      connectedMs: Math.max(a.node.connectedAt ?? Infinity, b.node.connectedAt ?? Infinity),
      method: attempts.find(({ outcome }) => outcome === 'success')?.method ?? '',
      conflicts: this.#conflicts,
      packets: this.#internet.packets,
      attempts,
      reasons: this.reasons,
    }
  }

  #site(place: Place, index: number, hairpin: boolean): Site {
    const outside = place === 'v6fw' ? `2a0${index + 1}:1::1` : `51.0.${index}.1`
    let uplink: Uplink = this.#internet
    const routers: Router[] = []
    const lag = index === 0 ? this.#conditions.skewMs : 0
    for (const [depth, traits] of (PLACES[place] as readonly RouterTraits[]).entries()) {
      const ip =
        traits.mapping === 'none' ? undefined : depth === 0 ? outside : `100.64.${index}.${depth}`
      const router = new Router(ip, { ...traits, hairpin }, uplink, this.clock, this.#rng)
      if (depth === 0) this.#internet.attach(outside, router, lag)
      else (routers[0] as Router).attach(ip ?? '', router)
      routers.unshift(router)
      uplink = router
    }
    return { uplink, routers, outside }
  }

  #side(names: readonly [string, string], site: Site, place: Place, index: number): Side {
    const { uplink, routers, outside } = site
    const translated = place !== 'public' && place !== 'v6fw'
    const ip = translated ? `10.0.0.${index + 1}` : outside
    const host = new Host({ ip, port: LISTEN }, uplink, this.clock, this.#rng)
    const lagMs = index === 0 ? this.#conditions.skewMs : 0
    if (routers[0] === undefined) this.#internet.attach(ip, host, lagMs)
    else routers[0].attach(ip, host)
    const node = new Node({ peer: names[0], other: names[1] }, host, this.clock, {
      carry: (from, output) => this.#carry(from, output),
      performed: (from, output) => this.#performed(from, output),
      opened: (from, socket, role) => this.#opened(from, socket, role),
    })
    const samples = OBSERVERS.map((remote) => {
      let at: Endpoint = { ip, port: LISTEN }
      for (const router of routers) at = router.seenAs(at, remote)
      return at
    })
    const [seen] = samples as [Endpoint]
    const facts = this.#factsOf(place, ip, samples)
    node.feed({ type: 'own', facts })
    const { rttMs, relayMs } = this.#conditions
    return { node, facts, seen, lagMs, relayMs: (relayMs?.[index] ?? rttMs) + lagMs }
  }

  #factsOf(place: Place, ip: string, samples: Endpoint[]): SideFacts {
    const traits: RouterTraits | undefined = (PLACES[place] as readonly RouterTraits[]).at(-1)
    const facts: SideFacts = {
      ...NOTHING_KNOWN,
      external: samples.slice(0, 1),
      lan: traits === undefined || traits.mapping === 'none' ? [] : [{ ip, port: LISTEN }],
      ports: samples.map(({ port }) => port),
      preservesPort: samples.some(({ port }) => port === LISTEN),
    }
    if (traits === undefined)
      return { ...facts, mapping: 'none', filtering: 'none', reachability: 'public' }
    if (!this.#conditions.knowNats) return facts
    return {
      ...facts,
      mapping: traits.mapping,
      filtering: traits.filtering,
      reachability: 'private',
    }
  }

  #carriersOf(side: Side): Carrier[] {
    const { knowRtt, carriers } = this.#conditions
    const measured = (ms: number): { rttMs?: number } => (knowRtt ? { rttMs: ms } : {})
    const signal: Carrier = { kind: 'signal', relay: 'R', ...measured(side.relayMs) }
    const [a, b] = this.sides
    const circuit: Carrier = {
      kind: 'circuit',
      relay: 'R',
      ...measured(a.relayMs + b.relayMs),
    }
    return carriers === 'both' ? [signal, circuit] : [carriers === 'signal' ? signal : circuit]
  }

  /** Tells both what can carry their messages. */
  offerCarriers(): void {
    for (const side of this.sides) {
      const carriers = this.#carriersOf(side)
      side.node.feed({ type: 'carriers', peer: side.node.other, carriers })
    }
  }

  #carry(from: Node, { carrier, message }: Extract<PunchOutput, { type: 'send' }>): void {
    const { jitterMs, lostMessagesPct } = this.#conditions
    if (this.#rng() < lostMessagesPct / 100) return
    const [sender, receiver] =
      from === this.sides[0].node ? this.sides : [this.sides[1], this.sides[0]]
    const input = this.#arrived(message, sender, receiver, carrier)
    const way = (sender.relayMs - sender.lagMs + receiver.relayMs + receiver.lagMs) / 2
    const ms = way + 2 * this.#rng() * jitterMs
    this.clock.after(ms, () => receiver.node.feed(input))
  }

  /** Through the codec, as it would come. */
  #arrived(message: PunchMessage, sender: Side, receiver: Side, { kind }: Carrier): PunchInput {
    const decoded = decode(encode(message))
    if (!decoded.ok) throw new Error(`own message is no message: ${decoded.violation}`)
    const carrier = this.#carriersOf(receiver).find((one) => one.kind === kind) as Carrier
    const seen = kind === 'signal' ? { seen: sender.seen } : {}
    return { type: 'message', peer: sender.node.peer, message: decoded.value, carrier, ...seen }
  }

  #performed(node: Node, output: PunchOutput): void {
    this.trace.push(`${this.clock.now.toFixed(0)} ${node.peer} ${short(output)}`)
    if (output.type === 'gave-up') this.reasons.push(output.reason)
    if (output.type === 'due') this.call(node === this.sides[0].node ? 0 : 1, 0)
  }

  #opened(node: Node, socket: Socket, role: Role): void {
    this.trace.push(
      `${this.clock.now.toFixed(0)} ${node.peer} open as ${role}, ${socket.passive ? 'accepted' : 'dialled'}`,
    )
    const key = [socket.seq, socket.ack].sort((a, b) => a - b).join(' ')
    const other = this.#parts.get(key)
    if (other === role) this.#conflicts++
    else if (other === undefined) this.#parts.set(key, role)
  }
}

function short(output: PunchOutput): string {
  if (output.type === 'send') {
    const { message, carrier } = output
    const what =
      message.type === 'ask'
        ? `ask ${message.method}`
        : message.type === 'refuse'
          ? `refuse ${message.code}`
          : 'answer'
    return `sends ${what} ${message.round} by ${carrier.kind}`
  }
  if (output.type === 'dial') {
    const { targets, startAt, until, role } = output
    return `dials ${targets.map(({ ip, port, dials, afterMs }) => `${ip}:${port}×${dials}+${afterMs}`).join(' ')} as ${role}, ${startAt.toFixed(0)}-${until.toFixed(0)}`
  }
  if (output.type === 'ended')
    return `ended ${output.attempt.method} ${output.attempt.outcome} ${output.attempt.reason ?? ''}`
  if (output.type === 'gave-up') return `gave up: ${output.reason}`
  return output.type
}

/** One run: the first side calls, and the second as well if told when. */
export function play(
  places: Places,
  conditions: Partial<Conditions>,
  seed: number,
  { alsoAfterMs, again = false }: { alsoAfterMs?: number; again?: boolean } = {},
): Result {
  const world = new World(places, { ...CALM, ...conditions }, seed)
  world.offerCarriers()
  world.call(0, 0)
  if (alsoAfterMs !== undefined) world.call(1, alsoAfterMs)
  return world.play(120_000, again)
}
