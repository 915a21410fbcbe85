/** The protocol as libp2p negotiates it. */
export const NAT_PROBE_PROTOCOL = '/warren/nat-probe/1.0.0'

/** The domain string that separates a voucher's signature from every other use of the identity. */
export const VOUCHER_DOMAIN = 'warren-nat-probe-voucher-v1'

/** Every bound of the NAT probe; SPEC.md section 8 gives the reasons to implementors. */
export const PROBE_LIMITS = {
  /** A voucher with three peer ids, an IPv6 endpoint and its signature has 240 bytes; room for later fields. */
  messageBytes: 512,
  nonceBytes: 16,
  signatureBytes: 64,

  /** From three new ports one can tell how a router picks ports; the listening one makes four. Two may be lost. */
  sampleConnections: 6,
  freshPorts: 3,
  /** The port is open this long: a SYN that was lost is repeated after one second and after three. */
  sampleMs: 4_000,

  /** A dial-back whose SYN is lost twice still connects (repeats after one and three seconds). */
  connectMs: 3_500,
  /** A handshake at 600 ms round trip, with a lost packet, after that. */
  handshakeMs: 3_000,
  /** A dial-back by a third peer, and the way there and back. */
  answerMs: 9_000,

  // Whom a helper serves. An examination asks for one sample and at most five dials.
  asker: { burst: 12, perSecond: 1 / 60 },
  /** Offices and carriers put many askers behind one /24. */
  askerNetwork: { burst: 48, perSecond: 0.2 },
  /** A bootstrap that a thousand nodes join in ten minutes dials at most four times a second for them. */
  helperAll: { burst: 64, perSecond: 4 },
  /** Requests under way. Each holds a few sockets for ten seconds at most. */
  jobs: 32,
  /** Third peers that are asked for one request; each but the last has refused without dialling. */
  thirdsTried: 2,
  /** Third peers to choose from; more say nothing new. */
  thirds: 32,

  // Whom a third peer serves.
  /** One helper's askers come a few at a time. */
  helper: { burst: 16, perSecond: 0.1 },
  /** What all helpers together can make us dial in one /24 or /48. */
  targetNetwork: { burst: 12, perSecond: 1 / 30 },
  thirdAll: { burst: 32, perSecond: 1 },
  /** Askers, networks and helpers whose use is remembered. */
  accounts: 2_048,
  /** How far a voucher's time may be from ours: it is used within a second, but clocks differ by minutes. */
  voucherMs: 300_000,
  /** Vouchers remembered: one a second for as long as one could be replayed, and the burst. */
  vouchers: 1_024,

  // The asker.
  /** Helpers known; a node has fewer links to choose from. */
  helpers: 64,
  /** Helpers of different networks that are asked: a lying one among them is outvoted, and more would say nothing new. */
  enough: 4,
  /** Examinations at once. All four, so that the facts are there when the slowest silence of one is over. */
  examinations: 4,
  /** Joining comes first: greetings and reservations of the first moment are not to wait for handshakes of ours. */
  startMs: 1_000,
  /** Before proof grows old, which it does after 30 min. */
  refreshMs: 25 * 60_000,
  refreshSpread: 0.1,
  /** A helper that did not answer, or refused everything. */
  retryMs: 5 * 60_000,
  /** A network that changes again and again is examined this often at most. */
  movedMs: 2_000,
  /** Addresses beside the observed one that are asked about: a router maps one port for us, or two. */
  mapped: 2,
} as const
