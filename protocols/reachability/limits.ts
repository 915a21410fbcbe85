/** Every number of the reachability machine, with its reason. */
export const LIMITS = {
  /** Votes remembered: far more than the links of a node, little enough to count on every input. */
  maxObservations: 64,
  /** One observer may hold this many of them, so that a single peer cannot push the others out. */
  maxObservationsPerObserver: 4,
  /**
   * What a peer saw is believed this long after its connection closed: NATs keep a TCP mapping for
   * minutes to hours, and without live witnesses this is the best knowledge there is.
   */
  observationGoneMs: 5 * 60_000,
  /** Words remembered of each sort; one a network and question counts, and four helpers answer ten questions each. */
  maxEvidence: 64,
  /** Old proof is worth little: routers restart and leases end. */
  evidenceMs: 30 * 60_000,
  /** Networks whose dial-backs must all have failed before a public interface address is distrusted. */
  failuresToDoubt: 3,
  /** Questions to several helpers about one way in are answered within this: later answers are of another round. */
  roundMs: 60_000,
  /** A node that a stranger reached this lately needs no probes; well before that proof is too old. */
  settledMs: 20 * 60_000,
  /** A changed verdict must stay so this long: every change makes the whole overlay learn new addresses. */
  holdMs: 5_000,
  /** One that nobody has tried yet: the first proof to the contrary is no wavering, but may be the first of several. */
  untriedHoldMs: 1_000,
  /** External endpoints offered per family: each is a connection attempt that others will make. */
  maxExternalPerFamily: 3,
  /** Listening addresses considered; a host with more has mostly bridges of containers. */
  maxInterfaces: 64,
  /**
   * What the operator says is not announced before somebody got in, unless nobody has for this long: a helper examines within
   * seconds, and where there is none his word is all there is.
   */
  claimMs: 20_000,
  /** Addresses announced: libp2p peers dial at most 25 of one peer. */
  maxAnnounced: 16,
} as const
