import { createHash } from 'node:crypto'
import { decodeFrame, encodeFrame } from '../../../protocols/peer-exchange/codec.ts'
import { PAYLOAD_TYPE, openEnvelope } from '../../../protocols/peer-exchange/envelope.ts'
import type { Signed } from '../../../protocols/peer-exchange/envelope.ts'
import { makeOverlay } from '../../../protocols/overlay/make.ts'
import type { Overlay } from '../../../protocols/overlay/make.ts'
import type { Input, Output } from '../../../protocols/overlay/overlay.ts'
import { Envelope, PublicKey } from '../../../protocols/peer-exchange/messages.ts'
import type { Frame } from '../../../protocols/peer-exchange/messages.ts'
import type { SelfFacts } from '../../../protocols/peer-exchange/record.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../protocols/kernel/rng.ts'
import { notation } from '../../../src/drivers/overlay-records.ts'

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
  sentBytes = 0
  up = true

  constructor(name: string, rng: Rng) {
    this.persona = persona(name)
    this.overlay = makeOverlay({
      self: this.peer,
      networkId: NETWORK,
      scope: { loopback: false, subnets: [] },
      notation,
      rng,
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
  readonly #rng: Rng
  readonly #events: Event[] = []
  #numbers = 0

  constructor(seed: number) {
    this.#rng = seededRng(seed)
  }

  /** A node that joins through others. */
  join(name: string, bootstraps: VirtualNode[] = [], more: Partial<SelfFacts> = {}): VirtualNode {
    const node = new VirtualNode(name, seededRng(this.#rng() * 2 ** 32))
    this.nodes.push(node)
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

  runFor(ms: number): void {
    const end = this.now + ms
    for (;;) {
      this.#events.sort((a, b) => a.at - b.at || a.number - b.number)
      const next = this.#events[0]
      const wake = this.#nextWake()
      const at = Math.min(next?.at ?? Infinity, wake?.at ?? Infinity)
      if (at > end) break
      this.now = Math.max(this.now, at)
      if (next !== undefined && next.at <= at) (this.#events.shift() as Event).run()
      else wake?.run()
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
    if (!node.up) return
    for (const output of node.overlay.step(input, this.now)) this.#perform(node, output)
  }

  link(a: VirtualNode, b: VirtualNode): void {
    if (!a.up || !b.up || a.links.has(b)) return
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
        return this.feed(node, {
          type: 'signed',
          seq: output.seq,
          envelope: node.persona.seal(output.payload),
        })
      case 'verify':
        return this.#soon(1, () =>
          this.feed(node, { type: 'verified', job: output.job, valid: isGenuine(output.signed) }),
        )
      case 'ask':
        return this.#carry(node, output.peer, output.frame, output.exchange)
      case 'tell':
        return this.#carry(node, output.peer, output.frame)
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

  #release(node: VirtualNode, peer: string): void {
    const other = this.#find(peer)
    if (other !== undefined) this.#soon(0, () => this.#unlink(node, other))
  }

  /** A frame to a peer and its answer back, each 20 to 80 ms on the way, as bytes. */
  #carry(from: VirtualNode, peer: string, frame: Frame, exchange?: number): void {
    const to = this.#find(peer)
    const answer = (reply: Frame | undefined) => {
      if (exchange === undefined) return
      this.#soon(this.#latency(), () =>
        this.feed(from, { type: 'answer', exchange, frame: reply && this.#onTheWire(to, reply) }),
      )
    }
    if (to === undefined || !from.links.has(to)) return answer(undefined)
    const arrived = this.#onTheWire(from, frame)
    this.#soon(this.#latency(), () => {
      if (!to.up) return answer(undefined)
      const request: Input = { type: 'request', exchange: 0, peer: from.peer, frame: arrived }
      for (const output of to.overlay.step(request, this.now)) {
        if (output.type === 'reply') answer(output.frame)
        else this.#perform(to, output)
      }
    })
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
      const to = this.#find(peer)
      if (to?.up) this.link(node, to)
      this.feed(node, { type: to?.up ? 'dial-done' : 'dial-failed', peer })
    })
  }

  #nextWake(): { at: number; run(): void } | undefined {
    let earliest: { at: number; run(): void } | undefined
    const offer = (at: number | undefined, run: () => void) => {
      if (at !== undefined && (earliest === undefined || at < earliest.at)) earliest = { at, run }
    }
    for (const node of this.nodes) {
      if (!node.up) continue
      offer(node.overlay.nextWake(), () => this.feed(node, { type: 'tick' }))
    }
    return earliest
  }

  #soon(ms: number, run: () => void): void {
    this.#events.push({ at: this.now + ms, number: ++this.#numbers, run })
  }

  #latency(): number {
    return 20 + 60 * this.#rng()
  }

  #find(peer: string): VirtualNode | undefined {
    return this.nodes.findLast((one) => one.peer === peer)
  }
}
