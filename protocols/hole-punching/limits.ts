/** Every bound of hole punching, with its reason; SPEC.md section 7 repeats those that others rely on. */
export const LIMITS = {
  /** A message: facts with a dozen endpoints fit twice. */
  messageBytes: 512,
  /** Endpoints that one side may name of each sort; more is no set of mappings but a list of somebody else's hosts. */
  external: 4,
  lan: 4,
  /** Port samples: what a handful of observers see. */
  ports: 16,

  /** Peers that are punched to at once; each costs a few sockets. */
  campaigns: 64,
  /** Asks of one peer in a minute: a campaign has at most six rounds, asked twice when a message is lost. */
  asksPerPeerPerMinute: 20,
  /** Asks of all peers in a second, so that many identities cannot make us a source of SYNs. */
  asksPerSecond: 8,
  asksBurst: 64,

  /**
   * Dials of one endpoint in one round. One that no relay of ours has vouched for may be anybody's: it gets a handful.
   * Routers that answer strangers with RST need repeats, at 60 ms on average for two seconds.
   */
  dialsVouched: 40,
  dialsUnvouched: 8,
  /** Of one such host, for all peers together: six rounds at once, then one in ten seconds. */
  unvouchedBurst: 48,
  unvouchedPerSecond: 0.8,

  /**
   * Pause after a refused dial: none to speak of. A router that refused our SYN takes the other side's for a stranger's for ten
   * seconds and refuses that; its own SYN keeps the other router open for one round trip, until that refusal is back. A refusal
   * comes one round trip after its SYN, so a SYN at once always falls into that time, and one after a pause only sometimes.
   */
  redialLeastMs: 0,
  redialSpreadMs: 2,
  /**
   * A dial without an answer is given up after this long. The kernel repeats a lost SYN after one second by itself, and it keeps
   * its sequence number, which routers have noted: a new socket's SYN, or a listener's answer in place of the old socket, is
   * dropped by Linux once the other side's SYN has passed. Shorter waits gained nothing at 2 % loss in test/sim.
   */
  dialMs: 2_500,
  /** Behind a symmetric NAT every dial has another port, so none of this applies: it is repeated after two round trips at most. */
  anewRoundTrips: 1.5,
  anewLeastMs: 150,

  /** What a round trip through a relay is taken to be until one was measured. */
  assumedRttMs: 150,
  mostRttMs: 3_000,
  /** An ask whose answer is overdue is sent again, through another carrier where there is one. */
  overdueRoundTrips: 2,
  overdueLeastMs: 150,
  asksPerRound: 3,
  /** One for each carrier that appears later on top. */
  asksMost: 6,

  /** How long a caller waits for something that can carry its first ask: a relayed connection on a slow path takes seconds. */
  carrierMs: 10_000,

  /** After a round the callee waits this long for the next: the caller ends it by its own clock, and its ask may be lost. */
  nextAskMs: 4_000,

  /**
   * A callee that is the server dials LAN addresses only after this long: the caller, as client, does so when it has our answer, and a
   * SYN of ours that overtakes the answer makes two servers, who wait for each other for seconds.
   */
  lanServerMs: 1_000,
  /** What a LAN address gets, after both have heard of it, before neighbours try their router's outside. */
  lanHeadStartMs: 100,

  /** A meeting needs one round trip, a handshake two; the rest is for a lost SYN, which the kernel repeats after one second. */
  meetRoundTrips: 8,
  meetLeastMs: 1_400,
  meetMostMs: 10_000,
  /** Before a search that is known to be needed, the meeting is only a try. */
  shortMeetRoundTrips: 5,
  shortMeetLeastMs: 400,
  /** Probing the ports takes a second, opening them a part of one. */
  searchMs: 2_000,
  /** The burst is the last simple method: it may take its time. */
  burstMs: 3_000,

  /** Attempts remembered for `explain`: of one peer, and peers in all. */
  attemptsPerPeer: 8,
  attemptPeers: 256,
  /** Pairs of external addresses whose winning method is remembered, and for how long. */
  memories: 512,
  memoryMs: 24 * 3_600_000,

  /**
   * Pauses before a relayed link is punched again, since identical tries at once add next to nothing. Not less than ten seconds: so
   * long do routers remember a pair of ports whose SYNs were refused, and a SYN within makes it ten more.
   */
  againMs: [12_000, 30_000, 120_000, 600_000, 1_800_000],
  /** Relayed links waiting for their next campaign. */
  waiting: 1_024,
  /** News of the own network, or of the peer's, start a campaign after this long: they come in bunches. */
  newsMs: 500,
} as const
