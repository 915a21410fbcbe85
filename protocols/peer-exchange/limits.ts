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
  /** What we send of them: enough to go on with when whom one greeted has no place. */
  greetingEntries: 4,
  /** Everybody of a small overlay in one answer; of a large one 64 are named, see `slots`. */
  sampleIds: 256,
  /** What a relayed connection is asked for at most, since its bytes are somebody's gift. */
  sampleIdsOverRelay: 64,
  wantIds: 64,
  pushEntries: 16,
  findPeers: 8,
  /** Whom to ask instead, with a refusal or a farewell. */
  alternatives: 4,
  /** Asked for a peer that it does not know, a contact asks others, and these others: about 150 nodes in all. */
  findHops: 2,
  /** From the subject to its neighbours to theirs; everybody else pulls. */
  pushHops: 2,
  ttlMinS: 60,
  /** What a reader accepts at most: nobody can stay known longer than this after vanishing. */
  ttlMaxS: 21_600,
  /** Clocks of home routers and suspended laptops are often minutes wrong. */
  clockSkewMs: 600_000,

  // What this node says about itself.
  /**
   * In an overlay of 10,000 a node hears of any one peer every few hours: the record must last until then. Who has vanished
   * is found out by visits, not by expiry.
   */
  ownTtlS: 14_400,
  /** Of 8 addresses, so that relayed ones never crowd out direct ones. */
  ownRelayedAddresses: 4,
  /** Start-up changes several facts within milliseconds; one record should carry them all. */
  publishDelayMs: { least: 30, spread: 40 },
  /** Signing is local; only a broken signer takes this long. */
  signMs: 5_000,

  // Whom to ask, and when.
  /** After the first contact: at once, when the contact's own first pulls are through, then steadily. */
  firstPullsMs: [200, 1_000, 2_500],
  eagerPullMs: 5_000,
  eagerForMs: 60_000,
  calmPullMs: 60_000,
  /** The side that was dialled leaves the greeting to the other for this long. */
  greetAfterMs: 2_000,
  /** A greeting that failed: the peer may be starting, stopping, or answering too many. */
  greetAgainMs: 10_000,
  /** Two relayed round trips of 600 ms, stream negotiation included, and a slow peer. */
  answerMs: 5_000,
  /** Own questions under way; more than contacts times kinds of questions in a small overlay. */
  asks: 128,
  /** Whom a single question for a peer or a service is put to; in a small overlay any of them knows. */
  findFanout: 8,
  /** Whom a contact passes it on to. Each hop is at most this many times more. */
  findForwards: 4,
  finds: 64,
  /** Others' questions that we passed on and whose answers we still hand back. */
  findsForwarded: 64,
  /** What a search for a service or a relay ends with at the latest, and how many it wants. */
  searchMs: 2_500,
  searchPeers: 16,

  // Telling others.
  pushDelayMs: 50,
  /** Own news goes to everybody linked, up to what 16 kB/s can carry within a second. */
  ownFanout: 64,
  /** News of others: a contact too many costs a duplicate, one too few costs 5 s until its next pull. */
  forwardFanout: 32,
  /** The same in an overlay of which we know only a part. */
  forwardFanoutLarge: 8,
  /** Versions of one peer's record that are passed on: start-up makes several, then changes are rare. */
  forwardPerOrigin: { burst: 6, perSecond: 0.1 } satisfies BucketLimits,

  // The sampler.
  /** Enough that 30 % liars leave most of them honest, few enough that one answer names them all in 800 bytes. */
  slots: 64,
  /** One slot begins anew: each lives about eleven hours, long enough to have been offered everybody. */
  slotRenewalMs: 600_000,
  /** Below this many known, a node wants to know everybody; above, only whom its sampler picks. */
  wantEverybody: 128,
  /** Greetings of strangers that the sampler is shown: it is fed by our own pulls, not by whoever dials most. */
  strangers: { burst: 32, perSecond: 10 / 60 } satisfies BucketLimits,

  /**
   * Strangers that one peer names and that are looked at: as many as an honest one of a large overlay names at once, and then as
   * many as its sample changes by. Whoever names its friends only must not name more of them than others name peers.
   */
  named: { burst: 64, perSecond: 1 / 30 } satisfies BucketLimits,

  /**
   * For so long after the first contact records are fetched for their groups, too. Public peers are in more groups than hidden ones, and
   * would fill books and then samples if that went on.
   */
  youngMs: 3_600_000,

  /**
   * How soon peers are gone: at first one death in five hours, as in a network of evenings. Fifty hours are some hours of a few neighbours and
   * of visits.
   * More than one death in half an hour is an outage and will be over.
   */
  mortality: {
    first: { deaths: 1, watchedMs: 5 * 3_600_000 },
    remembersMs: 50 * 3_600_000,
    mostPerMs: 1 / 1_800_000,
  },
  /** So much more than another one a peer counts in the sampler at most for having been seen later: anybody may say so. */
  freshnessCounts: 8,

  // What is kept.
  /** By hearsay: half a MiB, and every peer of a middling overlay. */
  heard: 1_024,
  /** Reached by our own dials: whom a restart begins with. */
  reached: 256,
  /** Expired or unreachable: through whom two halves of a split overlay find each other. */
  lost: 256,
  /** Of them, those we never reached; a day covers any outage after which the overlay is still the same. */
  keepHeardMs: 86_400_000,
  /** And those we did: a node may come back after a week off. */
  keepReachedMs: 7 * 86_400_000,
  /** Failed dials in a row after which a peer is lost. */
  missesOfHeard: 2,
  missesOfReached: 3,
  /** Written to disk, the most stable first. */
  saved: 512,
  /** As many as the node holds connections. */
  contacts: 1_024,
  /** Contacts of the past whose versions are remembered, so that reconnecting fetches nothing twice. */
  remembered: 128,
  /** About twice as many as are contacts at a time. */
  accounts: 256,
  /** A departure must outlive copies of the older record that are still on their way. */
  tombstones: 256,
  tombstoneMs: 600_000,
  /** Records we cannot use, so that they are not fetched again at every pull. */
  refused: 512,
  sweepMs: 60_000,
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
    find: { burst: 16, perSecond: 1 },
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
