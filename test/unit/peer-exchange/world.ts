import { createHash } from 'node:crypto'
import { decodeFrame, encodeFrame } from '../../../protocols/peer-exchange/codec.ts'
import { PAYLOAD_TYPE, openEnvelope } from '../../../protocols/peer-exchange/envelope.ts'
import type { Signed } from '../../../protocols/peer-exchange/envelope.ts'
import { makeOverlay } from '../../../protocols/overlay/make.ts'
import type { Overlay } from '../../../protocols/overlay/make.ts'
import type { Input, Output } from '../../../protocols/overlay/overlay.ts'
import { Envelope, PublicKey } from '../../../protocols/peer-exchange/messages.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import { buildPayload } from '../../../protocols/peer-exchange/record.ts'
import type { SelfFacts } from '../../../protocols/peer-exchange/record.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../protocols/kernel/rng.ts'
import { readEnvelope } from '../../../protocols/peer-exchange/read-envelope.ts'
import type { ReadEnvelope } from '../../../protocols/peer-exchange/read-envelope.ts'
import { notation as plain } from '../../../src/drivers/overlay-records.ts'

/** Friday, 2026-11-20, in Unix milliseconds: machines put the time into records. */
export const EPOCH = 1_795_000_000_000
export const NETWORK = 0x1122334455667788n

