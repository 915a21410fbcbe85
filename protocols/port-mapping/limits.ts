/** Every number of port mapping, with its reason. */
export const PORT_MAPPING_LIMITS = {
  /**
   * Lease asked for. The port of a node that died stays open for at most this long, and a living one asks every ten
   * minutes. PCP servers grant at least two minutes, NAT-PMP recommends two hours.
   */
  leaseSeconds: 1_200,
  /** What is granted beyond this is taken for this: a clock field gone wrong must not end the renewals. */
  maxLeaseSeconds: 86_400,
  /** A gateway that grants seconds would be asked all the time; it is renewed no more often than this. */
  minRenewMs: 15_000,
  /**
   * Pauses after each datagram of one question; four are sent, and after the last pause the gateway is silent. RFC 6886
   * begins with 250 ms too; RFC 6887 says 3 s, which is meant for servers at the far end of a provider's network.
   */
  patienceMs: [250, 500, 1_000, 2_000],
  /** ICMP "port unreachable" this often in a row is an answer: nobody is there. Once may be a daemon that restarts. */
  unreachable: 2,
  /** While nothing better has answered, the better protocols get this long: three tries on a LAN of milliseconds. */
  graceMs: 600,
  /** Devices may wait a second (our MX) before they answer a search, and some are slow to begin. */
  searchMs: [500, 1_000, 1_500],
  /** One HTTP exchange with the gateway; slow home routers take a second to answer. */
  httpMs: 4_000,
  /** Whether the gateway still knows the mapping: a datagram each way. */
  checkMs: 5_000,
  /** The same where it costs a TCP connection and two kilobytes of XML. */
  checkHttpMs: 15_000,
  /** A mapping that stood this long starts the pauses between searches anew. */
  steadyMs: 60_000,
  /** Pauses between searches: a gateway that restarts is back after seconds, one that has no mapping never is. */
  rest: { firstMs: 3_000, maxMs: 15 * 60_000 },
  /** A mapping that somebody found dead is renewed at once, but not more often than this. */
  doubtMs: 30_000,
  /** Waiting for the answer to a release: two tries. The node is stopping, and the lease ends by itself. */
  leaveMs: 700,
  /** Other external ports that are tried when one is taken. */
  maxPortTries: 4,
  /** Connections to the internet that a description may list; a gateway has one or two. */
  maxServices: 4,
  /** RFC 6887 section 7; everything longer is refused unread. */
  maxPcpBytes: 1_100,
  /** An SSDP answer fits one Ethernet frame. */
  maxSsdpBytes: 1_500,
  /** Descriptions of real gateways take 3 to 20 kB. */
  maxBodyBytes: 64 * 1_024,
  /** Elements and depth of a description; real ones have about a hundred, six deep. */
  maxElements: 2_000,
  maxDepth: 24,
  /** A longer path is no path of a gateway's. */
  maxPath: 256,
} as const
