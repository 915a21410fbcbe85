import { LIVENESS } from '../../../../protocols/paths/liveness.ts'

/** What things cost and how long they take, in one place. Bytes are those of the whole packet, each way. */

/** Simulated time 0 on everybody's clock, were clocks right: records carry Unix time. */
export const EPOCH = Date.UTC(2026, 0, 1)

export const PORT = 4001

export const BYTES = {
  /** Choosing the protocol on a new stream, with the headers of yamux, noise and TCP/IP. */
  stream: 350,
  /** TCP, noise, yamux and identify. */
  directDial: 3_000,
  /** The same between the two ends of a relayed connection, and the request to a relay that the dialler is linked to. */
  relayedDial: 3_800,
  /** A SYN and its three repetitions at somebody who does not answer. */
  failedDial: 240,
  /** Punch signalling over a relayed connection: addresses, facts and two synchronisations. */
  punch: 1_500,
  /** A reservation at a relay, and its renewals. */
  reservation: 600,
  /** A ping of the muxer and its pong: twelve bytes, noise and TCP/IP, and the acknowledgement. */
  ping: 110,
} as const

export const TIMES = {
  /** One of both sides asks a healthy link this often; the other hears it. What ships. */
  keepAliveMs: LIVENESS.idleMs,
  /** What a driver gives a question before it counts as unanswered. */
  answerMs: 5_000,
  /** A dial at an address where nobody answers. */
  dialMs: 6_000,
  /** Until both sides of a relayed connection have what they need to punch, and 6 round trips more. */
  punchMs: 1_500,
  /** Limited relays end a connection after this. */
  limitedMs: 120_000,
  /** TCP's least time to wait before it sends again. */
  retransmitMs: 200,
  /** A node with something to send at a dead link finds out sooner: two pings of two seconds, and what the flow took. */
  suspectMs: { least: 4_000, most: 7_000 },
} as const

/** Round trips of TCP, noise, yamux and identify; of the same through a relay; of a punch. */
export const ROUND_TRIPS = { direct: 4, relayed: 5, reserve: 1, punch: 6 } as const

export const RELAYS = {
  capacity: 128,
  wanted: 2,
  /** A third is taken when there is time for it. */
  most: 3,
  /** First look at who could relay, once a first contact is there: records come right after greetings. */
  firstMs: 300,
  /** Nobody found, or everybody refused. */
  againMs: 3_000,
  thirdMs: 60_000,
} as const

/**
 * How long a silent death goes unnoticed: quantiles at equal steps from 0 to 1, as the failure detector that ships has them in
 * the scenario `detect` (200 nodes, four hours, 2 % loss, three seeds, 7,000 deaths of links).
 */
export const DETECTION_MS: readonly number[] = [
  9_000, 11_700, 13_700, 15_600, 17_600, 19_500, 21_400, 23_300, 25_300, 27_200, 30_900,
]
