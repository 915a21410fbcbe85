import type { Rng } from '../../../protocols/kernel/rng.ts'
import type { Clock } from './clock.ts'
import type { Packet, Uplink } from './tcp.ts'
import { Tracked } from './tracked.ts'

type Behaviour = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

export interface RouterTraits {
  mapping: Behaviour | 'none'
  filtering: Behaviour
  ports: 'preserved' | 'shifted' | 'random' | 'sequential'
  unsolicited: 'dropped' | 'reset'
  hairpin?: boolean
}

interface Receiver {
  receive(packet: Packet): void
}

interface Place {
  ip: string
  port: number
}

/** Between two hosts of one network. */
const LAN_MS = 0.3

/** The internet, as a wire that takes as long between any two machines. */
export class Internet implements Uplink {
  readonly #clock: Clock
  readonly #rng: Rng
  readonly #wire: { oneWayMs: number; jitterMs: number; loss: number }
  readonly #machines = new Map<string, { machine: Receiver; lagMs: number }>()
  packets = 0

  constructor(clock: Clock, rng: Rng, wire: { oneWayMs: number; jitterMs: number; loss: number }) {
    this.#clock = clock
    this.#rng = rng
    this.#wire = wire
  }

  attach(ip: string, machine: Receiver, lagMs = 0): void {
    this.#machines.set(ip, { machine, lagMs })
  }

  send(packet: Packet): void {
    this.packets++
    const to = this.#machines.get(packet.dst)
    if (to === undefined || this.#rng() < this.#wire.loss) return
    const ms = this.#wire.oneWayMs + to.lagMs + this.#rng() * this.#wire.jitterMs
    this.#clock.after(ms, () => to.machine.receive(packet))
  }
}

/** A router with the address translation and the connection tracking of Linux. */
export class Router implements Uplink {
  /** Undefined where nothing is translated. */
  readonly #ip: string | undefined
  readonly #traits: RouterTraits
  readonly #uplink: Uplink
  readonly #clock: Clock
  readonly #rng: Rng
  readonly #inside = new Map<string, Receiver>()
  /** By both ends, as the inside and as the outside sees them. */
  readonly #tracked = new Map<string, Tracked>()
  readonly #mappings = new Map<string, number>()
  readonly #owners = new Map<number, Place>()
  readonly #contacted = new Set<string>()
  #sequence = 20_000

  constructor(
    ip: string | undefined,
    traits: RouterTraits,
    uplink: Uplink,
    clock: Clock,
    rng: Rng,
  ) {
    this.#ip = ip
    this.#traits = traits
    this.#uplink = uplink
    this.#clock = clock
    this.#rng = rng
  }

  attach(ip: string, machine: Receiver): void {
    this.#inside.set(ip, machine)
  }

