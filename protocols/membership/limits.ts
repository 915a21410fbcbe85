/** How many links a node keeps, and how hard it tries. */
export const limits = {
  /** Links of one's own choosing. Five keep an overlay whole when half of it fails; one more for the flaky. */
  chosen: 6,
  /** Relayed links count half, but wanting twice as many would load the relays: this many at most. */
  chosenAtMost: 9,
  /** Of them, public peers or relays: what a hidden node reaches first after its network changed. */
  dependable: 2,
  /** Up to this many others everybody links to everybody: cheap, and every path is then one hop. */
  everybody: 7,

  dials: 4,
  /** What bootstraps leave to peers from the book while both wait: neither may starve the other. */
  bootstrapDials: 2,
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
  /** Fewer links than this are nearly none. */
  enough: 2,
  /** A link that lasts this long was a success; a shorter one counts as another failed try. */
  provenMs: 30_000,
  /** Of two peers that learn of each other at once one dials; the other waits this long for it. */
  yieldMs: 2_000,
  /** Bootstraps we have no link to are called now and then, so that a split overlay finds together. */
  recontactMs: 600_000,
  recontactSpread: 0.5,

  /** Before a bootstrap counts as unreachable: tries over about two seconds. */
  bootstrapTries: 4,
  /** Without any link for this long: alone. Covers a join at leisure. */
  aloneMs: 5_000,

  /**
   * Dials at an address that no connection has proven yet. Three cover a peer that is just starting; one host or NAT
   * may hold several peers. Both tables take eight addresses of every candidate.
   */
  target: { windowMs: 600_000, perPort: 3, perHost: 8, table: 8_192 },

  /** As many as the peer exchange knows. */
  candidates: 1_024,
  /** In a configuration; more would be dialled for hours. */
  bootstraps: 64,
} as const
