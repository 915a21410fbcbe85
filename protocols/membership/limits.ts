/** How many neighbours a node keeps, and how hard it tries. */
export const limits = {
  /** Neighbours of one's own choosing. Five keep an overlay whole when most of it fails. */
  chosen: 5,
  /** Up to this many others everybody is everybody's neighbour: cheap, and every path is then one hop. */
  everybody: 7,
  /**
   * Neighbours that chose us. Far more than the five one expects: free places are what liars cannot exhaust easily.
   * Hidden nodes are found by fewer, and their lines are thinner.
   */
  accepted: { public: 64, hidden: 32 },
  /** So many are taken whoever comes; above, of one address group no more than two. */
  acceptedFreely: 16,
  acceptedOfGroup: 2,
  /** One in these ten minutes who says to be without neighbours takes the place of another when all are taken. */
  isolatedMs: 600_000,
  /** Nor are places of newcomers given to newcomers of luckier address groups more often than this. */
  replaceMs: 60_000,
  /** Requests of one peer: the first, one after a refusal, one after a restart; then one a minute. */
  requests: { burst: 3, perSecond: 1 / 60 },
  requesters: 256,
  /** When to ask again after a refusal. */
  retryMs: { full: 300_000, 'group-full': 1_800_000, 'too-often': 120_000, refused: 60_000 },
  /** A greeting, a request and their answers, over a slow path. */
  errandMs: 10_000,
  /** How long a relayed connection may take to become a direct one before somebody else is asked. */
  directMs: 15_000,
  /** No direct path to a peer: its NAT and ours will be the same for a while. */
  noDirectPathMs: 1_800_000,
  /** Candidates of one class, public or hidden, that are tried before the class is drawn again. */
  classTries: 4,

  /**
   * Visits see whether peers of the sample are there, and ask them. Each that finds somebody makes the pause before the next
   * half as long again; one that finds nobody is followed at once, and by shorter pauses: the more of the sample is
   * stale, the more is looked at. In the first hour (`mixingMs`), and while healing, the pause does not grow: a node that has not seen much is easily
   * shown only what liars want it to see.
   */
  visitMs: { first: 30_000, most: 300_000, least: 15_000, afterNobody: 5_000 },
  visitGrowth: 1.5,
  /**
   * Somebody whose address others claim as well is visited once in a day, and nobody knows when: of a thousand nodes seven in ten minutes.
   */
  contestedMs: 86_400_000,
  /** Somebody met this recently need not be visited; less long where peers are gone within this time with a chance of `doubt`. */
  metRecentlyMs: 3_600_000,
  doubt: 0.1,
  /** As often a visit goes to a lost peer, if there are any: it may be the other half of a split overlay. */
  lostMs: 900_000,
  /** When a lost peer may be visited again. */
  lostVisitsMs: [120_000, 600_000, 1_800_000, 7_200_000, 21_600_000],

  /**
   * One chosen neighbour is exchanged: often in the first hour, since it was chosen when little was known (less often where that is nearly
   * everybody, `small`), and rarely later, since old links are good ones.
   */
  rotateMs: { young: 180_000, small: 600_000, steady: 10_800_000, healing: 300_000 },
  mixingMs: 3_600_000,
  /** After a split links are mixed faster for an hour. */
  healingMs: 3_600_000,
  /** Signs of a split that has ended, within this time: lost peers that answer, bootstraps that do so again. */
  signs: 2,
  signsMs: 600_000,
  /** A bootstrap, or a peer that is not given up yet, must not have answered for this long for its answer to be a sign. */
  outOfReachMs: 300_000,
  /** The overlay seems to have grown by half at once: two halves have met. */
  growth: 1.5,

  dials: 4,
  /** While nearly alone. */
  urgentDials: 8,
  /** What bootstraps leave to peers from the book while both wait: neither may starve the other. */
  bootstrapDials: 2,
  /** With this many in the book whom we reached before, bootstraps wait for a moment at start. */
  bookEnough: 4,
  bookFirstMs: 3_000,
  /** A dial that says nothing for this long has failed. The driver gives up at `dialMs`, well before. */
  silentMs: 30_000,
  /** A relayed dial and a punch of several seconds fit. */
  dialMs: 15_000,

  /** A peer that cannot be reached. */
  backoff: { firstMs: 1_000, maxMs: 600_000 },
  /**
   * While nearly alone, and for bootstraps then: an outage must not be prolonged by our own patience. The first retry
   * is quick because nodes that are started together find each other not listening yet.
   */
  urgentBackoff: { firstMs: 250, maxMs: 60_000 },
  /** Fewer neighbours than this are nearly none. */
  enough: 2,
  /** A link that lasts this long was a success; a shorter one counts as another failed try. */
  provenMs: 30_000,
  /** Of two peers that learn of each other at once one dials; the other waits this long for it. */
  yieldMs: 2_000,
  /** Bootstraps we have no link to are called now and then, so that a split overlay finds together. */
  recontactMs: 600_000,
  recontactSpread: 0.5,
  /** All nodes together call one bootstrap no more often than this. */
  recontactsPerS: 5,
  /** When nobody is left to try: somebody may have become known, or rested, until then. */
  idleMs: 5_000,

  /** Before a bootstrap counts as unreachable: tries over about two seconds. */
  bootstrapTries: 4,
  /** Without any link for this long: alone. Covers a join at leisure. */
  aloneMs: 5_000,

  /**
   * Dials at an address that no connection has proven yet. Three cover a peer that is just starting; in a large overlay, with
   * others to choose from, one is enough. Then it is left alone for a day, whoever names it. One host or NAT may hold several
   * peers. Both tables take eight addresses of every candidate.
   */
  target: {
    windowMs: 600_000,
    perPort: 3,
    perPortLarge: 1,
    perHost: 8,
    blockedMs: 86_400_000,
    table: 4_096,
  },

  /** Peers that rest after a failure. */
  rests: 1_024,
  /** As many as the node holds connections. */
  contacts: 1_024,
  /** In a configuration; more would be dialled for hours. */
  bootstraps: 64,
} as const
