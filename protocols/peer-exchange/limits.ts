import type { BucketLimits } from '../kernel/token-bucket.ts'

/** Every number of the protocol in one place. "Wire" ones are part of SPEC.md, the others are this node's habits. */
export const limits = {
  // Wire: what a reader refuses.
  /** Records of 64 peers with two addresses fit; small enough to send over a relayed connection of 128 KiB. */
  frameBytes: 16_384,
  /** 16 service names, 8 addresses with two peer ids each, a key and a signature come to about 1,700. */
  envelopeBytes: 2_048,
  /** Two relays with IPv4 and IPv6, and as many direct ones. */
  addresses: 8,
  /** A relayed address behind a DNS name with two peer ids is about 140 bytes. */
  addressBytes: 160,
  services: 16,
  serviceBytes: 48,
  extBytes: 128,
  helloEntries: 8,
  /** Every peer of an overlay of 200 nodes in one answer of about 3 kB. */
  sampleIds: 256,
  /** What a relayed connection is asked for at most, since its bytes are somebody's gift. */
  sampleIdsOverRelay: 64,
  wantIds: 64,
  pushEntries: 16,
  resolvePeers: 8,
  /** From the subject to its neighbours to theirs; everybody else pulls. */
  pushHops: 2,
  ttlMinS: 60,
  /** What a reader accepts at most: nobody can stay known longer than this after vanishing. */
  ttlMaxS: 21_600,
  /** Clocks of home routers and suspended laptops are often minutes wrong. */
  clockSkewMs: 600_000,

  // What this node says about itself.
  /** Long enough that hourly refreshes are cheap, short enough that the vanished are forgotten. */
  ownTtlS: 7_200,
  /** Of 8 addresses, so that relayed ones never crowd out direct ones. */
  ownRelayedAddresses: 4,
  /** Start-up changes several facts within milliseconds; one record should carry them all. */
  publishDelayMs: { least: 30, spread: 40 },
  /** Signing is local; only a broken signer takes this long. */
  signMs: 5_000,

  // Whom to ask, and when.
  /** After the first contact: at once, when the contact's own first pulls are through, then steadily. */
  firstPullsMs: [200, 1_000],
  eagerPullMs: 5_000,
  eagerForMs: 60_000,
  calmPullMs: 30_000,
  /** The side that was dialled leaves the greeting to the other for this long. */
  greetAfterMs: 2_000,
  /** A greeting that failed: the peer may be starting, stopping, or answering too many. */
  greetAgainMs: 10_000,
  /** Two relayed round trips of 600 ms, stream negotiation included, and a slow peer. */
  answerMs: 5_000,
  /** Own questions under way; more than contacts times kinds of questions in a small overlay. */
  asks: 128,
  /** Whom a single resolve asks: one of eight random peers knows almost surely in an overlay of known size. */
  resolveFanout: 8,
  resolves: 64,

  // Telling others.
  pushDelayMs: 50,
  /** Own news goes to everybody linked, up to what 16 kB/s can carry within a second. */
  ownFanout: 64,
  /** News of others: a contact too many costs a duplicate, one too few costs 5 s until its next pull. */
  forwardFanout: 32,
  /** Versions of one peer's record that are passed on: start-up makes several, then changes are rare. */
  forwardPerOrigin: { burst: 6, perSecond: 0.1 } satisfies BucketLimits,

  // What is kept.
  /** About 1 MiB with everything; five times the size of overlay this version is made for. */
  known: 1_024,
  /** As many as the node holds connections. */
  contacts: 1_024,
  /** Per contact, whose version of which record it has; forgetting one costs a duplicate push. */
  contactVersions: 256,
  accounts: 1_024,
  /** A departure must outlive copies of the older record that are still on their way. */
  tombstones: 256,
  tombstoneMs: 600_000,
  /** Records we cannot use, so that they are not fetched again at every pull. */
  refused: 512,
  sweepMs: 15_000,
  /** Peers we were linked to stay as addresses to try, though expired: a node may come back after a week off. */
  anchorMs: 7 * 86_400_000,
  /** A record says last-seen no longer ago than this. */
  observedAgeMaxS: 86_400,

  // What one peer may cost us. Over the rate: dropped without a word.
  rates: {
    /** Reconnecting over a new path greets again. */
    hello: { burst: 4, perSecond: 0.1 },
    /** Two pulls at once, then every 5 s: twice that. */
    sample: { burst: 16, perSecond: 0.4 },
    /** Ids asked for: the whole overlay once, then what changes. */
    want: { burst: 512, perSecond: 8 },
    /** Records handed to us unasked. */
    push: { burst: 256, perSecond: 8 },
    resolve: { burst: 16, perSecond: 1 },
  } satisfies Record<string, BucketLimits>,
  /** Signature checks for everybody together: 200 a second are about 4 % of a core. */
  verify: { burst: 512, perSecond: 200 } satisfies BucketLimits,
  /** Checks under way: a whole restored book. */
  verifying: 1_024,

  // Misbehaviour: faults cost patience; without any left a peer is neither asked nor answered for an hour.
  patience: { burst: 8, perSecond: 0.5 / 600 } satisfies BucketLimits,
  /** Bytes no correct peer sends. */
  faultCost: 4,
  /** Too much of something allowed: may be another version's different idea of a rate. */
  excessCost: 0.25,
  shunMs: 3_600_000,
} as const

/** Kinds of things a peer may do only so often. */
export type Rated = keyof typeof limits.rates
