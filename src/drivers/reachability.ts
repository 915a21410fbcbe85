import { networkInterfaces } from 'node:os'
import type { Connection, IdentifyResult, Libp2pEvents, TypedEventTarget } from '@libp2p/interface'
import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { endpointAddress, parseAddress } from '../../protocols/kernel/address.ts'
import type { Tick } from '../../protocols/kernel/machine.ts'
import type { Finding } from '../../protocols/nat-probe/findings.ts'
import type { Reason } from '../../protocols/reachability/reasons.ts'
import { ReachabilityMachine } from '../../protocols/reachability/reachability.ts'
import type {
  ReachabilityInput,
  ReachabilityState,
} from '../../protocols/reachability/reachability.ts'
import { endpointOf } from '../net/connection.ts'
import type { Endpoint } from '../net/connection.ts'
import type { LocalEndpoint, TcpReuseTransport } from '../net/tcp-reuse/index.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'

export interface ReachabilityDeps {
  events: TypedEventTarget<Libp2pEvents>
  transport: TcpReuseTransport
  /** Addresses the operator wants announced. */
  announce: string[]
  /** Whether the operator chose the peer: its word counts where there are few. */
  isTrusted(peer: string): boolean
  changed(state: ReachabilityState, before: ReachabilityState): void
  /** The host's addresses are not what they were. */
  interfacesChanged(): void
  /** A peer connected to us without our having dialled its address. */
  reachedInbound(): void
}

/** How often the interfaces of this host are read, as Node tells of no change by itself: 0.1 ms each time, and a change is handled well within 2 s. */
const INTERFACES_MS = 500

/**
 * A NAT may let an address in because we dialled it this long ago: Linux keeps a mapping whose SYN got no
 * answer for two minutes, and others for less than ten.
 */
const DIALLED_MS = 10 * 60_000

/** Dialled addresses remembered; far more than a node dials in that time. */
const MAX_DIALLED = 4_096

/** Feeds what sockets and peers show to the reachability machine. */
export class ReachabilityDriver {
  readonly #deps: ReachabilityDeps
  readonly #machine = new ReachabilityMachine()
  readonly #dialled = new BoundedMap<string, number>(MAX_DIALLED)
  /** Open connections that we dialled, and whereto: while they last, so does what the NAT made of them. */
  readonly #open = new Map<string, string>()
  #driven: Driven<ReachabilityInput> | undefined
  #polling: NodeJS.Timeout | undefined
  #interfaces = ''

  constructor(deps: ReachabilityDeps) {
    this.#deps = deps
  }

  get state(): ReachabilityState {
    return this.#machine.state
  }

  /** External IPv4 ports that observers saw, the newest last. */
  externalPorts(): number[] {
    return this.#machine.externalPorts()
  }

