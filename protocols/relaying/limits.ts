/** Every number of keeping relays, with its reason. */
export const KEEPER_LIMITS = {
  /** Two: one relay may restart without our vanishing. More only costs others' slots. */
  wanted: 2,
  /** Connected but not reserved: when a relay goes, its successor is one round trip away, not a handshake. */
  warm: 1,
  /** Held, asked and reached for at once: the wanted ones, and as many to take their places. */
  most: 4,
  /** Enough for a choice of networks; gossip may name thousands. */
  maxCandidates: 64,
  /** A direct connection: a dial of up to 6 s and its handshake, and what identify may take. */
  reachMs: 9_000,
  /** One round trip; the stock store gives up after 5 s. */
  answerMs: 6_000,
  /** A relay that we held and lost is asked again this soon, ± 40 %: its restart often takes no longer. */
  returnMs: 700,
  /** For so long: a program is back within it, a host that boots is not. 30 SYNs hurt nobody. */
  returnForMs: 20_000,
  /** Losses in a row, each soon after a grant, that are met with haste: beyond, it is the relay's way. */
  hastyReturns: 3,
  /** Held for so long, a relay has proved that it does not drop us at once. */
  steadyMs: 30_000,
  /** Unreachable: double from one second, but stay below the patience of a waiting user. */
  unreachable: { firstMs: 1_000, maxMs: 30_000 },
  /** Refused or no relay at all: nothing changes within seconds, and asking again costs it work. */
  refused: { firstMs: 5_000, maxMs: 300_000 },
  /** It passes nothing on: an attack or a broken host, and each try makes us unreachable there for seconds. */
  silent: { firstMs: 300_000, maxMs: 3_600_000 },
  /** The same, of the only one: being reached now and then is better than never. */
  silentAlone: { firstMs: 1_000, maxMs: 300_000 },
  /** A renewal that failed: several tries fit into what is left of the reservation. */
  renewal: { firstMs: 10_000, maxMs: 120_000 },
  /** Renewed when a third of its time is left: three tries before the end. */
  renewShare: 1 / 3,
  /** At most so long ahead: the stock client renews nothing that holds for more than ten minutes yet. */
  renewAheadMs: 9 * 60_000,
  /** A test costs the relay half a kilobyte. Visitors do not count as one: who is in league with it could vouch for it. */
  testEveryMs: 60_000,
  /** After a failure: lost frames and a busy relay are over by then. */
  retestMs: 1_000,
  /** Failed tests in a row that end it; from the first on, another relay is asked. */
  silentTests: 2,
  /** What cannot be tested at this moment, as the relay is at its limit, or says so. */
  unclearMs: 15_000,
  /** So often in a row: whoever denies every test may swallow as well as one that fails them. */
  unclearTests: 4,
  /** Whether another relay is better by far is looked at this rarely: addresses should last. */
  reviewMs: 10 * 60_000,
} as const

/** What makes a relay better than another, in milliseconds of round trip. */
export const COST = {
  /** The round trip assumed of a relay that was never measured: between near and far. */
  unmeasuredMs: 200,
  /** The same of the way from the relay to those that visit us. */
  beyondMs: 100,
  /** Sharing a network with a relay in use: they would fail together. */
  sameGroupMs: 500,
  /** Each failed try in a row. */
  failureMs: 1_000,
  /** Fewer than a quarter of its slots are free: it may refuse, and be slow. */
  nearlyFullMs: 100,
  /** None is free, as it says itself: asked last. */
  fullMs: 1_000,
  /** It relays for us without limit, or it served us before. */
  bonusMs: 100,
  /** A held relay is given up for one whose cost is below this share of its own… */
  betterShare: 0.5,
  /** …and lower by this: nobody feels less. */
  betterMs: 150,
} as const

