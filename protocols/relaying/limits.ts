/** Every number of keeping relays, with its reason. */
export const KEEPER_LIMITS = {
  /** Two: one relay may restart without our vanishing. More only costs others' slots. */
  wanted: 2,
  /** Enough for a choice of networks; gossip may name thousands. */
  maxCandidates: 64,
  /** A dial of up to 8 s and the 5 s the stock store allows a reservation, and a little. */
  answerMs: 14_000,
  /** A relay that we held and lost is asked again this soon: its restart often takes no longer. */
  returnMs: 700,
  /** Unreachable: double from one second, but stay below the patience of a waiting user. */
  unreachable: { firstMs: 1_000, maxMs: 30_000 },
  /** Refused or no relay at all: nothing changes within seconds, and asking again costs it work. */
  refused: { firstMs: 5_000, maxMs: 300_000 },
} as const

/** Every number of serving as a relay, with its reason. */
export const SERVING_LIMITS = {
  /** One reservation is an idle connection and a map entry; more would need more file descriptors. */
  maxReservations: 512,
  /** NATs, offices and containers share addresses: a household fits, a farm does not. */
  maxReservationsPerIp: 16,
  /** A peer talks to a handful of others while its punches run. */
  maxCircuitsPerPeer: 16,
  /** Together with the connections that carry them, below the usual 1,024 descriptors. */
  maxCircuits: 512,
  /**
   * Only a backstop, as slots are freed when a client's last connection closes. Above 10 minutes the
   * stock client renews 5 minutes ahead; below, every 30 seconds.
   */
  reservationTtlMs: 30 * 60_000,
  /** Two symmetric NATs have nothing but this path: long enough for a session, not for ever. */
  circuitSeconds: 30 * 60,
  /** For each direction: a page, a file, a chat; not a film for strangers at our expense. */
  circuitBytes: 128 * 1024 * 1024,
} as const

/** What one circuit may use. */
export interface CircuitLimit {
  seconds: number
  /** For each direction. */
  bytes: number
}
