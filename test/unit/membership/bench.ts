import assert from 'node:assert/strict'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { Membership } from '../../../protocols/membership/membership.ts'
import type { Input, Output } from '../../../protocols/membership/membership.ts'
import { AddressBook } from '../../../protocols/peer-exchange/address-book.ts'
import type { BookEntry } from '../../../protocols/peer-exchange/address-book.ts'
import type { Frame, NeighbourVerdict } from '../../../protocols/peer-exchange/messages.ts'
import { Sampler } from '../../../protocols/peer-exchange/sampler.ts'
import { idOf, learnt } from '../peer-exchange/records.ts'

/** Long after 1970: 0 stands for never in the book. */
export const START = 1_000_000_000

/** An address of its own for every name, in an address group of its own. */
export function addressOf(peer: string): string {
  const id = idOf(peer)
  return `/ip4/${20 + (id % 60)}.${(id >> 8) & 255}.7.7/tcp/4001`
}

/**
 * A membership whose dials are answered at once by those whom `reaches` names, whose greetings and pulls succeed, and
 * whose requests are answered as `verdict` says. A book and a sampler of its own hold whom it was told of.
 */
export class Bench {
  now = START
  readonly book: AddressBook
  readonly sampler: Sampler<BookEntry>
  readonly machine: Membership
  readonly out: (Output & { at: number })[] = []
  /** Whether links come over relays that limit them. */
  limited = false
  reaches: (peer: string) => boolean = () => true
  verdict: (peer: string) => NeighbourVerdict | undefined = () => 'accepted'
  #exchanges = 0
  #waiting: Input[] = []

  constructor(self = 'm', { seed = 1, trusted = false } = {}) {
    const rng = seededRng(seed)
    this.book = new AddressBook(self, { loopback: false, subnets: [] })
    this.sampler = new Sampler(rng, this.book.mortality)
    const { book, sampler } = this
    const known = { book, sampler, alternativesFor: () => [] }
    this.machine = new Membership({
      self,
      rng,
      known,
      nextExchange: () => ++this.#exchanges,
      trusted,
    })
  }

  /** Returns what came of it. */
  feed(input: Input): Output[] {
    const before = this.out.length
    this.#waiting.push(input)
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      for (const output of this.machine.step(next, this.now)) {
        this.out.push({ ...output, at: this.now })
        this.#waiting.push(...this.#answers(output))
      }
    }
    return this.out.slice(before)
  }

  #answers(output: Output): Input[] {
    switch (output.type) {
      case 'dial': {
        const { peer } = output
        if (!this.reaches(peer)) return [{ type: 'dial-failed', peer }]
        const address = addressOf(peer)
        return [this.#link(peer, true, address), { type: 'greeted', peer }]
      }
      case 'pull':
        this.book.reached(output.peer, this.now)
        return [{ type: 'pulled', peer: output.peer }]
      case 'ask': {
        const verdict = this.verdict(output.peer)
        const frame: Frame | undefined =
          verdict && ({ type: 'neighbourAck', verdict, retryS: 0, entries: [] } as const)
        return [{ type: 'answer', exchange: output.exchange, frame }]
      }
      case 'missed':
        this.book.missed(output.peer, this.now)
        return []
      case 'release':
        return [{ type: 'unlinked', peer: output.peer }]
      default:
        return []
    }
  }

  #link(peer: string, dialled: boolean, address?: string): Input {
    const path = this.limited ? 'relayed' : 'direct'
    const rest = address === undefined || this.limited ? {} : { address }
    return { type: 'linked', peer, path, limited: this.limited, dialled, ...rest }
  }

  /** A peer comes to us and greets. */
  comes(peer: string, address = addressOf(peer)): void {
    this.feed(this.#link(peer, false, address))
    this.feed({ type: 'greeted', peer })
  }

  /** A peer that came asks to be our neighbour; returns what it is told. */
  asks(peer: string, isolated = false): NeighbourVerdict {
    const frame = { type: 'neighbourReq', isolated } as const
    const replies = this.feed({ type: 'request', exchange: 0, peer, frame }).filter(
      ({ type }) => type === 'reply',
    )
    const [reply] = replies
    assert.equal(replies.length, 1)
    assert.ok(reply?.type === 'reply' && reply.frame?.type === 'neighbourAck')
    return reply.frame.verdict
  }

  pass(ms: number): void {
    const end = this.now + ms
    let steps = 0
    for (
      let at = this.machine.nextWake();
      at !== undefined && at <= end;
      at = this.machine.nextWake()
    ) {
      assert.ok(++steps < 20_000, 'it wakes without end')
      this.now = Math.max(this.now, at)
      this.feed({ type: 'tick' })
    }
    this.now = end
  }

  start(...bootstraps: string[]): Output[] {
    const named = bootstraps.map((peer) => ({ peer, addresses: [addressOf(peer)] }))
    return this.feed({ type: 'start', bootstraps: named })
  }

  know(peer: string, { dependable = true, addresses = [addressOf(peer)], seq = 1 } = {}): Output[] {
    const reachability = dependable ? 'public' : 'private'
    const direct = addresses.map((address) => ({ address, kind: 'direct' as const }))
    const one = learnt(peer, { issuedAt: this.now, reachability, addresses: direct, seq })
    this.book.put({ ...one, record: { ...one.record, ttlMs: 10 ** 9 } }, this.now)
    const entry = this.book.get(peer)
    if (entry !== undefined) this.sampler.offer(entry)
    return this.feed({ type: 'known', peer })
  }

  dials(peer?: string): number[] {
    return this.out.flatMap((one) =>
      one.type === 'dial' && (peer === undefined || one.peer === peer) ? [one.at] : [],
    )
  }

  dialled(): Set<string> {
    return new Set(this.out.flatMap((one) => (one.type === 'dial' ? [one.peer] : [])))
  }

  of<T extends Output['type']>(type: T): (Extract<Output, { type: T }> & { at: number })[] {
    return this.out.flatMap((one) => (one.type === type ? [one as never] : []))
  }

  roles(role: 'chosen' | 'accepted'): string[] {
    return this.machine.neighbours().flatMap((one) => (one.role === role ? [one.peer] : []))
  }
}

export const names = (count: number, prefix = 'p') =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)
