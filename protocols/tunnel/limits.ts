/** Every bound of the tunnel protocol; SPEC.md section 5 gives the reasons to implementors. */
export const TUNNEL_LIMITS = {
  /** A name of 48 bytes and a sentence of 200 characters fit several times over. */
  messageBytes: 1024,
  /** What a peer record carries for one service (peer exchange); longer names could not be found. */
  nameBytes: 48,
  /** One line on a terminal; longer texts would be the refusing peer's to fill. */
  refusalTextLength: 200,
  /** How many services a peer record names. */
  services: 16,
  /** A browser opens tens of connections; 256 is far above that and far below what hurts a host. */
  streamsPerPeer: 256,
  /** Each stream costs a socket and up to a window of memory; 1,024 is the usual limit on open files. */
  streamsTotal: 768,
  /** The message is sent along with the stream, so even a relayed 300 ms path leaves room for losses. */
  openMs: 10_000,
  /** How long the offering peer tries its own target, which is nearly always next to it. */
  targetMs: 10_000,
  /** How long a client waits from accept to the answer: finding the peer, a relay, the target. */
  connectMs: 30_000,
} as const

/** The protocol as libp2p negotiates it. */
export const TUNNEL_PROTOCOL = '/warren/tunnel/1.0.0'

const NAME = new RegExp(`^[a-z0-9][a-z0-9._-]{0,${TUNNEL_LIMITS.nameBytes - 1}}$`)

/** Whether `name` can name a service: lower-case letters, digits, dot, underscore and dash. */
export function isServiceName(name: string): boolean {
  return NAME.test(name)
}
