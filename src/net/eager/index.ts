/**
 * Negotiation that costs no round trip: what the peer will answer is known, so we go on and check it later. On the
 * wire it is ordinary multistream-select, as any libp2p peer understands it. See docs/decisions/0010.
 */
export { eagerMuxer, type EagerMuxerInit } from './muxer.ts'
export { eagerProtector, eagerTransport, eagerUpgrader } from './upgrader.ts'