  /** How a connection from there to `remote` looks from outside. */
  seenAs(from: Place, remote: Place): Place {
    if (this.#ip === undefined) return from
    this.#contacted.add(`${this.#portFor(from, remote)} ${remote.ip}`)
    return { ip: this.#ip, port: this.#portFor(from, remote) }
  }

  send(packet: Packet): void {
    const neighbour = this.#inside.get(packet.dst)
    if (neighbour !== undefined) {
      this.#clock.after(LAN_MS, () => neighbour.receive(packet))
      return
    }
    if (packet.dst === this.#ip) return this.#turnRound(packet)
    const from = { ip: packet.src, port: packet.sport }
    const remote = { ip: packet.dst, port: packet.dport }
    const tracked = this.#find(insideKey(from, remote)) ?? this.#begun(packet, from, remote)
    // What does not fit leaves untranslated, with a source that no internet carries.
    if (tracked === undefined || !tracked.passes(packet, 'out', this.#clock.now)) return
    const { ip, port } = tracked.outside
    this.#uplink.send({ ...packet, src: ip, sport: port })
  }

  receive(packet: Packet): void {
    const at = { ip: packet.dst, port: packet.dport }
    const remote = { ip: packet.src, port: packet.sport }
    const tracked = this.#find(outsideKey(at, remote)) ?? this.#admitted(packet, at, remote)
    if (tracked === undefined || !tracked.passes(packet, 'in', this.#clock.now)) {
      return this.#stranger(packet)
    }
    const { ip, port } = tracked.inside
    this.#inside.get(ip)?.receive({ ...packet, dst: ip, dport: port })
  }

  #find(key: string): Tracked | undefined {
    const tracked = this.#tracked.get(key)
    if (tracked === undefined || tracked.until > this.#clock.now) return tracked
    this.#tracked.delete(insideKey(tracked.inside, tracked.remote))
    this.#tracked.delete(outsideKey(tracked.outside, tracked.remote))
    return undefined
  }

  #begun(packet: Packet, from: Place, remote: Place): Tracked | undefined {
    return packet.flag === 'syn' ? this.#track(from, this.seenAs(from, remote), remote) : undefined
  }

  /** A stranger whom the filter lets in. */
  #admitted(packet: Packet, at: Place, remote: Place): Tracked | undefined {
    const owner = this.#owners.get(at.port)
    if (packet.flag !== 'syn' || owner === undefined) return undefined
    const { filtering } = this.#traits
    const known = this.#contacted.has(`${at.port} ${remote.ip}`)
    const open =
      filtering === 'endpoint-independent' || (filtering === 'address-dependent' && known)
    return open ? this.#track(owner, at, remote) : undefined
  }

  #track(inside: Place, outside: Place, remote: Place): Tracked {
    const tracked = new Tracked(inside, outside, remote)
    this.#tracked.set(insideKey(inside, remote), tracked)
    this.#tracked.set(outsideKey(outside, remote), tracked)
    return tracked
  }

  #stranger(packet: Packet): void {
    if (this.#traits.unsolicited !== 'reset' || packet.flag === 'rst') return
    const { src, sport, dst, dport, seq, ack } = packet
    this.#uplink.send({
      flag: 'rst',
      src: dst,
      sport: dport,
      dst: src,
      dport: sport,
      seq: ack,
      ack: seq,
    })
  }

  /** From the inside to the outside of itself. */
  #turnRound(packet: Packet): void {
    const owner = this.#owners.get(packet.dport)
    if (this.#traits.hairpin !== true || owner === undefined) return
    const { ip, port } = this.seenAs(
      { ip: packet.src, port: packet.sport },
      { ip: packet.dst, port: packet.dport },
    )
    const turned = { ...packet, src: ip, sport: port, dst: owner.ip, dport: owner.port }
    this.#clock.after(LAN_MS, () => this.#inside.get(owner.ip)?.receive(turned))
  }

  #portFor(from: Place, remote: Place): number {
    const { mapping } = this.#traits
    const towards =
      mapping === 'address-and-port-dependent'
        ? `${remote.ip} ${remote.port}`
        : mapping === 'address-dependent'
          ? remote.ip
          : ''
    const key = `${from.ip} ${from.port} ${towards}`
    const known = this.#mappings.get(key)
    if (known !== undefined) return known
    const port = this.#draw(from.port)
    this.#mappings.set(key, port)
    this.#owners.set(port, from)
    return port
  }

  #draw(inner: number): number {
    const { ports } = this.#traits
    if (ports === 'sequential') return this.#sequence++
    const wanted = ports === 'shifted' ? inner + 10_000 : inner
    if (ports !== 'random' && !this.#owners.has(wanted)) return wanted
    for (;;) {
      const port = 1024 + Math.floor(this.#rng() * 64_512)
      if (!this.#owners.has(port)) return port
    }
  }
}

const insideKey = (from: Place, remote: Place): string =>
  `i ${from.ip} ${from.port} ${remote.ip} ${remote.port}`
const outsideKey = (at: Place, remote: Place): string =>
  `o ${at.ip} ${at.port} ${remote.ip} ${remote.port}`
