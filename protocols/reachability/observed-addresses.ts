import { networksOf, scopeOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import { LIMITS } from './limits.ts'

/** What one peer told us about where our connection came from. Addresses are canonical text. */
export interface Observation {
  connection: string
  observer: string
  observerIp: string
  ip: string
  port: number
  localIp: string
  localPort: number
  /** The observer is one that the operator chose. */
  trusted?: boolean
  at: Instant
  /** When the connection closed; undefined while it is open. */
  goneAt?: Instant
}

/** The endpoints that peers saw, most votes first, and how many voted at all. */
export interface Consensus {
  endpoints: { ip: string; port: number; votes: number; trusted: boolean }[]
  voters: number
  /** When the newest of them saw us. */
  at: Instant
}

/** Which observers can speak about which address: the internet, a local network, this host. */
export type Realm = 'public' | 'private' | 'loopback'

/** A bounded table of what peers saw, one vote a network. See SPEC.md section 2. */
export class ObservedAddresses {
  readonly #byConnection = new Map<string, Observation>()

  get size(): number {
    return this.#byConnection.size
  }

  add(observation: Observation): void {
    this.#byConnection.delete(observation.connection)
    this.#makeRoomFor(observation.observer)
    this.#byConnection.set(observation.connection, observation)
  }

  gone(connection: string, now: Instant): void {
    const known = this.#byConnection.get(connection)
    if (known !== undefined) known.goneAt ??= now
  }

  /** Forgets what left from a local address that exists no more. Returns how many that were. */
  dropLocal(keep: (ip: string) => boolean): number {
    return this.#drop((observation) => !keep(observation.localIp))
  }

  expire(now: Instant): void {
    this.#drop(({ goneAt }) => goneAt !== undefined && now >= goneAt + LIMITS.observationGoneMs)
  }

  nextExpiry(): Instant | undefined {
    let next: Instant | undefined
    for (const { goneAt } of this.#byConnection.values()) {
      if (goneAt !== undefined && (next === undefined || goneAt < next)) next = goneAt
    }
    return next === undefined ? undefined : next + LIMITS.observationGoneMs
  }

  /**
   * Counts votes of one realm. Open connections outvote closed ones altogether: after a change of
   * the router's address only they tell the truth.
   */
  consensus(family: 'ip4' | 'ip6', realm: Realm): Consensus {
    const fitting = [...this.#byConnection.values()].filter(
      (observation) => familyMatches(observation, family) && realmOf(observation) === realm,
    )
    const open = fitting.filter(({ goneAt }) => goneAt === undefined)
    return count(open.length > 0 ? open : fitting)
  }

  /** External ports that observers on the internet saw, the newest last. */
  externalPorts(family: 'ip4' | 'ip6'): number[] {
    return [...this.#byConnection.values()]
      .filter((seen) => familyMatches(seen, family) && realmOf(seen) === 'public')
      .sort((a, b) => a.at - b.at)
      .map(({ port }) => port)
  }

  /** Our own addresses that a peer of this realm saw us use. */
  sawUsAt(ip: string, realm: Realm): boolean {
    for (const seen of this.#byConnection.values()) {
      if (seen.ip === ip && realmOf(seen) === realm) return true
    }
    return false
  }

  #makeRoomFor(observer: string): void {
    const theirs = [...this.#byConnection.values()].filter((seen) => seen.observer === observer)
    if (theirs.length >= LIMITS.maxObservationsPerObserver) this.#forgetOldest(theirs)
    if (this.#byConnection.size >= LIMITS.maxObservations) {
      this.#forgetOldest([...this.#byConnection.values()])
    }
  }

  /** Witnesses whose connection is closed go first. */
  #forgetOldest(among: Observation[]): void {
    const gone = among.filter(({ goneAt }) => goneAt !== undefined)
    const oldest = (gone.length > 0 ? gone : among).reduce((a, b) => (b.at < a.at ? b : a))
    this.#byConnection.delete(oldest.connection)
  }

  #drop(unwanted: (observation: Observation) => boolean): number {
    let dropped = 0
    for (const observation of this.#byConnection.values()) {
      if (!unwanted(observation)) continue
      this.#byConnection.delete(observation.connection)
      dropped++
    }
    return dropped
  }
}

function familyMatches({ ip }: Observation, family: 'ip4' | 'ip6'): boolean {
  return ip.includes(':') === (family === 'ip6')
}

/** Undefined when observer and address do not fit: no honest peer sees us like that. */
function realmOf({ observerIp, ip }: Observation): Realm | undefined {
  const [from, seen] = [scopeOf(observerIp), scopeOf(ip)]
  if (from === 'public' && seen === 'public') return 'public'
  if (from === 'private' && seen === 'private') return 'private'
  if (from === 'loopback' && seen === 'loopback') return 'loopback'
  return undefined
}

/** One owner, one vote: an IPv4 address, or a /48 of IPv6. */
function voterOf(observerIp: string): string {
  return observerIp.includes(':') ? (networksOf(observerIp)?.narrow ?? observerIp) : observerIp
}

function count(observations: Observation[]): Consensus {
  const latest = new Map<string, Observation>()
  for (const observation of observations) {
    const voter = voterOf(observation.observerIp)
    const other = latest.get(voter)
    if (other === undefined || other.at <= observation.at) latest.set(voter, observation)
  }
  const tally = new Map<string, Counted>()
  for (const { ip, port, at, trusted = false } of latest.values()) {
    const key = `${ip} ${port}`
    const entry = tally.get(key) ?? { ip, port, votes: 0, trusted, first: at }
    tally.set(key, {
      ...entry,
      votes: entry.votes + 1,
      trusted: entry.trusted || trusted,
      first: Math.min(entry.first, at),
    })
  }
  // Ties go to whom the operator chose, then to who was seen first: a latecomer must outvote, not merely equal.
  const sorted = [...tally.values()].sort(
    (a, b) => b.votes - a.votes || Number(b.trusted) - Number(a.trusted) || a.first - b.first,
  )
  const endpoints = sorted.map(({ ip, port, votes, trusted }) => ({ ip, port, votes, trusted }))
  const at = Math.max(0, ...[...latest.values()].map((seen) => seen.at))
  return { endpoints, voters: latest.size, at }
}

type Counted = Consensus['endpoints'][number] & { first: Instant }