/** Every number of serving as a relay, with its reason. */
export const SERVING_LIMITS = {
  /** The most, whatever the host has; more connections than this and their visitors need another program. */
  maxReservations: 512,
  /** NATs, offices and containers share addresses: a household fits, a farm does not. */
  maxReservationsPerIp: 16,
  /** Of a public /24 or /48, which one party can own: a quarter of what one address each would give it. */
  maxReservationsPerNetwork: 64,
  /** Together with the connections that carry them, below the usual 1,024 descriptors. */
  maxCircuits: 512,
  /** A peer talks to a handful of others while its punches run. Counted at both ends. */
  maxCircuitsPerPeer: 16,
  /** Four busy peers behind one NAT. Counted at the end that asks, as the other has no say. */
  maxCircuitsPerIp: 64,
  /** A quarter of all. */
  maxCircuitsPerNetwork: 128,
  /** From one address to one peer: races make two or three; more would take the places of everybody else. */
  maxCircuitsPerPair: 8,
  /**
   * Only a backstop, as slots are freed when a client's last connection closes. Above 10 minutes the
   * stock client renews 5 minutes ahead; below, every 30 seconds.
   */
  reservationTtlMs: 30 * 60_000,
  /** Reservation requests of one peer: a renewal takes one in twenty minutes, a lost connection another. */
  reservationRequests: { burst: 16, perSecond: 0.1 },
  /** Of one address: 16 peers that come back at once, several times. */
  reservationRequestsPerIp: { burst: 128, perSecond: 2 },
  /** Requests that are being answered, of one peer; each may hold a stream open for `requestMs`. */
  maxRequestsPerPeer: 16,
  /** Of all together: a restarted relay hears from all its clients within a second. */
  maxRequests: 512,
  /** How long one request may take; the stock server allows 30 s. */
  requestMs: 10_000,
  /** Circuits from a peer to itself, by which it tests whether we pass anything on. */
  maxTests: 64,
  /** Of one peer: the one before may not be over yet. */
  maxTestsPerPeer: 2,
  /** A question and an answer, and their frames. */
  test: { seconds: 10, bytes: 1_024 },
  /** Members that are not of a private network. Two symmetric NATs have nothing but this path. */
  member: { seconds: 30 * 60, bytes: 128 * 1024 * 1024 },
  /** Peers of other networks: enough to meet and punch, which is all that other relays give as well. */
  stranger: { seconds: 2 * 60, bytes: 128 * 1024 },
  /** The least worth promising; below it a circuit is refused. Each direction. */
  leastBytes: 64 * 1024,
  /** Bytes of a circuit that are charged at once: a look at five budgets for every packet would cost more than passing it on. */
  chargeBytes: 64 * 1024,
  /**
   * Bytes, both directions together, charged to the end that asks for the circuit: a film in a sitting, then two
   * gigabytes a day. An address and a network get what two and eight of their peers would.
   */
  bytesPerPeer: { burst: 1024 ** 3, perSecond: 24 * 1024 },
  bytesPerIp: { burst: 2 * 1024 ** 3, perSecond: 48 * 1024 },
  bytesPerNetwork: { burst: 8 * 1024 ** 3, perSecond: 192 * 1024 },
  /** The end that is called: one popular peer cannot use up everything. */
  bytesPerTarget: { burst: 4 * 1024 ** 3, perSecond: 256 * 1024 },
  /** All together: at most 2.6 TB a month, below what small hosts are sold with. */
  bytesTotal: { burst: 16 * 1024 ** 3, perSecond: 1024 ** 2 },
  /** Accounts remembered, so that leaving and coming back changes nothing; about 200 bytes each. */
  maxAccounts: 8_192,
} as const

/** What a host is asked to give, with its reason. */
export const CAPACITY_LIMITS = {
  /** A connection with its reservation, measured (`npm run bench -- relay`) and rounded up. */
  bytesPerReservation: 256 * 1024,
  /** The buffers of two streams in use; what waits for a slow reader is bounded by its window. */
  bytesPerCircuit: 512 * 1024,
  /** Of the memory that is free: the rest belongs to links, services and whatever else runs there. */
  memoryShare: 0.5,
  /** Of the file descriptors: visitors' connections need as many as reservations. */
  filesShare: 0.5,
  /** Of connections: the same. */
  connectionsShare: 0.5,
  /**
   * A visitor would notice: what is there is served, nothing is added. Not the load itself is judged: a crowd that comes
   * back after a restart keeps a host fully occupied for seconds, and waits only tens of milliseconds.
   */
  busyLagMs: 250,
} as const

/** What one circuit may use. */
export interface CircuitLimit {
  seconds: number
  /** For each direction. */
  bytes: number
}
