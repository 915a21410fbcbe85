/**
 * The few bytes of circuit relay v2 that a relay of ours says differently from the stock one: limits
 * in the units of the specification, and refusals with their own status. Messages are protobuf, where
 * a field that is repeated at the end replaces the earlier one, so nothing has to be taken apart.
 */
import { attempt, delimited, readDelimited } from '../kernel/protobuf-bytes.ts'
import { message, nested, uint32, uint64 } from '../kernel/protobuf.ts'
import type { CircuitLimit } from './limits.ts'

export const STATUS_OK = 100
export const STATUS_RESERVATION_REFUSED = 200
export const STATUS_RESOURCE_LIMIT_EXCEEDED = 201
export const STATUS_PERMISSION_DENIED = 202

/** Longer than any message of the protocol that we send; a reservation with 16 addresses is 2 KiB. */
const MAX_FRAME = 8 * 1024

/** `duration` in seconds and `data` in bytes a direction, as the specification has them. */
const Limit = message({ duration: uint32(1), data: uint64(2) })

/** Of a reservation it only matters whether there is one. */
const Reservation = message({})

const HopMessage = message({
  reservation: nested(3, Reservation, MAX_FRAME),
  limit: nested(4, Limit, MAX_FRAME),
  status: uint32(5),
})

const StopMessage = message({ limit: nested(3, Limit, MAX_FRAME) })

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

const inWords = ({ seconds, bytes }: CircuitLimit) => ({ duration: seconds, data: bytes })

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  return Uint8Array.from([...first, ...second])
}
