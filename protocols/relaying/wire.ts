/**
 * The few bytes of circuit relay v2 that a relay of ours says differently from the stock one: limits
 * in the units of the specification, and refusals with their own status. Messages are protobuf, where
 * a field that is repeated at the end replaces the earlier one, so nothing has to be taken apart.
 */
import type { CircuitLimit } from './limits.ts'

export const STATUS_OK = 100
export const STATUS_RESERVATION_REFUSED = 200
export const STATUS_RESOURCE_LIMIT_EXCEEDED = 201
export const STATUS_PERMISSION_DENIED = 202

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** Field numbers of circuit relay v2's messages. */
const HOP_RESERVATION = 3
const HOP_LIMIT = 4
const HOP_STATUS = 5
const STOP_LIMIT = 3

/** Longer than any message of the protocol that we send; a reservation with 16 addresses is 2 KiB. */
const MAX_FRAME = 8 * 1024

/** One length-prefixed message at the start of `bytes`; undefined when it is not complete. */
export function readFrame(bytes: Uint8Array): Uint8Array | undefined {
  const length = readVarint(bytes, 0)
  if (length === undefined || length.value > MAX_FRAME) return undefined
  const end = length.next + length.value
  return end <= bytes.length ? bytes.subarray(length.next, end) : undefined
}

/** The message with its length in front. */
export function frame(message: Uint8Array): Uint8Array {
  return Uint8Array.from([...varint(message.length), ...message])
}

/** The status of a HOP answer, and whether it grants a reservation; undefined if it is unreadable. */
export function readHopAnswer(
  message: Uint8Array,
): { status: number | undefined; reservation: boolean } | undefined {
  let status: number | undefined
  let reservation = false
  let offset = 0
  while (offset < message.length) {
    const tag = readVarint(message, offset)
    const field = tag === undefined ? undefined : skip(message, tag.next, tag.value & 7)
    if (tag === undefined || field === undefined) return undefined
    if (tag.value >> 3 === HOP_STATUS) status = field.value
    if (tag.value >> 3 === HOP_RESERVATION) reservation = true
    offset = field.next
  }
  return { status, reservation }
}

/** A HOP answer that also states the limit of the circuit. */
export function hopWithLimit(message: Uint8Array, limit: CircuitLimit): Uint8Array {
  return append(message, HOP_LIMIT, encodeLimit(limit))
}

/** A STOP request that also states the limit of the circuit. */
export function stopWithLimit(message: Uint8Array, limit: CircuitLimit): Uint8Array {
  return append(message, STOP_LIMIT, encodeLimit(limit))
}

/** A HOP answer with another status. */
export function hopWithStatus(message: Uint8Array, status: number): Uint8Array {
  return Uint8Array.from([...message, (HOP_STATUS << 3) | VARINT, ...varint(status)])
}

/** `duration` in seconds and `data` in bytes a direction, as the specification has them. */
function encodeLimit({ seconds, bytes }: CircuitLimit): number[] {
  return [(1 << 3) | VARINT, ...varint(seconds), (2 << 3) | VARINT, ...varint(bytes)]
}

function append(message: Uint8Array, field: number, value: number[]): Uint8Array {
  return Uint8Array.from([...message, (field << 3) | BYTES, ...varint(value.length), ...value])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return [...bytes, rest]
}

function readVarint(bytes: Uint8Array, at: number): { value: number; next: number } | undefined {
  let value = 0
  // Ten bytes hold any 64-bit number; what exceeds 2^53 loses digits nobody here needs.
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { value, next: at + i + 1 }
  }
  return undefined
}

/** The end of a field's value, and the value when it is a number. */
function skip(
  bytes: Uint8Array,
  at: number,
  wireType: number,
): { value: number | undefined; next: number } | undefined {
  if (wireType === VARINT) return readVarint(bytes, at)
  const length = wireType === BYTES ? readVarint(bytes, at) : { value: 0, next: at }
  const fixed = wireType === FIXED64 ? 8 : wireType === FIXED32 ? 4 : 0
  if (length === undefined || (wireType !== BYTES && fixed === 0)) return undefined
  const next = length.next + length.value + fixed
  return next <= bytes.length ? { value: undefined, next } : undefined
}
