/** A libp2p peer of Warren's parts, as somebody would put them into a node of his own. */
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { isDirect } from '../../src/net/connection.ts'
import { ping as pingOver } from '../../src/net/ping.ts'
import { warren } from '../../src/services.ts'
import type { ObservedAddresses } from '../../src/services.ts'

const say = (text: string) => process.stderr.write(`${text}\n`)

/** A dial and its handshake at the longest delays of a harness. */
const STEP_MS = 15_000
/** Both harnesses bound a whole run by 60 s at least. */
const PUNCH_MS = 45_000
/** The best of these is the round trip: the first one shares its way with the end of the handshakes. */
const PINGS = 3

/** What a dialer measures. */
export interface Measured {
  /** From dialling over the relay to the direct connection. */
  directMs: number
  rttMs: number
  remoteAddr: Multiaddr
}

type Node = Libp2p<{ reachability: ObservedAddresses; transportManager: TransportManager }>

/** A running peer of a harness. */
export class HarnessPeer {
  readonly #libp2p: Node

  private constructor(libp2p: Node) {
    this.#libp2p = libp2p
  }

  static async start(listenIp: string): Promise<HarnessPeer> {
    const parts = warren({
      // The harnesses' internet is made of private ranges.
      privateTargets: true,
      onPunch: (report) => say(JSON.stringify(report)),
    })
    const { reachability, dcutr } = parts.services
    const libp2p = await createLibp2p({
      // Nothing of its own networks: a harness joins peers by its redis network too, which would be no hole punch.
      addresses: { listen: [`/ip4/${listenIp}/tcp/0`], announceFilter: () => [] },
      transports: parts.transports,
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: {
        identify: identify(),
        ping: ping(),
        reachability,
        dcutr,
        transportManager: (components: { transportManager: TransportManager }) =>
          components.transportManager,
      },
    })
    return new HarnessPeer(libp2p)
  }

  get id(): string {
    return this.#libp2p.peerId.toString()
  }

  /** Connects to the relay and waits for what it says of our address. */
  async meetRelay(address: string): Promise<void> {
    const signal = AbortSignal.timeout(STEP_MS)
    const identified = this.#next('peer:identify', () => true, signal)
    await this.#libp2p.dial(multiaddr(address), { signal })
    await identified
    say(`seen by the relay at ${this.#libp2p.services.reachability.externalAddresses().join(', ')}`)
  }

  /** Asks the relay for a reservation. */
  async reserve(relay: string): Promise<void> {
    await this.#libp2p.services.transportManager.listen([
      multiaddr(relay).encapsulate('/p2p-circuit'),
    ])
  }

  /** Dials the listener over the relay, and waits until the two are connected directly. */
  async punchTo(relay: string, listener: string): Promise<Measured> {
    const signal = AbortSignal.timeout(PUNCH_MS)
    const direct = this.#next('connection:open', isDirectTo(listener), signal)
    const began = performance.now()
    const address = multiaddr(relay).encapsulate(`/p2p-circuit/p2p/${listener}`)
    const relayed = this.#libp2p.dial(address, { signal })
    const connection = await Promise.race([direct, relayed.then(() => direct)])
    const directMs = performance.now() - began
    const rtts: number[] = []
    while (rtts.length < PINGS) rtts.push(await pingOver(connection, signal))
    return { directMs, rttMs: Math.min(...rtts), remoteAddr: connection.remoteAddr }
  }

  async stop(): Promise<void> {
    await this.#libp2p.stop()
  }

  async #next(
    type: 'connection:open' | 'peer:identify',
    fits: (detail: Connection) => boolean,
    signal: AbortSignal,
  ): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const heard = (event: CustomEvent<unknown>): void => {
      const detail = event.detail as Connection
      if (fits(detail)) resolve(detail)
    }
    const aborted = (): void => reject(new Error(`no ${type} in time`))
    this.#libp2p.addEventListener(type, heard)
    signal.addEventListener('abort', aborted, { once: true })
    return await promise.finally(() => {
      this.#libp2p.removeEventListener(type, heard)
      signal.removeEventListener('abort', aborted)
    })
  }
}

function isDirectTo(peer: string): (connection: Connection) => boolean {
  return (connection) => connection.remotePeer.toString() === peer && isDirect(connection)
}