const sha = (algorithm: string, ...parts: (Uint8Array | string)[]): Uint8Array => {
  const hash = createHash(algorithm)
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** A peer whose "key" is the hash of its name; signatures are hashes too, so that a world costs no curve points. */
export function persona(name: string) {
  const key = sha('sha256', name)
  const publicKey = PublicKey.encode({ type: 1, data: key })
  const peer = notation.peerText(Uint8Array.of(0, publicKey.length, ...publicKey)) as string
  const seal = (payload: Uint8Array): Uint8Array => {
    const unsigned = { publicKey, payloadType: PAYLOAD_TYPE, payload }
    const opened = openEnvelope(Envelope.encode({ ...unsigned, signature: new Uint8Array(64) }))
    if (!opened.ok) throw new Error(opened.fault)
    const signature = sha('sha512', key, opened.value.signed.bytes)
    return Envelope.encode({ ...unsigned, signature })
  }
  return { name, key, peer, seal }
}

export function isGenuine({ key, bytes, signature }: Signed): boolean {
  return Buffer.from(sha('sha512', key, bytes)).equals(signature)
}

/** Remembers what was made of the same text before: a world hands the same few records to everybody. */
function remembered<T>(make: (key: string) => T): (key: string) => T {
  const made = new Map<string, T>()
  return (key) => {
    const before = made.get(key)
    if (before !== undefined) return before
    const value = make(key)
    made.set(key, value)
    return value
  }
}

const notation = { ...plain, idOf: remembered((peer) => plain.idOf(peer)) }
const read = remembered((latin) => readEnvelope(Buffer.from(latin, 'latin1'), notation))
const readOnce: ReadEnvelope = (envelope) => read(Buffer.from(envelope).toString('latin1'))

const addressOf = (port: number): string =>
  `/ip4/5.${port % 200}.${port >> 8}.${port & 255}/tcp/4001`

export const facts = (port: number, more: Partial<SelfFacts> = {}): SelfFacts => ({
  addresses: [{ address: addressOf(port), kind: 'direct' }],
  reachability: 'public',
  mapping: 'none',
  filtering: 'none',
  services: [],
  ...more,
})

interface Event {
  at: number
  number: number
  run(): void
}

export class VirtualNode {
  readonly persona: ReturnType<typeof persona>
  readonly overlay: Overlay
  readonly faults: string[] = []
  readonly links = new Set<VirtualNode>()
  /** What it found, by the number of the search. */
  readonly searched = new Map<number, string[]>()
  readonly resolved = new Set<string>()
  /** The versions of its own record, as `World.seen` names them. */
  readonly said = new Set<string>()
  healings = 0
  sentBytes = 0
  up = true
  /** What a liar makes of its answers. */
  change = (frame: Frame): Frame => frame
  /** On which side of a split network it is. */
  side = 0
  /** When its machine wants to be woken. */
  wake = Infinity

  constructor(name: string, rng: Rng) {
    this.persona = persona(name)
    this.overlay = makeOverlay({
      self: this.peer,
      networkId: NETWORK,
      scope: { loopback: false, subnets: [] },
      notation,
      rng,
      read: readOnce,
    })
  }

  get peer(): string {
    return this.persona.peer
  }

  knows(now: number): string[] {
    return this.overlay.exchange.book.fresh(now).map(({ record }) => record.peer)
  }
}

/** A network of machines on a clock of its own; every run of a seed is the same. */
export class World {
  now = EPOCH
  readonly nodes: VirtualNode[] = []
  /** How often each version of a record went from one node to another, questions for peers and greetings apart. */
  readonly handed = new Map<string, number>()
  readonly #rng: Rng
  readonly #byPeer = new Map<string, VirtualNode>()
  readonly #events = new Heap()
  #numbers = 0

  constructor(seed: number) {
    this.#rng = seededRng(seed)
  }

  /** A node that joins through others. */
  join(name: string, bootstraps: VirtualNode[] = [], more: Partial<SelfFacts> = {}): VirtualNode {
    const node = new VirtualNode(name, seededRng(this.#rng() * 2 ** 32))
    this.nodes.push(node)
    this.#byPeer.set(node.peer, node)
    this.feed(node, { type: 'self', facts: facts(this.nodes.length, more) })
    const named = bootstraps.map(({ peer }) => ({ peer, addresses: ['/bootstrap'] }))
    this.feed(node, { type: 'start', bootstraps: named })
    return node
  }

  /** A node vanishes; its links break. */
  crash(node: VirtualNode): void {
    node.up = false
    for (const other of node.links) this.#unlink(node, other)
  }

  /** From now on a node's answers are changed before they leave it. */
  tamper(node: VirtualNode, change: (frame: Frame) => Frame): void {
    node.change = change
  }

  /** What somebody who is nowhere in the world says of itself. */
  static recordOf(name: string): Uint8Array {
    const { peer, seal } = persona(name)
    const issue = { self: peer, networkId: NETWORK, seq: 1, now: EPOCH, leaving: false }
    return seal(buildPayload(facts(9), issue, plain))
  }

  /** Cuts the network: nodes of different sides have no link and get none. */
  split(sideOf: (node: VirtualNode, i: number) => number): void {
    for (const [i, node] of this.nodes.entries()) node.side = sideOf(node, i)
    for (const node of this.nodes) {
      for (const other of node.links) if (other.side !== node.side) this.#unlink(node, other)
    }
  }

  runFor(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const next = this.#events.first
      const sleeper = this.#nextToWake()
      const at = Math.min(next?.at ?? Infinity, sleeper?.wake ?? Infinity)
      if (at > end) break
      this.now = Math.max(this.now, at)
      if (next !== undefined && next.at <= at) this.#events.shift()?.run()
      else if (sleeper !== undefined) this.feed(sleeper, { type: 'tick' })
    }
    this.now = end
  }

  /** Virtual milliseconds until it is so; Infinity if not within `ms`. */
  runUntil(isSo: () => boolean, ms: number): number {
    const began = this.now
    while (!isSo() && this.now - began < ms) this.runFor(50)
    return isSo() ? this.now - began : Infinity
  }

  feed(node: VirtualNode, input: Input): void {
    for (const output of this.#step(node, input)) this.#perform(node, output)
  }

  #step(node: VirtualNode, input: Input): readonly Output[] {
    if (!node.up) return []
    const out = node.overlay.step(input, this.now)
    node.wake = node.overlay.nextWake() ?? Infinity
    return out
  }

  link(a: VirtualNode, b: VirtualNode): void {
    if (!a.up || !b.up || a.side !== b.side || a.links.has(b)) return
    a.links.add(b)
    b.links.add(a)
    for (const [node, other, dialled] of [
      [a, b, true],
      [b, a, false],
    ] as const) {
      const address = addressOf(this.nodes.indexOf(other) + 1)
      this.feed(node, {
        type: 'linked',
        peer: other.peer,
        path: 'direct',
        limited: false,
        dialled,
        ...(dialled ? { address } : {}),
      })
    }
  }

  #unlink(a: VirtualNode, b: VirtualNode): void {
    if (!a.links.has(b)) return
    for (const [node, other] of [
      [a, b],
      [b, a],
    ] as const) {
      node.links.delete(other)
      this.feed(node, { type: 'unlinked', peer: other.peer })
    }
  }

  #perform(node: VirtualNode, output: Output): void {
    switch (output.type) {
      case 'sign':
        return this.#sign(node, output.seq, output.payload)
      case 'verify':
        return this.#soon(1, () =>
          this.feed(node, { type: 'verified', job: output.job, valid: isGenuine(output.signed) }),
        )
      case 'ask':
        return this.#carry(node, output.peer, output.frame, output.exchange)
      case 'tell':
        return this.#carry(node, output.peer, output.frame)
      case 'searched':
        node.searched.set(output.search, output.peers)
        return undefined
      case 'resolved':
        node.resolved.add(output.peer)
        return undefined
      case 'healing':
        if (output.healing) node.healings++
        return undefined
      case 'fault':
        node.faults.push(output.fault)
        return undefined
      case 'dial':
        return this.#dial(node, output.peer)
      case 'release':
        return this.#release(node, output.peer)
      default:
        return undefined
    }
  }

  #sign(node: VirtualNode, seq: number, payload: Uint8Array): void {
    const envelope = node.persona.seal(payload)
    node.said.add(nameOf(envelope))
    this.feed(node, { type: 'signed', seq, envelope })
  }

  #release(node: VirtualNode, peer: string): void {
    const other = this.#byPeer.get(peer)
    if (other !== undefined) this.#soon(0, () => this.#unlink(node, other))
  }

  /** A frame to a peer and its answer back, each 20 to 80 ms on the way, as bytes. */
  #carry(from: VirtualNode, peer: string, frame: Frame, exchange?: number): void {
    const to = this.#byPeer.get(peer)
    const answer = (honest: Frame | undefined) => {
      const reply = honest && to?.change(honest)
      if (exchange === undefined) return
      if (reply !== undefined && to !== undefined && frame.type !== 'find') {
        this.#note(to, from, reply)
      }
      this.#soon(this.#latency(), () =>
        this.feed(from, { type: 'answer', exchange, frame: reply && this.#onTheWire(to, reply) }),
      )
    }
    if (to === undefined || !from.links.has(to)) return answer(undefined)
    const arrived = this.#onTheWire(from, frame)
    this.#note(from, to, frame)
    this.#soon(this.#latency(), () => {
      if (!to.up) return answer(undefined)
      const request: Input = { type: 'request', exchange: 0, peer: from.peer, frame: arrived }
      for (const output of this.#step(to, request)) {
        if (output.type === 'reply') answer(output.frame)
        else this.#perform(to, output)
      }
    })
  }

  /** Counts the records of others in a frame. */
  #note(from: VirtualNode, to: VirtualNode, frame: Frame): void {
    if (!('entries' in frame)) return
    for (const { envelope } of frame.entries) {
      const name = nameOf(envelope)
      if (from.said.has(name)) continue
      const key = `${from.persona.name} to ${to.persona.name}: ${name}`
      this.handed.set(key, (this.handed.get(key) ?? 0) + 1)
    }
  }

  #onTheWire(from: VirtualNode | undefined, frame: Frame): Frame {
    const bytes = encodeFrame(frame)
    if (from !== undefined) from.sentBytes += bytes.length
    const decoded = decodeFrame(bytes)
    if (!decoded.ok) throw new Error(`a machine made a bad frame: ${decoded.fault}`)
    return decoded.value
  }

  #dial(node: VirtualNode, peer: string): void {
    this.#soon(this.#latency() * 3, () => {
      const to = this.#byPeer.get(peer)
      const isThere = to !== undefined && to.up && to.side === node.side
      if (isThere) this.link(node, to)
      this.feed(node, { type: isThere ? 'dial-done' : 'dial-failed', peer })
    })
  }

  #nextToWake(): VirtualNode | undefined {
    let first: VirtualNode | undefined
    for (const node of this.nodes) {
      if (node.up && node.wake < (first?.wake ?? Infinity)) first = node
    }
    return first
  }

  #soon(ms: number, run: () => void): void {
    this.#events.push({ at: this.now + ms, number: ++this.#numbers, run })
  }

  #latency(): number {
    return 20 + 60 * this.#rng()
  }
}

