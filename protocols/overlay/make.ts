import type { Instant } from '../kernel/machine.ts'
import { isDependable } from '../membership/candidates.ts'
import { Membership } from '../membership/membership.ts'
import type {
  Input as MembershipInput,
  Output as MembershipOutput,
} from '../membership/membership.ts'
import { PeerExchange } from '../peer-exchange/exchange.ts'
import type { Input as ExchangeInput, Output as ExchangeOutput } from '../peer-exchange/exchange.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import type { Input, Output, OverlayOptions, OverlayView, Role } from './overlay.ts'

/** The machine of one overlay node: peer exchange and membership, and what they tell each other. */
export class Overlay implements OverlayView {
  readonly exchange: PeerExchange
  readonly membership: Membership
  #exchanges = 0
  #now: Instant = 0

  constructor({ self, rng, trusted = false, ...rest }: OverlayOptions) {
    const nextExchange = () => ++this.#exchanges
    this.exchange = new PeerExchange({ self, rng, nextExchange, ...rest })
    this.membership = new Membership({ self, rng, known: this.exchange, nextExchange, trusted })
  }

  nextWake(): Instant | undefined {
    const [a, b] = [this.exchange.nextWake(), this.membership.nextWake()]
    return a === undefined || (b !== undefined && b < a) ? b : a
  }

  step(input: Input, now: Instant): readonly Output[] {
    const out: Output[] = []
    this.#now = now
    switch (input.type) {
      case 'tick':
        this.#tick(now, out)
        break
      case 'start':
        for (const address of this.#reachedBefore()) this.#member({ type: 'proven', address }, out)
        this.#member(input, out)
        break
      case 'dial-done':
      case 'dial-failed':
        this.#member(input, out)
        break
      case 'self':
        this.#exchange(input, out)
        this.#member({ type: 'self', dependable: isDependable({ record: input.facts }) }, out)
        break
      case 'linked':
        // Membership first: what it is about decides what a greeting leads to.
        this.#member(input, out)
        if (input.stranger !== true) this.#exchange(input, out)
        break
      case 'unlinked':
        this.#exchange(input, out)
        this.#member(input, out)
        break
      case 'request':
        this.#request(input, out)
        break
      case 'answer':
        this.#exchange(input, out)
        this.#member(input, out)
        break
      case 'leave':
        this.#member(input, out)
        this.#exchange(input, out)
        break
      default:
        this.#exchange(input, out)
    }
    return out
  }

  neighbours(): { peer: PeerKey; role: Role }[] {
    return this.membership.neighbours()
  }

  sample(): { peer: PeerKey; rankedBy: 'id' | 'group' }[] {
    return [...this.exchange.sampler.holders()].map(({ holder: { peer }, rankedBy }) => ({
      peer,
      rankedBy,
    }))
  }

  sizes(): { heard: number; reached: number; lost: number; linked: number } {
    const { book } = this.exchange
    const [heard, reached, lost] = [book.count('heard'), book.count('reached'), book.count('lost')]
    return { heard, reached, lost, linked: this.membership.contacts }
  }

  estimate(): number | undefined {
    return this.exchange.sampler.estimate()
  }

  get healing(): boolean {
    return this.membership.isHealing(this.#now)
  }

  #tick(now: Instant, out: Output[]): void {
    if ((this.exchange.nextWake() ?? Infinity) <= now) this.#exchange({ type: 'tick' }, out)
    if ((this.membership.nextWake() ?? Infinity) <= now) this.#member({ type: 'tick' }, out)
  }

  #request(input: Extract<Input, { type: 'request' }>, out: Output[]): void {
    const { frame, peer, exchange } = input
    if (frame.type !== 'neighbourReq' && frame.type !== 'neighbourEnd') this.#exchange(input, out)
    else if (this.exchange.isShunned(peer, this.#now)) {
      out.push({ type: 'reply', exchange, frame: undefined })
    } else this.#member({ type: 'request', exchange, peer, frame }, out)
  }

  #exchange(input: ExchangeInput, out: Output[]): void {
    for (const output of this.exchange.step(input, this.#now)) this.#fromExchange(output, out)
  }

  #member(input: MembershipInput, out: Output[]): void {
    for (const output of this.membership.step(input, this.#now)) this.#fromMembership(output, out)
  }

  #fromExchange(output: ExchangeOutput, out: Output[]): void {
    switch (output.type) {
      case 'greeted':
      case 'pulled':
        this.#member(output, out)
        break
      case 'found':
      case 'changed':
        out.push(output)
        this.#member({ type: 'known', peer: output.peer }, out)
        break
      default:
        out.push(output)
    }
  }

  #fromMembership(output: MembershipOutput, out: Output[]): void {
    switch (output.type) {
      case 'missed':
      case 'pull':
      case 'offered':
        this.#exchange(output, out)
        break
      case 'neighbour':
      case 'neighbour-lost':
        out.push(output)
        this.#exchange(output, out)
        break
      default:
        out.push(output)
    }
  }

  /** Addresses at which an earlier run reached a peer: no hearsay any more. */
  #reachedBefore(): string[] {
    const { book } = this.exchange
    return [...book.all()]
      .filter(({ reachedSince }) => reachedSince > 0)
      .flatMap(({ peer }) => book.addresses(peer).map(({ address }) => address))
  }
}

/** Makes the machine of one overlay node. */
export function makeOverlay(options: OverlayOptions): Overlay {
  return new Overlay(options)
}
