import type { Instant } from '../kernel/machine.ts'

/**
 * Every bound of the birthday search. `inFlight` and `openAfterMs` were found with test/lab/birthday.ts; the others are arithmetic
 * or politeness, and were only seen to work there.
 */
export const SEARCH = {
  /**
   * Connections that the opening side makes: with the probes below, 99.7 % of searches find a port of 64,512. Refused ones are
   * replaced, up to as many again.
   */
  sockets: 256,
  /** SYNs that the probing side sends: half as many leave 5 % unfound, twice as many gain nothing that shows. */
  probes: 1_500,
  /** A SYN has 60 bytes: 0.7 Mbit/s for a second, which the slowest uplink carries beside other traffic. */
  probesPerSecond: 1_500,
  /** The last socket leaves half a second after the first, when most ports have been probed. */
  socketsPerSecond: 512,
  /**
   * Probing sockets stay open until the search is over, all of them: with 24 kept open, 1 of 24 searches succeeded, with 512
   * 40 of 43, with all 32 of 32. The likely reason: Linux routers remember the SYN's sequence number, and drop the answer of
   * a listener, which has another.
   */
  inFlight: 1_500,
  /**
   * The opening side waits this long after the probing side began: not at all. Whichever SYN of a pair comes second meets the
   * first, unless a router answered that one with RST; then the pause below helps, and nobody else has to wait.
   */
  openAfterMs: 0,
  /**
   * On its first refusal the opening side waits until most ports were probed: the probing side's router answers
   * strangers with RST. What was lost until then, a round trip's worth of sockets, is opened again.
   */
  refusedPauseMs: 700,
  /** After the last socket: a lost SYN is sent again after one second, and answered within a round trip across the world. */
  patienceMs: 1_500,

  /** Searches towards one address may not follow each other faster: its router must not be kept busy by us. A burst fits between. */
  pauseMs: 6_000,
  /** With one peer: a second try, a third after a change of networks; what fails then will fail again. */
  perPeerPerHour: 6,
  /** With all peers: 30 × 1,500 SYNs an hour are 12 a second, were they spread. */
  perHour: 30,
  /** A search whose end nobody told holds its place no longer than this. */
  mostMs: 10_000,
} as const

/** Why a search may not begin now. */
export type SearchRefusal = 'busy' | 'pause' | 'peer-limit' | 'node-limit'

interface Search {
  readonly at: Instant
  readonly peer: string
  readonly ip: string
}

const HOUR_MS = 3_600_000

/** Admits searches: one at a time, with a pause between two towards one address, and so many an hour. */
export class SearchBudget {
  // Those of the last hour, so never more than `perHour`.
  #searches: Search[] = []
  #busyUntil: Instant = -Infinity

  /** Takes a search out of the budget, or says why not. */
  take(now: Instant, peer: string, ip: string): 'ok' | SearchRefusal {
    this.#searches = this.#searches.filter(({ at }) => now - at < HOUR_MS)
    const refusal = this.#refusal(now, peer, ip)
    if (refusal !== undefined) return refusal
    this.#searches.push({ at: now, peer, ip })
    this.#busyUntil = now + SEARCH.mostMs
    return 'ok'
  }

  /** The search that was admitted last is over. */
  over(): void {
    this.#busyUntil = -Infinity
  }

  #refusal(now: Instant, peer: string, ip: string): SearchRefusal | undefined {
    if (now < this.#busyUntil) return 'busy'
    if (this.#searches.some((past) => past.ip === ip && now - past.at < SEARCH.pauseMs))
      return 'pause'
    if (this.#searches.length >= SEARCH.perHour) return 'node-limit'
    const ofPeer = this.#searches.filter((past) => past.peer === peer).length
    return ofPeer >= SEARCH.perPeerPerHour ? 'peer-limit' : undefined
  }
}
