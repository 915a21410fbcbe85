import { backoffMs } from '../kernel/backoff.ts'
import { familyOf } from '../kernel/address.ts'
import type { Instant, Machine } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { Timers } from '../kernel/timers.ts'
import { IgdWay } from './igd-way.ts'
import type { Mapping, PortMappingInput, PortMappingOutput, PortMappingState } from './io.ts'
import { PORT_MAPPING_LIMITS } from './limits.ts'
import { natPmpDialect } from './nat-pmp.ts'
import { pcpDialect } from './pcp.ts'
import { QuestionWay } from './question.ts'
import { PROTOCOLS } from './way.ts'
import type {
  Grant,
  Network,
  Outcome,
  Protocol,
  Refusal,
  Task,
  Way,
  WayInput,
  WayOutput,
} from './way.ts'

export interface PortMappingOptions {
  /** The external IPv4 port to wish for, below the highest one. */
  wish: number
  /** PCP's secret. */
  nonce: Uint8Array
  rng: Rng
}

type Phase = 'idle' | 'asking' | 'mapping' | 'held' | 'resting' | 'leaving' | 'left'

/** Gets one TCP port mapped by the gateway of one address family, and keeps it so. See SPEC.md. */
export class PortMappingMachine implements Machine<PortMappingInput, PortMappingOutput> {
  readonly #options: PortMappingOptions
  readonly #timers = new Timers<'grace' | 'check' | 'renew' | 'rest' | 'leave'>()
  #phase: Phase = 'idle'
  #network: Network | undefined
  /** One for each protocol of the network's family. */
  #ways: Way[] = []
  readonly #answers = new Map<Protocol, 'asking' | 'present' | 'silent' | Refusal>()
  /** What came of the round before. */
  #before = new Map(this.#answers)
  /** The way in use: it makes the mapping or holds it. */
  #chosen: Way | undefined
  #busy = false
  #mapping: Mapping | undefined
  /** The external address, where the gateway tells it beside the mapping and not with it, as NAT-PMP does. */
  #said: string | undefined
  #heldSince: Instant = 0
  #renewedAt: Instant = 0
  #failures = 0

  constructor(options: PortMappingOptions) {
    this.#options = options
  }

  get state(): PortMappingState {
    // While a gateway is asked again, what it last said is still the best that is known.
    const said = [...this.#answers].map(([protocol, answer]) => {
      const before = answer === 'asking' ? this.#before.get(protocol) : undefined
      return [protocol, before ?? answer] as const
    })
    const answers: PortMappingState['answers'] = Object.fromEntries(said)
    return { network: this.#network, mapping: this.#mapping, answers }
  }

