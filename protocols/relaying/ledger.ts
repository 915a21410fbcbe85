import { networksOf, scopeOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import { Accounts, Tally } from './accounts.ts'
import type { Capacity } from './capacity.ts'
import { SERVING_LIMITS } from './limits.ts'
import type { CircuitLimit } from './limits.ts'

/** One end of what is asked for: who it is, and the host its connection comes from. */
export interface Party {
  peer: string
  /** Absent: nobody knows, and only the peer is counted. */
  host?: string
}

/** Why a request is refused. */
export type Refusal =
  | 'full' // as many as this host can give
  | 'busy' // the host has no time left
  | 'too-many-of-address'
  | 'too-many-of-network'
  | 'too-often' // requests of the peer, or of its address
  | 'too-many-requests' // that are being answered at this moment
  | 'too-many-circuits' // of one of both peers, or between them
  | 'bytes-used-up' // of one of the budgets

/** A circuit that was promised: to whom, and how much. */
export interface Grant {
  readonly source: Party
  readonly target: string
  /** Undefined: without limit. */
  readonly limit: CircuitLimit | undefined
}

/** What one party may have: reservations and circuits at a time, bytes when its budget is full. */
interface Share {
  reservations: number
  circuits: number
  bytes: number
}

/** What is left of what this relay gives, for status and metrics. */
export interface Budgets {
  reservations: { used: number; limit: number }
  circuits: { used: number; limit: number }
  bytes: { left: number; limit: number; perSecond: number }
  perPeer: Share
  perAddress: Share
  perNetwork: Share
  limitedBy: Capacity['limitedBy']
  busy: boolean
  refused: Partial<Record<Refusal, number>>
}

const ALL = 'all'

/**
 * Who holds and uses what of a relay, and whether more fits: reservations, requests, circuits and bytes, by peer, by
 * address and by network. Knows nothing of streams; it is told what begins and ends.
 */
export class Ledger {
  #capacity: Capacity
  readonly #holders = new Map<string, Party>()
  readonly #reservations = new Tally()
  readonly #circuits = new Tally()
  readonly #requests = new Tally()
  readonly #asked = new Accounts(SERVING_LIMITS.reservationRequests)
  readonly #askedOfIp = new Accounts(SERVING_LIMITS.reservationRequestsPerIp)
  readonly #bytes = {
    peer: new Accounts(SERVING_LIMITS.bytesPerPeer),
    ip: new Accounts(SERVING_LIMITS.bytesPerIp),
    network: new Accounts(SERVING_LIMITS.bytesPerNetwork),
    target: new Accounts(SERVING_LIMITS.bytesPerTarget),
  }
  readonly #bytesTotal: TokenBucket
  readonly #refused = new Map<Refusal, number>()

  constructor(capacity: Capacity, now: Instant) {
    this.#capacity = capacity
    this.#bytesTotal = new TokenBucket(SERVING_LIMITS.bytesTotal, now)
  }

  /** The host has been measured again. */
  resize(capacity: Capacity): void {
    this.#capacity = capacity
  }

  /** A request begins to be answered; to be ended with `answered` unless refused. */
  ask(peer: string): Refusal | undefined {
    const { maxRequests, maxRequestsPerPeer } = SERVING_LIMITS
    const many = this.#requests.of(ALL) >= maxRequests
    if (many || this.#requests.of(of.peer(peer)) >= maxRequestsPerPeer) {
      return this.#refuse('too-many-requests')
    }
    for (const name of [ALL, of.peer(peer)]) this.#requests.add(name)
    return undefined
  }

  answered(peer: string): void {
    for (const name of [ALL, of.peer(peer)]) this.#requests.remove(name)
  }

  /** Whether one more reservation fits. A renewal always does, unless it is asked for without pause. */
  admitReservation(party: Party, now: Instant): Refusal | undefined {
    const { peer, host } = party
    const often =
      !this.#asked.take(peer, 1, now) || (host !== undefined && !this.#askedOfIp.take(host, 1, now))
    if (often) return this.#refuse('too-often')
    if (this.#holders.has(peer)) return undefined
    if (this.#capacity.busy) return this.#refuse('busy')
    if (this.#holders.size >= this.#capacity.reservations) return this.#refuse('full')
    if (host === undefined) return undefined
    if (this.#reservations.of(of.ip(host)) >= SERVING_LIMITS.maxReservationsPerIp) {
      return this.#refuse('too-many-of-address')
    }
    const most = SERVING_LIMITS.maxReservationsPerNetwork
    const crowded = networks(host).some((name) => this.#reservations.of(name) >= most)
    return crowded ? this.#refuse('too-many-of-network') : undefined
  }

  reserved(party: Party): void {
    if (this.#holders.has(party.peer)) return
    this.#holders.set(party.peer, party)
    for (const name of placesOf(party)) this.#reservations.add(name)
  }

  released(peer: string): void {
    const party = this.#holders.get(peer)
    if (party === undefined || !this.#holders.delete(peer)) return
    for (const name of placesOf(party)) this.#reservations.remove(name)
  }

  /**
   * Promises a circuit: at most what every budget of both ends has left. Several circuits share a budget, so it may be
   * used up sooner; what flows is charged by `carried`, which tells.
   */
  openCircuit(
    source: Party,
    target: string,
    wanted: CircuitLimit | undefined,
    now: Instant,
  ): Grant | Refusal {
    const refusal = this.#countCircuit(source, target)
    if (refusal !== undefined) return this.#refuse(refusal)
    const limit = wanted && {
      ...wanted,
      bytes: Math.min(wanted.bytes, Math.floor(this.#left(source, target, now) / 2)),
    }
    if (
      limit !== undefined &&
      limit.bytes < Math.min(SERVING_LIMITS.leastBytes, wanted?.bytes ?? 0)
    ) {
      return this.#refuse('bytes-used-up')
    }
    for (const name of circuitNames(source, target)) this.#circuits.add(name)
    return { source, target, limit }
  }

  /** So many bytes went over a circuit, in either direction; false when a budget has no more. */
  carried({ source, target, limit }: Grant, bytes: number, now: Instant): boolean {
    if (limit === undefined) return true
    const enough = this.#left(source, target, now) >= bytes
    this.#bytesTotal.take(bytes, now)
    for (const [accounts, name] of this.#accounts(source, target)) accounts.take(name, bytes, now)
    return enough
  }

  /** The circuit is over. */
  closeCircuit({ source, target }: Grant): void {
    for (const name of circuitNames(source, target)) this.#circuits.remove(name)
  }

  /** Circuits from a peer to itself: they relay nothing, and are few and small. */
  openTest(peer: string): Refusal | undefined {
    const { maxTests, maxTestsPerPeer } = SERVING_LIMITS
    const own = this.#circuits.of(of.test(peer)) >= maxTestsPerPeer
    if (own || this.#circuits.of(of.test(ALL)) >= maxTests) {
      return this.#refuse('too-many-circuits')
    }
    for (const name of [of.test(ALL), of.test(peer)]) this.#circuits.add(name)
    return undefined
  }

  closeTest(peer: string): void {
    for (const name of [of.test(ALL), of.test(peer)]) this.#circuits.remove(name)
  }

  budgets(now: Instant): Budgets {
    const { reservations, circuits, limitedBy, busy } = this.#capacity
    const { burst, perSecond } = SERVING_LIMITS.bytesTotal
    return {
      reservations: { used: this.#holders.size, limit: reservations },
      circuits: { used: this.#circuits.of(ALL), limit: circuits },
      bytes: { left: Math.floor(this.#bytesTotal.left(now)), limit: burst, perSecond },
      perPeer: {
        reservations: 1,
        circuits: SERVING_LIMITS.maxCircuitsPerPeer,
        bytes: SERVING_LIMITS.bytesPerPeer.burst,
      },
      perAddress: {
        reservations: SERVING_LIMITS.maxReservationsPerIp,
        circuits: SERVING_LIMITS.maxCircuitsPerIp,
        bytes: SERVING_LIMITS.bytesPerIp.burst,
      },
      perNetwork: {
        reservations: SERVING_LIMITS.maxReservationsPerNetwork,
        circuits: SERVING_LIMITS.maxCircuitsPerNetwork,
        bytes: SERVING_LIMITS.bytesPerNetwork.burst,
      },
      limitedBy,
      busy,
      refused: Object.fromEntries(this.#refused),
    }
  }

  #countCircuit(source: Party, target: string): Refusal | undefined {
    const limits = SERVING_LIMITS
    if (this.#capacity.busy) return 'busy'
    if (this.#circuits.of(ALL) >= this.#capacity.circuits) return 'full'
    for (const peer of [source.peer, target]) {
      if (this.#circuits.of(of.peer(peer)) >= limits.maxCircuitsPerPeer) return 'too-many-circuits'
    }
    if (this.#circuits.of(of.pair(source, target)) >= limits.maxCircuitsPerPair) {
      return 'too-many-circuits'
    }
    if (source.host === undefined) return undefined
    if (this.#circuits.of(of.ip(source.host)) >= limits.maxCircuitsPerIp) {
      return 'too-many-of-address'
    }
    const most = limits.maxCircuitsPerNetwork
    const crowded = networks(source.host).some((name) => this.#circuits.of(name) >= most)
    return crowded ? 'too-many-of-network' : undefined
  }

  /** Of the tightest budget. */
  #left(source: Party, target: string, now: Instant): number {
    const left = this.#accounts(source, target).map(([accounts, name]) => accounts.left(name, now))
    return Math.min(this.#bytesTotal.left(now), ...left)
  }

  #accounts({ peer, host }: Party, target: string): [Accounts, string][] {
    const { peer: ofPeer, ip, network, target: ofTarget } = this.#bytes
    const places: [Accounts, string][] =
      host === undefined
        ? []
        : [[ip, host], ...networks(host).map((name): [Accounts, string] => [network, name])]
    return [[ofPeer, peer], [ofTarget, target], ...places]
  }

  #refuse(refusal: Refusal): Refusal {
    this.#refused.set(refusal, (this.#refused.get(refusal) ?? 0) + 1)
    return refusal
  }
}

/** Names in one tally that cannot be taken for one another. */
const of = {
  peer: (peer: string) => `peer ${peer}`,
  ip: (host: string) => `ip ${host}`,
  pair: ({ peer, host }: Party, target: string) => `pair ${host ?? peer} ${target}`,
  test: (peer: string) => `test ${peer}`,
}

/** The network of a public address: private ones are one's own network, where everybody is a neighbour. */
function networks(host: string): string[] {
  const network = scopeOf(host) === 'public' ? networksOf(host)?.narrow : undefined
  return network === undefined ? [] : [`network ${network}`]
}

function placesOf({ host }: Party): string[] {
  return host === undefined ? [] : [of.ip(host), ...networks(host)]
}

function circuitNames(source: Party, target: string): string[] {
  const peers = [of.peer(source.peer), of.peer(target), of.pair(source, target)]
  return [ALL, ...peers, ...placesOf(source)]
}