/** The end of a signature tells versions apart. */
function nameOf(envelope: Uint8Array): string {
  return Buffer.from(envelope.subarray(-12)).toString('base64')
}

/** Events by their time, and at one time by their number. */
class Heap {
  readonly #events: Event[] = []

  get first(): Event | undefined {
    return this.#events[0]
  }

  push(event: Event): void {
    let at = this.#events.push(event) - 1
    for (let up = (at - 1) >> 1; at > 0 && this.#less(at, up); up = (at - 1) >> 1) {
      this.#swap(at, up)
      at = up
    }
  }

  shift(): Event | undefined {
    const [first] = this.#events
    const last = this.#events.pop()
    if (last === undefined || this.#events.length === 0) return first
    this.#events[0] = last
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      let least = left < this.#events.length && this.#less(left, at) ? left : at
      if (right < this.#events.length && this.#less(right, least)) least = right
      if (least === at) return first
      this.#swap(at, least)
      at = least
    }
  }

  #less(a: number, b: number): boolean {
    const [one, other] = [this.#events[a] as Event, this.#events[b] as Event]
    return one.at === other.at ? one.number < other.number : one.at < other.at
  }

  #swap(a: number, b: number): void {
    const one = this.#events[a] as Event
    this.#events[a] = this.#events[b] as Event
    this.#events[b] = one
  }
}
