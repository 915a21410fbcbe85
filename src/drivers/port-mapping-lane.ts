import { PortMappingMachine } from '../../protocols/port-mapping/port-mapping.ts'
import type {
  Mapping,
  PortMappingInput,
  PortMappingOutput,
  PortMappingState,
} from '../../protocols/port-mapping/io.ts'
import type { PortMappingOptions } from '../../protocols/port-mapping/port-mapping.ts'
import type { DatagramProtocol, HttpRequest, Outcome } from '../../protocols/port-mapping/way.ts'
import type { Protocol, Task } from '../../protocols/port-mapping/way.ts'
import { askGateway, GatewayDatagrams, GatewaySearch } from '../net/gateway/index.ts'
import type { Gateway } from '../net/gateway/index.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'

/** What a gateway's answer to one task was, for numbers and the log. */
export interface MappingNews {
  protocol: Protocol
  task: Task['do']
  outcome: Outcome
}

export interface LaneDeps extends PortMappingOptions {
  changed(mapping: Mapping | undefined, reason: string): void
  news(news: MappingNews): void
}

/** Where a lane leads: the gateway, and the endpoint of ours that it shall map. */
export interface Uplink {
  gateway: Gateway
  ip: string
  port: number
}

/** Speaks to the gateway of one address family as its machine decides. */
export class PortMappingLane {
  readonly #deps: LaneDeps
  readonly #machine: PortMappingMachine
  readonly #driven: Driven<PortMappingInput>
  // One entry a protocol at most.
  readonly #datagrams = new Map<DatagramProtocol, GatewayDatagrams>()
  readonly #left = Promise.withResolvers<void>()
  readonly #stop = new AbortController()
  #search: GatewaySearch | undefined
  #uplink: Uplink | undefined

  constructor(deps: LaneDeps) {
    this.#deps = deps
    this.#machine = new PortMappingMachine(deps)
    this.#driven = drive(this.#machine, (output) => this.#perform(output))
  }

  get state(): PortMappingState {
    return this.#machine.state
  }

  /** Tells where we are now; undefined when no gateway is there, or nothing that could be mapped. */
  enter(uplink: Uplink | undefined): void {
    this.#uplink = uplink
    const network = uplink && { gateway: uplink.gateway.ip, ip: uplink.ip, port: uplink.port }
    this.#driven.feed({ type: 'network', network })
  }

  /** Somebody tried the mapped address in vain. */
  doubted(): void {
    this.#driven.feed({ type: 'doubted' })
  }

  /** Gives back what is held; resolves when that is done or has taken too long. */
  async leave(): Promise<void> {
    this.#driven.feed({ type: 'leave' })
    await this.#left.promise
    this.#driven[Symbol.dispose]()
    this.#stop.abort()
    this.#search?.close()
    for (const datagrams of this.#datagrams.values()) datagrams.close()
  }

  #perform(output: PortMappingOutput): void {
    switch (output.type) {
      case 'send':
        return void this.#socketOf(output.protocol)?.send(output.bytes)
      case 'hush':
        this.#datagrams.get(output.protocol)?.close()
        this.#datagrams.delete(output.protocol)
        return
      case 'search':
        return void this.#searching()?.send(output.texts)
      case 'request':
        return void this.#request(output.request)
      case 'changed':
        return this.#deps.changed(output.mapping, output.reason)
      case 'outcome':
        return this.#deps.news(output)
      case 'left':
        this.#left.resolve()
    }
  }

  #socketOf(protocol: DatagramProtocol): GatewayDatagrams | undefined {
    const known = this.#datagrams.get(protocol)
    if (known !== undefined || this.#uplink === undefined) return known
    const { gateway, ip } = this.#uplink
    const made = new GatewayDatagrams(gateway, ip, {
      datagram: (bytes) => this.#driven.feed({ type: 'datagram', protocol, bytes }),
      unreachable: () => this.#driven.feed({ type: 'unreachable', protocol }),
    })
    this.#datagrams.set(protocol, made)
    return made
  }

  #searching(): GatewaySearch | undefined {
    if (this.#search !== undefined || this.#uplink === undefined) return this.#search
    const { gateway, ip } = this.#uplink
    const made = new GatewaySearch(
      gateway.ip,
      ip,
      (text) => this.#driven.feed({ type: 'found', text }),
      () => {
        if (this.#search === made) this.#search = undefined
      },
    )
    this.#search = made
    return made
  }

  async #request(request: HttpRequest): Promise<void> {
    if (this.#uplink === undefined) return
    const { gateway, ip } = this.#uplink
    const answer = await askGateway(gateway.ip, request, ip, this.#stop.signal)
    this.#driven.feed({ type: 'answered', id: request.id, answer })
  }
}