  step(input: PortMappingInput, now: Instant): readonly PortMappingOutput[] {
    if (this.#phase === 'left') return []
    const outputs = this.#take(input, now)
    if (input.type !== 'tick') return outputs
    for (const way of this.#ways) outputs.push(...this.#feed(way, { type: 'tick' }, now))
    for (const name of this.#timers.takeDue(now)) outputs.push(...this.#due(name, now))
    return outputs
  }

  nextWake(): Instant | undefined {
    if (this.#phase === 'left') return undefined
    const times = [this.#timers.next(), ...this.#ways.map((way) => way.nextWake())]
    const known = times.filter((time) => time !== undefined)
    return known.length === 0 ? undefined : Math.min(...known)
  }

  #take(input: PortMappingInput, now: Instant): PortMappingOutput[] {
    switch (input.type) {
      case 'tick':
        return []
      case 'network':
        return this.#enter(input.network, now)
      case 'leave':
        return this.#leave(now)
      case 'doubted':
        return this.#doubted(now)
      default: {
        const to = 'protocol' in input ? input.protocol : 'upnp'
        const way = this.#ways.find(({ protocol }) => protocol === to)
        return way === undefined ? [] : this.#feed(way, input, now)
      }
    }
  }

  /** Another network knows nothing of what the last one mapped; its lease ends by itself. */
  #enter(network: Network | undefined, now: Instant): PortMappingOutput[] {
    if (this.#phase === 'leaving') return []
    if (JSON.stringify(network) === JSON.stringify(this.#network)) return []
    const outputs = [...this.#silence(), ...this.#drop('the network changed')]
    this.#network = network
    this.#ways = network === undefined ? [] : this.#waysOf(network)
    this.#failures = 0
    this.#answers.clear()
    if (network !== undefined) return [...outputs, ...this.#ask(now)]
    this.#phase = 'idle'
    return outputs
  }

  #waysOf(network: Network): Way[] {
    const pcp = new QuestionWay(pcpDialect(network, this.#options.nonce))
    // Neither of the older two knows IPv6.
    if (familyOf(network.ip) === 'ip6') return [pcp]
    return [pcp, new QuestionWay(natPmpDialect(network)), new IgdWay(network)]
  }

  /** Asks all protocols at once. */
  #ask(now: Instant): PortMappingOutput[] {
    this.#phase = 'asking'
    this.#chosen = undefined
    this.#said = undefined
    this.#before = new Map(this.#answers)
    this.#answers.clear()
    for (const { protocol } of this.#ways) this.#answers.set(protocol, 'asking')
    this.#timers.set('grace', now + PORT_MAPPING_LIMITS.graceMs)
    return this.#ways.flatMap((way) => this.#begin(way, { do: 'ask' }, now))
  }

  /** Takes the best protocol that is there; waits for better ones as long as they deserve. */
  #choose(now: Instant): PortMappingOutput[] {
    const waiting = this.#timers.has('grace')
    for (const protocol of PROTOCOLS) {
      const answer = this.#answers.get(protocol)
      if (answer === 'asking' && waiting) return []
      if (answer !== 'present') continue
      this.#chosen = this.#ways.find((way) => way.protocol === protocol)
      this.#phase = 'mapping'
      return this.#map(this.#wish(), now)
    }
    const open = [...this.#answers.values()].includes('asking')
    return open ? [] : this.#rest(now)
  }

  /**
   * Another port than the one listened on: peers see that one, so a filter may be open for it, and getting in there
   * proves nothing (protocols/reachability). Without translation there is no other port.
   */
  #wish(): number {
    const own = this.#network?.port ?? 0
    if (familyOf(this.#network?.ip ?? '') === 'ip6') return own
    return this.#options.wish === own ? own + 1 : this.#options.wish
  }

  #map(port: number, now: Instant): PortMappingOutput[] {
    if (this.#chosen === undefined) return []
    this.#busy = true
    this.#renewedAt = now
    return this.#begin(this.#chosen, { do: 'map', port }, now)
  }

  #rest(now: Instant): PortMappingOutput[] {
    this.#phase = 'resting'
    this.#chosen = undefined
    this.#failures += 1
    const pauseMs = backoffMs(this.#failures, PORT_MAPPING_LIMITS.rest, this.#options.rng)
    this.#timers.set('rest', now + pauseMs)
    return []
  }

  #due(name: 'grace' | 'check' | 'renew' | 'rest' | 'leave', now: Instant): PortMappingOutput[] {
    const held = this.#mapping
    if (name === 'grace') return this.#phase === 'asking' ? this.#choose(now) : []
    if (name === 'rest') return this.#phase === 'resting' ? this.#ask(now) : []
    if (name === 'leave') return this.#left()
    if (this.#phase !== 'held' || held === undefined || this.#chosen === undefined) return []
    if (this.#busy) {
      this.#timers.set(name, now + PORT_MAPPING_LIMITS.checkMs)
      return []
    }
    if (name === 'renew') return this.#map(held.externalPort, now)
    this.#busy = true
    return this.#begin(this.#chosen, { do: 'check', port: held.externalPort }, now)
  }

  #begin(way: Way, task: Task, now: Instant): PortMappingOutput[] {
    return this.#pass(way, way.begin(task, now), now)
  }

  #feed(way: Way, input: WayInput, now: Instant): PortMappingOutput[] {
    return this.#pass(way, way.step(input, now), now)
  }

  #pass({ protocol }: Way, outputs: WayOutput[], now: Instant): PortMappingOutput[] {
    return outputs.flatMap((output): PortMappingOutput[] => {
      if (output.type === 'search' || output.type === 'request') return [output]
      if (output.type === 'send')
        return protocol === 'upnp' ? [] : [{ type: 'send', protocol, bytes: output.bytes }]
      const { task, outcome } = output
      return [
        ...(protocol === 'upnp' ? [] : [{ type: 'hush' as const, protocol }]),
        { type: 'outcome', protocol, task: task.do, outcome },
        ...this.#outcome(protocol, task, outcome, now),
      ]
    })
  }

  #outcome(protocol: Protocol, task: Task, outcome: Outcome, now: Instant): PortMappingOutput[] {
    if (task.do === 'release') return this.#left()
    if (task.do === 'ask') {
      this.#answers.set(protocol, outcome.type === 'refused' ? outcome.reason : wordOf(outcome))
      if (outcome.type === 'present') this.#said = outcome.externalIp ?? this.#said
      return this.#phase === 'asking' ? this.#choose(now) : []
    }
    if (this.#chosen?.protocol !== protocol || this.#phase === 'leaving') return []
    this.#busy = false
    if (outcome.type === 'granted') return this.#granted(protocol, outcome.grant, now)
    if (outcome.type === 'standing') return this.#standing(outcome.externalIp, now)
    if (outcome.type === 'forgotten')
      return this.#map(this.#mapping?.externalPort ?? this.#wish(), now)
    this.#answers.set(protocol, outcome.type === 'refused' ? outcome.reason : 'silent')
    return this.#phase === 'mapping' ? this.#nextBest(now) : this.#lost(outcome, now)
  }

  #granted(protocol: Protocol, grant: Grant, now: Instant): PortMappingOutput[] {
    const network = this.#network as Network
    const seconds = Math.min(grant.seconds, PORT_MAPPING_LIMITS.maxLeaseSeconds)
    const external = grant.externalIp ?? this.#said
    if (this.#phase !== 'held') this.#heldSince = now
    this.#phase = 'held'
    this.#answers.set(protocol, 'present')
    this.#timers.set('renew', now + Math.max((seconds * 1000) / 2, PORT_MAPPING_LIMITS.minRenewMs))
    this.#checkLater(protocol, now)
    return this.#hold(
      {
        protocol,
        network,
        externalPort: grant.port,
        ...(external === undefined ? {} : { externalIp: external }),
        until: now + seconds * 1000,
      },
      'granted',
    )
  }

  #standing(externalIp: string | undefined, now: Instant): PortMappingOutput[] {
    const held = this.#mapping
    if (held === undefined) return []
    this.#checkLater(held.protocol, now)
    if (now - this.#heldSince >= PORT_MAPPING_LIMITS.steadyMs) this.#failures = 0
    if (externalIp === undefined) return []
    return this.#hold({ ...held, externalIp }, 'another external address')
  }

  #checkLater(protocol: Protocol, now: Instant): void {
    const { checkHttpMs, checkMs } = PORT_MAPPING_LIMITS
    this.#timers.set('check', now + (protocol === 'upnp' ? checkHttpMs : checkMs))
  }

  /** Only what others can notice is a change; that the lease is longer now is none. */
  #hold(mapping: Mapping, reason: string): PortMappingOutput[] {
    const before = this.#mapping
    this.#mapping = mapping
    const same =
      before?.protocol === mapping.protocol &&
      before.externalPort === mapping.externalPort &&
      before.externalIp === mapping.externalIp
    return same ? [] : [{ type: 'changed', mapping, reason }]
  }

  #nextBest(now: Instant): PortMappingOutput[] {
    this.#phase = 'asking'
    this.#chosen = undefined
    return this.#choose(now)
  }

  #lost(outcome: Outcome, now: Instant): PortMappingOutput[] {
    const why =
      outcome.type === 'refused'
        ? `the gateway refused: ${outcome.reason}`
        : 'the gateway is silent'
    return [...this.#drop(why), ...this.#rest(now)]
  }

  /** Forgets the mapping and every plan for it. */
  #drop(reason: string): PortMappingOutput[] {
    const held = this.#mapping
    for (const name of ['grace', 'check', 'renew', 'rest'] as const) this.#timers.clear(name)
    this.#mapping = undefined
    this.#busy = false
    this.#chosen = undefined
    return held === undefined ? [] : [{ type: 'changed', mapping: undefined, reason }]
  }

  #doubted(now: Instant): PortMappingOutput[] {
    const held = this.#mapping
    const soon = now - this.#renewedAt < PORT_MAPPING_LIMITS.doubtMs
    if (held === undefined || this.#phase !== 'held' || this.#busy || soon) return []
    return this.#map(held.externalPort, now)
  }

  /** Also a mapping that has been asked for and not granted yet is given back: the answer may be on its way. */
  #leave(now: Instant): PortMappingOutput[] {
    if (this.#phase === 'leaving') return []
    const [way, port] = [this.#chosen, this.#mapping?.externalPort ?? this.#wish()]
    const outputs = [...this.#silence(), ...this.#drop('the node stops')]
    if (way === undefined) return [...outputs, ...this.#left()]
    this.#phase = 'leaving'
    this.#ways = [way]
    this.#timers.set('leave', now + PORT_MAPPING_LIMITS.leaveMs)
    return [...outputs, ...this.#begin(way, { do: 'release', port }, now)]
  }

  #left(): PortMappingOutput[] {
    const outputs = this.#silence()
    this.#phase = 'left'
    this.#ways = []
    return [...outputs, { type: 'left' }]
  }

  #silence(): PortMappingOutput[] {
    return this.#ways.flatMap(({ protocol }) =>
      protocol === 'upnp' ? [] : [{ type: 'hush' as const, protocol }],
    )
  }
}

function wordOf({ type }: Outcome): 'present' | 'silent' {
  return type === 'present' ? 'present' : 'silent'
}
