/**
 * The few bytes of circuit relay v2 that we say ourselves. As a relay: limits in the units of the specification, and
 * refusals with their own status. Messages are protobuf, where a field that is repeated at the end replaces the
 * earlier one, so nothing has to be taken apart. As a client: a circuit to ourselves, by which a relay is tested.
 */
import { attempt, delimited, readDelimited } from '../kernel/protobuf-bytes.ts'
import { bytes, message, nested, uint32, uint64 } from '../kernel/protobuf.ts'
import type { CircuitLimit } from './limits.ts'

export const STATUS_OK = 100
export const STATUS_RESERVATION_REFUSED = 200
export const STATUS_RESOURCE_LIMIT_EXCEEDED = 201
export const STATUS_PERMISSION_DENIED = 202
export const STATUS_CONNECTION_FAILED = 203
export const STATUS_NO_RESERVATION = 204

/** `HopMessage.Type` */
const HOP_CONNECT = 1
const HOP_STATUS = 2
/** `StopMessage.Type`, where CONNECT is 0. */
const STOP_STATUS = 1

/** Longer than any message of the protocol that we send; a reservation with 16 addresses is 2 KiB. */
export const MAX_FRAME = 8 * 1024

/** A peer id with the key inside is 38 bytes, or 36 with an RSA key's hash; others are as short. */
const MAX_PEER_ID = 128

/** `duration` in seconds and `data` in bytes a direction, as the specification has them. */
const Limit = message({ duration: uint32(1), data: uint64(2) })

/** Of a reservation it only matters whether there is one. */
const Reservation = message({})

const Peer = message({ id: bytes(1, MAX_PEER_ID) })

const HopMessage = message({
  type: uint32(1),
  peer: nested(2, Peer, MAX_FRAME),
  reservation: nested(3, Reservation, MAX_FRAME),
  limit: nested(4, Limit, MAX_FRAME),
  status: uint32(5),
})

const StopMessage = message({
  type: uint32(1),
  peer: nested(2, Peer, MAX_FRAME),
  limit: nested(3, Limit, MAX_FRAME),
  status: uint32(4),
})

/** One length-prefixed message at the start of `bytes`; undefined when it is not complete. */
export function readFrame(bytes: Uint8Array): Uint8Array | undefined {
  return attempt(() => readDelimited(bytes, MAX_FRAME))
}

/** The message with its length in front. */
export const frame = delimited

/** The status of a HOP answer, 0 if it has none, and whether it grants a reservation; undefined if it is unreadable. */
export function readHopAnswer(
  answer: Uint8Array,
): { status: number; reservation: boolean } | undefined {
  const read = attempt(() => HopMessage.decode(answer))
  return read && { status: read.status, reservation: read.reservation !== undefined }
}

/** A HOP answer that also states the limit of the circuit. */
export function hopWithLimit(answer: Uint8Array, limit: CircuitLimit): Uint8Array {
  return joined(answer, HopMessage.encode({ limit: inWords(limit) }))
}

/** A STOP request that also states the limit of the circuit. */
export function stopWithLimit(request: Uint8Array, limit: CircuitLimit): Uint8Array {
  return joined(request, StopMessage.encode({ limit: inWords(limit) }))
}

/** A HOP answer with another status. */
export function hopWithStatus(answer: Uint8Array, status: number): Uint8Array {
  return joined(answer, HopMessage.encode({ status }))
}

/** A refusal before the request was read. */
export function hopRefusal(status: number): Uint8Array {
  return HopMessage.encode({ type: HOP_STATUS, status })
}

/** Asks a relay for a circuit to the peer with this id (its multihash bytes). */
export function hopConnect(peer: Uint8Array): Uint8Array {
  return HopMessage.encode({ type: HOP_CONNECT, peer: { id: peer } })
}

/** From whom a STOP request comes, as the bytes of its id; undefined if it is none. */
export function readStopRequest(request: Uint8Array): Uint8Array | undefined {
  const read = attempt(() => StopMessage.decode(request))
  return read?.type === 0 ? read.peer?.id : undefined
}

/** Accepts a circuit. */
export function stopAccept(): Uint8Array {
  return StopMessage.encode({ type: STOP_STATUS, status: STATUS_OK })
}

const inWords = ({ seconds, bytes }: CircuitLimit) => ({ duration: seconds, data: bytes })

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  return Uint8Array.from([...first, ...second])
}
