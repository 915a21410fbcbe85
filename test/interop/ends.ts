/** The ends of a cell and its relay: the same few questions to a Warren node and to a go-libp2p peer. */
import type { Host, Place } from '../lab/host.ts'
import type { Lab } from '../lab/lab.ts'
import { LabNode } from '../lab/node.ts'
import { startRelays } from '../lab/world.ts'
import type { Maker } from './cells.ts'
import { GoPeer } from './go-peer.ts'

/** A relay that is on the internet and serves. */
export interface Relay {
  /** Its address with its peer id. */
  address: string
  /** Of all machines that relay, for their counters. */
  hosts: readonly Host[]
}

/** A peer of a cell. */
export interface Peer {
  peerId(): Promise<string>
  /** Waits until it can be reached through the relay and can punch. */
  usable(): Promise<void>
  /** Connects to a relayed address and waits for a direct connection; returns where that leads. */
  connectDirectly(address: string, deadlineMs: number): Promise<string>
  /** Waits for a direct connection that the other side may have made; returns where it leads. */
  directTo(peer: string, deadlineMs: number): Promise<string>
  /** One round trip over what it uses now; returns where that leads. */
  ping(peer: string): Promise<string>
  stop(): Promise<void>
  kill(): Promise<void>
  tail(): string
}

const USABLE_MS = 30_000
const PORT = 4001

/** Limits far from every default, so that whoever reads them wrong is found out. */
export const GO_LIMITS = { seconds: 210, bytes: 3_000_000 }

export async function startRelay(lab: Lab, maker: Maker): Promise<Relay> {
  if (maker === 'warren') {
    // A Warren node serves when it knows that it is public, for which it needs another one.
    const { hosts, nodes } = await startRelays(lab)
    const address = `/ip4/${hosts[0].address}/tcp/${PORT}/p2p/${await nodes[0].peerId()}`
    return { address, hosts }
  }
  const host = await lab.publicHost('r')
  const limits = ['-seconds', String(GO_LIMITS.seconds), '-bytes', String(GO_LIMITS.bytes)]
  const relay = await GoPeer.start(host, ['relay', '-port', String(PORT), ...limits])
  return { address: `/ip4/${host.address}/tcp/${PORT}/p2p/${await relay.peerId()}`, hosts: [host] }
}

export async function startPeer(lab: Lab, host: Place, maker: Maker, relay: Relay): Promise<Peer> {
  if (maker === 'go') {
    return new GoEnd(await GoPeer.start(host, ['peer', '-relay', relay.address]))
  }
  const args = ['--bootstrap', relay.address]
  return new WarrenEnd(await LabNode.start(host, { name: host.name, folder: lab.folder, args }))
}

class GoEnd implements Peer {
  readonly #peer: GoPeer

  constructor(peer: GoPeer) {
    this.#peer = peer
  }

  peerId = () => this.#peer.peerId()
  usable = () => this.#peer.usable()
  stop = () => this.#peer.stop()
  kill = () => this.#peer.kill()
  tail = () => this.#peer.tail()

  async connectDirectly(address: string, deadlineMs: number): Promise<string> {
    await this.#peer.connect(address)
    return await this.directTo(address.slice(address.lastIndexOf('/') + 1), deadlineMs)
  }

  async directTo(peer: string, deadlineMs: number): Promise<string> {
    const fits = (line: { peer: string; direct: boolean }) => line.direct && line.peer === peer
    return (await this.#peer.waitFor('connected', fits, deadlineMs)).line.remoteAddr
  }

  async ping(peer: string): Promise<string> {
    return (await this.#peer.ping(peer)).remoteAddr
  }
}

class WarrenEnd implements Peer {
  readonly #node: LabNode

  constructor(node: LabNode) {
    this.#node = node
  }

  peerId = () => this.#node.peerId()
  stop = () => this.#node.stop()
  kill = () => this.#node.kill()
  tail = () => this.#node.tail()

  async usable(): Promise<void> {
    await this.#node.waitFor('relay:held', () => true, USABLE_MS)
  }

  async connectDirectly(address: string, deadlineMs: number): Promise<string> {
    const { path } = await this.#node.connect(encodeURIComponent(address), 'direct', deadlineMs)
    return path.kind === 'direct' ? path.address : `relayed by ${path.via}`
  }

  async directTo(peer: string, deadlineMs: number): Promise<string> {
    const begun = performance.now()
    const linked = this.#node.find(
      'peer:linked',
      (event) => event.peer === peer && event.path.kind === 'direct',
    )
    if (linked?.event.path.kind === 'direct') return linked.event.path.address
    const { event } = await this.#node.waitFor(
      'peer:path-changed',
      (one) => one.peer === peer && one.to.kind === 'direct',
      deadlineMs - (performance.now() - begun),
    )
    return event.to.kind === 'direct' ? event.to.address : ''
  }

  async ping(peer: string): Promise<string> {
    const { path } = await this.#node.ping(peer)
    return path.kind === 'direct' ? path.address : `relayed by ${path.via}`
  }
}