  start(): void {
    let before = this.#machine.state
    this.#driven = drive(this.#machine, ({ state }) => {
      const previous = before
      before = state
      this.#deps.changed(state, previous)
    })
    this.#driven.feed({ type: 'configured', announce: this.#deps.announce })
    this.#readInterfaces()
    this.#polling = setInterval(() => this.#readInterfaces(), INTERFACES_MS).unref()
    const { events } = this.#deps
    events.addEventListener('peer:identify', this.#onIdentify)
    events.addEventListener('connection:open', this.#onOpen)
    events.addEventListener('connection:close', this.#onClose)
  }

  stop(): void {
    clearInterval(this.#polling)
    this.#driven?.[Symbol.dispose]()
    const { events } = this.#deps
    events.removeEventListener('peer:identify', this.#onIdentify)
    events.removeEventListener('connection:open', this.#onOpen)
    events.removeEventListener('connection:close', this.#onClose)
  }

  /** Must be told of every address that we dial, so that what comes in because of it is not taken for a stranger. */
  dialled(host: string): void {
    this.#dialled.set(host, Date.now())
  }

  /** What this verdict rests on, the strongest first. */
  reasons(): Reason[] {
    return this.#machine.reasons()
  }

  /** New evidence is about to change the verdict, if it stands. */
  get wavers(): boolean {
    return this.#machine.wavers
  }

  /** Whether we have sent to that address lately, or still do. */
  hasContacted(ip: string): boolean {
    const at = this.#dialled.get(ip)
    if (at !== undefined && Date.now() - at < DIALLED_MS) return true
    return [...this.#open.values()].includes(ip)
  }

  /** Whether that address is ours, of this host or of the router in front of it. */
  isOurs(ip: string): boolean {
    const outside = this.state.externalAddresses.map(endpointAddress).map(parseAddress)
    return (
      this.ownEndpoints().some((own) => own.ip === ip) || outside.some((seen) => seen?.host === ip)
    )
  }

  /** What probes by peers came to. */
  probed(finding: Finding): void {
    this.#driven?.feed(inputOf(finding, this.#deps.transport.listening()))
  }

  /** A peer tried to connect to one of our addresses, at our request. */
  dialBack(address: string, ok: boolean, byIp: string): void {
    const parsed = parseAddress(address)
    if (parsed === undefined) return
    const { host: ip, port } = parsed
    this.#driven?.feed({ type: 'dial-back', ip, port, ok, byIp, independent: false })
  }

  /** What our router maps to us; undefined for nothing. */
  mapped(at: { port: number; said?: string } | undefined): void {
    this.#driven?.feed({ type: 'mapped', at })
  }

  /** Whether our router's IPv6 firewall is open for us. */
  pinhole(open: boolean): void {
    this.#driven?.feed({ type: 'pinhole', open })
  }

  /** Addresses of this host with the ports listened on there. */
  ownEndpoints(): { ip: string; port: number }[] {
    return this.#deps.transport.listening().flatMap(expand)
  }

  #readInterfaces(): void {
    const addresses = this.ownEndpoints()
    const key = JSON.stringify(addresses)
    if (key === this.#interfaces) return
    this.#interfaces = key
    this.#driven?.feed({ type: 'interfaces', addresses })
    this.#deps.interfacesChanged()
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { connection, observedAddr } = detail
    const facts = this.#deps.transport.facts(connection)
    const remote = endpointOf(connection.remoteAddr)
    if (facts?.localHost === undefined || remote === undefined) return
    // Peers may be met while libp2p still starts: what they see must find the port that it is about.
    this.#readInterfaces()
    const seen = observedAddr === undefined ? undefined : endpointOf(observedAddr)
    const localIp = facts.localHost
    if (!facts.dialled) return this.#inbound(remote.host, localIp, seen)
    if (!facts.fromListenPort || facts.localPort === undefined || seen === undefined) return
    this.#driven?.feed({
      type: 'observed',
      connection: connection.id,
      observer: connection.remotePeer.toString(),
      observerIp: remote.host,
      ip: seen.host,
      port: seen.port,
      localIp,
      localPort: facts.localPort,
      trusted: this.#deps.isTrusted(connection.remotePeer.toString()),
    })
  }

  #inbound(remoteIp: string, localIp: string, seen: Endpoint | undefined): void {
    const dialledBefore = this.hasContacted(remoteIp)
    const via = seen === undefined ? {} : { via: { ip: seen.host, port: seen.port } }
    this.#driven?.feed({ type: 'inbound', remoteIp, localIp, dialledBefore, ...via })
    if (!dialledBefore) this.#deps.reachedInbound()
  }

  readonly #onOpen = ({ detail }: CustomEvent<Connection>): void => {
    const host = endpointOf(detail.remoteAddr)?.host
    // Of the others it is the dial that counts; a router knows by which port a connection goes out.
    const { dialled, fromListenPort } = this.#deps.transport.facts(detail) ?? {}
    if (host !== undefined && dialled === true && fromListenPort === true)
      this.#open.set(detail.id, host)
  }

  readonly #onClose = ({ detail }: CustomEvent<Connection>): void => {
    const host = this.#open.get(detail.id)
    if (host !== undefined) this.dialled(host)
    this.#open.delete(detail.id)
    this.#driven?.feed({ type: 'observation-gone', connection: detail.id })
  }
}

function inputOf(finding: Finding, listening: LocalEndpoint[]): Exclude<ReachabilityInput, Tick> {
  const { ip: byIp, trusted } = finding.by
  if (finding.type === 'sampled') {
    const { seen, listening: again, fresh } = finding.sampling
    const listeningPort = listening[0]?.port ?? 0
    const ports = fresh.map((one) => ({ local: one.local, port: one.seen.port }))
    return { type: 'sampled', byIp, trusted, seen, listening: again, fresh: ports, listeningPort }
  }
  const { door, other, port } = finding
  const asked = {
    type: 'probed',
    byIp,
    trusted,
    door,
    other,
    ...(port !== undefined && { port }),
  } as const
  if (finding.type === 'failed') return { ...asked, result: 'failed' }
  return { ...asked, result: finding.stranger ? 'stranger' : 'reached', from: finding.from }
}

/** A wildcard listener is reachable at every address of its family that this host has. */
function expand({ family, host, port }: LocalEndpoint): { ip: string; port: number }[] {
  if (host !== '0.0.0.0' && host !== '::') return [{ ip: host, port }]
  return Object.values(networkInterfaces())
    .flat()
    .filter((one) => one !== undefined)
    .filter((one) => one.family === (family === 4 ? 'IPv4' : 'IPv6'))
    .map(({ address }) => ({ ip: address, port }))
}
