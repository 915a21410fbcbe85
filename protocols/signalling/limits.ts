/** The protocol as libp2p negotiates it. */
export const SIGNAL_PROTOCOL = '/warren/signal/1.0.0'

/** Every bound of the signalling protocol; SPEC.md section 7 gives the reasons to implementors. */
export const SIGNAL_LIMITS = {
  /** A list of addresses and NAT facts comes to about 300 bytes; far below one packet's worth of relaying. */
  sealedBytes: 1_024,
  /** A sealed part, a peer id, an IP address and room for fields of later versions. */
  frameBytes: 1_536,
  /** Clocks of home routers and suspended laptops are often minutes wrong. */
  clockSkewMs: 600_000,
  /**
   * Boxes remembered against replay. A box can be accepted for 20 minutes at most, in which one sender gets
   * 1,232 through an honest relay: even through three relays it cannot fill this.
   */
  replayEntries: 4_096,

  // The relay.
  /** Streams it holds: its 512 reservations, and as many visitors that write to their holders. */
  clients: 1_024,
  /** Each sender: starting up, a node writes two or three messages to each of some ten peers. */
  sender: { burst: 32, perSecond: 1 },
  /** Each target: everybody may want the same peer when it appears, but its uplink may be a phone's. */
  target: { burst: 64, perSecond: 8 },
  /** All together: 256 messages of 1.1 kB cost the relay at most 280 kB/s each way. */
  all: { burst: 1_024, perSecond: 256 },
  /** Refusals a sender may provoke before its stream ends: answering is work as well. */
  patience: { burst: 256, perSecond: 4 },
  /** Senders and targets whose use is remembered, so that reconnecting buys nothing. */
  accounts: 2_048,
  /** How long a peer that was written to may answer: a punch takes seconds, its retries less than a minute. */
  replyMs: 60_000,
  /** Pairs of peers remembered for that; more than `all` lets through in 15 s, and senders are slower. */
  pairs: 4_096,
  /** What may wait for a slow reader: some ten messages. What does not fit is refused. */
  waitingBytes: 16_384,

  // The client.
  /** Streams to relays: the relays of this node, and those of peers that it writes to. */
  lines: 64,
  /** Opening costs a round trip; this leaves room for losses at 600 ms. */
  openMs: 5_000,
  /** Sends that may wait for streams to open. */
  waiting: 128,
  /** A stream that is not kept is closed after a time in which no reply can come any more. */
  idleMs: 90_000,
  /** A kept stream that broke: a relay restarts within a second, or is gone for long. */
  reopen: { firstMs: 500, maxMs: 60_000 },
  /** A relay without this protocol learns it by being updated, which is no matter of seconds. */
  unsupported: { firstMs: 30_000, maxMs: 600_000 },
  /** A stream that lived this long was a good one: the next break starts the pauses anew. */
  provenMs: 30_000,
  /** Messages whose refusal can still be told by its id. */
  unanswered: 64,
  /** When the stream breaks this soon after a message, nobody knows whether it was passed on. */
  uncertainMs: 3_000,
  /** What is taken from one relay: twice what an honest one passes on. Opening boxes costs us 0.3 ms each. */
  received: { burst: 128, perSecond: 16 },
} as const
