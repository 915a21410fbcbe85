import { endpointAddress, parseAddress } from '../../protocols/kernel/address.ts'
import type { Family } from '../../protocols/kernel/address.ts'
import type { Finding } from '../../protocols/nat-probe/findings.ts'
import { doubtOf } from '../../protocols/port-mapping/external.ts'
import type { Mapping, PortMappingState } from '../../protocols/port-mapping/io.ts'
import type { ReachabilityState } from '../../protocols/reachability/reachability.ts'
import { PortMappingDriver } from '../drivers/port-mapping.ts'
import type { MappingNews } from '../drivers/port-mapping.ts'
import type { ReachabilityDriver } from '../drivers/reachability.ts'
import type { Conditions } from '../observe/conditions.ts'
import type { EventHub } from '../observe/event-hub.ts'
import type { NatFacts } from '../types.ts'

export interface MappingKeeperParts {
  on: boolean
  privateKey: Uint8Array
  reachability: ReachabilityDriver
  hub: EventHub
  conditions: Conditions
  /** Makes peers try the addresses that are worth it, now. Returns how many were asked. */
  askNow(): number
  /** The router lets in others than before: what was found out about that is to be asked again. */
  firewallChanged(): void
}

/**
 * Peers are asked again while nobody has got in: a router may take a moment, and the first links are few. Later they
 * are asked as about any address.
 */
const ASK_AGAIN_MS = [5_000, 20_000, 60_000]

/** What the doctor is told of the router. */
export interface MappingFacts {
  on: boolean
  ip4: PortMappingState
  ip6: PortMappingState
  /** Whether somebody got in by the mapped IPv4 port. */
  confirmed: boolean
  /** Why a port that the router opens leads nowhere, and what helps. */
  doubt?: { text: string; remedy: string }
}

const NOTHING: PortMappingState = { network: undefined, mapping: undefined, answers: {} }

/**
 * What a port that the router opened means for this node: a place that others are asked to try, and, when somebody got
 * in there, an address to announce. That the router says so is never enough.
 */
export class MappingKeeper {
  readonly #parts: MappingKeeperParts
  readonly #driver: PortMappingDriver | undefined
  /** The place that peers are asked to try. */
  #trying: string | undefined
  #triedInVain = false
  #askingAgain: NodeJS.Timeout | undefined

  constructor(parts: MappingKeeperParts) {
    this.#parts = parts
    if (!parts.on) return
    this.#driver = new PortMappingDriver({
      endpoints: () => parts.reachability.ownEndpoints(),
      privateKey: parts.privateKey,
      changed: (family, mapping, reason) => this.#changed(family, mapping, reason),
    })
  }

  get protocol(): NatFacts['portMapping'] {
    const { ip4, ip6 } = this.facts()
    return (ip4.mapping ?? ip6.mapping)?.protocol ?? 'none'
  }

  start(): void {
    this.#driver?.start()
  }

  /** Closes the port at the router. */
  async stop(): Promise<void> {
    clearTimeout(this.#askingAgain)
    await this.#driver?.stop()
  }

  /** The host's addresses are not what they were. */
  look(): void {
    this.#driver?.look()
  }

  /** Calls back with every answer of the router. */
  onNews(listener: (news: MappingNews) => void): () => void {
    return this.#driver?.onNews(listener) ?? (() => {})
  }

  /** Where peers may try whether the mapping is real. */
  candidates(): string[] {
    const { mapped } = this.#parts.reachability.state
    return mapped === undefined ? [] : [endpointAddress(mapped)]
  }

  /** Outside ports that peers may try. */
  ports(): number[] {
    return this.candidates().flatMap((address) => parseAddress(address)?.port ?? [])
  }

  /** A helper of the NAT probe had the mapped port tried. */
  probed(finding: Finding): void {
    if (finding.type !== 'failed' || finding.door !== 'mapped') return
    // Of a port that was mapped before there is nothing to heal.
    for (const address of this.candidates())
      if (parseAddress(address)?.port === finding.port) this.judged(address, false)
  }

  /** A peer tried an address of ours. */
  judged(address: string, reachable: boolean): void {
    if (!reachable && this.candidates().includes(address)) this.#driver?.doubted()
  }

  reachabilityChanged(state: ReachabilityState): void {
    if (state.mapped !== this.#trying) {
      this.#trying = state.mapped
      this.#triedInVain = false
      this.#ask(0)
    }
    this.#warn()
  }

  facts(): MappingFacts {
    const { on, reachability } = this.#parts
    const ip4 = this.#driver?.state('ip4') ?? NOTHING
    const ip6 = this.#driver?.state('ip6') ?? NOTHING
    const { announce, externalAddresses } = reachability.state
    const confirmed = this.candidates().some((address) => announce.includes(address))
    const seen = externalAddresses.map((text) => text.slice(0, text.lastIndexOf(':')))
    const doubt = confirmed ? undefined : doubtOf(ip4, seen, this.#triedInVain)
    return { on, ip4, ip6, confirmed, ...(doubt === undefined ? {} : { doubt }) }
  }

  #ask(times: number): void {
    clearTimeout(this.#askingAgain)
    if (this.#trying === undefined || this.facts().confirmed) return
    const asked = this.#parts.askNow()
    const againMs = ASK_AGAIN_MS[times]
    if (againMs === undefined) return
    this.#askingAgain = setTimeout(() => {
      this.#triedInVain ||= asked > 0 && times > 0
      this.#warn()
      this.#ask(times + 1)
    }, againMs).unref()
  }

  #changed(family: Family, mapping: Mapping | undefined, reason: string): void {
    const { hub, reachability } = this.#parts
    hub.publish({
      type: 'port-mapping:changed',
      portMapping: mapping?.protocol ?? 'none',
      externalPort: mapping?.externalPort ?? null,
      reason,
    })
    if (family === 'ip4') {
      const said = mapping?.externalIp
      reachability.mapped(
        mapping && { port: mapping.externalPort, ...(said === undefined ? {} : { said }) },
      )
    } else {
      reachability.pinhole(mapping !== undefined)
      this.#parts.firewallChanged()
      // Our own address: nothing new to try but what peers may have tried before, or could not know.
      this.#parts.askNow()
    }
    this.#warn()
  }

  #warn(): void {
    const { conditions } = this.#parts
    const { doubt } = this.facts()
    if (doubt === undefined) return conditions.clear('nat.double')
    conditions.raise({ code: 'nat.double', severity: 'info', ...doubt })
  }
}
