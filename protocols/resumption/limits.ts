/** Every bound of resumable streams; SPEC.md section 6 gives the reasons to implementors. */
export const RESUMPTION_LIMITS = {
  /** What one data frame may carry. A frame is read as it comes, so this bounds no memory, only nonsense. */
  dataBytes: 64 * 1024,
  /** A session id, a name and a few numbers fit; longer frames that are not data do not exist. */
  controlBytes: 256,
  /** Names of protocols are short; longer than this, an Open would not fit its frame. */
  protocolBytes: 128,
  /** Tunnels stop at 256 for a peer and say why; sessions that an application opens beside them need room too. */
  sessionsPerPeer: 320,
  /** Tunnels stop at 768 in all; every session may claim its floor of memory in both directions. */
  sessions: 1_024,
  /** From the stream to the first frame: it is sent with the stream, even at 300 ms there is room for losses. */
  greetingMs: 10_000,
  /** How long the opener looks for a way back: a phone that changes networks needs 5 to 20 s. */
  seekMs: 30_000,
  /** The answerer waits longer than the opener seeks, so that a way found at the last moment still counts. */
  keepMs: 45_000,
} as const

/** Memory that the sessions of one node may take; see budget.ts. */
export const MEMORY = {
  /** Every direction of every session has this for certain: 5 Mbit/s at 100 ms, and all floors fit the node. */
  floorBytes: 64 * 1024,
  /** 300 Mbit/s at 50 ms need 1.9 MiB on the way, at 200 ms 7.5. Measured at 50 ms: 4 MiB gave 210 to 380 Mbit/s, 8 gives 520 to 700. */
  ceilingBytes: 8 * 1024 * 1024,
  /** Floors (1,024 sessions, 2 directions) take the other half of 256 MiB. */
  sharedBytes: 128 * 1024 * 1024,
  /** A direction takes an eighth of what is free: one alone reaches the ceiling, and newcomers always find some. */
  share: 8,
} as const

/** How a session behaves in time. */
export const PACE = {
  /** What a data frame of ours carries: with its headers it fills one Noise message (65,519 bytes), never two. */
  sendBytes: 63 * 1024,
  /** The first window, as yamux' own: a stream that stays small never promises more. */
  firstWindowBytes: 256 * 1024,
  /** A window used up faster than this doubles; no path that is usable has a round trip as long. */
  growWithinMs: 2_000,
  /** Acknowledgements nobody asked for wait this long for data to travel with. */
  ackDelayMs: 100,
  /** The writer is woken for no less than this, unless nothing at all is on the way. */
  wakeBytes: 16 * 1024,
  /** A carrier may keep its acknowledgements this long, or eight round trips: three TCP retransmissions. */
  stallMs: 3_000,
  stallRoundTrips: 8,
  /** A carrier that stalled is not gone back to before this; liveness closes dead connections meanwhile. */
  shunMs: 30_000,
  /** From the choice of a connection to the answer on it: three round trips on the slowest path, with losses. */
  attemptMs: 5_000,
  /** A dead connection is often followed by a new one at once; after that, patience. */
  retry: { firstMs: 100, maxMs: 2_000 },
} as const

/** The protocol as libp2p negotiates it. */
export const RESUMPTION_PROTOCOL = '/warren/resume/1.0.0'

/** Bytes of a session's id: random, so that ids of one peer never meet by chance. */
export const SESSION_ID_BYTES = 16
