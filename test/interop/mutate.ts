import type { Rng } from '../../protocols/kernel/rng.ts'
import {
  attempt,
  FIXED64,
  LENGTH,
  Reader,
  VARINT,
  Writer,
} from '../../protocols/kernel/protobuf-bytes.ts'

/** Bytes that mean something to protobuf: ends and beginnings of varints, tags, lengths. */
const TELLING = [0, 1, 2, 7, 8, 10, 0x12, 0x1a, 0x72, 0x7a, 0x7f, 0x80, 0xff]
/** Numbers on both sides of every limit. */
const EDGES = [0, 1, 2, 4, 5, 59, 60, 21_600, 21_601, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]
/** The deepest message: an address in a payload in an envelope in an entry in a body in a frame. */
const DEPTH = 6

interface Field {
  number: number
  wire: number
  /** With its tag, as it stands in the message. */
  whole: Uint8Array
  /** Of a field with a length. */
  inner: Uint8Array
}

/** One of the given, with one or two things changed: somewhere in its bytes, or in its fields with lengths that fit. */
export function mutated(base: readonly Uint8Array[], rng: Rng): Uint8Array {
  let bytes = pick(base, rng)
  for (let left = rng() < 0.7 ? 1 : 2; left > 0; left--) {
    bytes = rng() < 0.3 ? changeByte(bytes, rng) : changeField(bytes, rng, DEPTH)
  }
  return bytes
}

function changeByte(bytes: Uint8Array, rng: Rng): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(pick(TELLING, rng))
  const at = Math.floor(rng() * bytes.length)
  const old = bytes[at] as number
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + 1)]
  return pick(
    [
      () => bytes.with(at, Math.floor(rng() * 256)),
      () => bytes.with(at, pick(TELLING, rng)),
      () => bytes.with(at, old ^ (1 << Math.floor(rng() * 8))),
      // Lengths that are off by one, wire types next to each other.
      () => bytes.with(at, old + (rng() < 0.5 ? 1 : 255)),
      () => Uint8Array.of(...before, pick(TELLING, rng), old, ...after),
      () => Uint8Array.of(...before, ...after),
      () => before.slice(),
    ],
    rng,
  )()
}

/** Changes which fields a message has, or one of them, or something inside one. */
function changeField(bytes: Uint8Array, rng: Rng, depth: number): Uint8Array {
  const fields = attempt(() => fieldsOf(bytes))
  if (fields === undefined || fields.length === 0 || depth === 0) return changeByte(bytes, rng)
  const at = Math.floor(rng() * fields.length)
  const field = fields[at] as Field
  const wholes = fields.map(({ whole }) => whole)
  const put = (...instead: Uint8Array[]) => joined(wholes.toSpliced(at, 1, ...instead))
  if (field.wire === LENGTH && rng() < 0.6) {
    return put(withBytes(field.number, changeField(field.inner, rng, depth - 1)))
  }
  return pick(
    [
      () => put(),
      () => put(...Array.from({ length: pick([2, 9, 17], rng) }, () => field.whole)),
      // The same again at the end: the last one counts, or the list grows.
      () => joined([...wholes, field.whole]),
      () => joined(wholes.toReversed()),
      () => put(withNumber(field.number, pick(EDGES, rng))),
      () => joined([...wholes, withNumber(Math.ceil(rng() * 20), pick(EDGES, rng))]),
      () => joined([...wholes, withBytes(Math.ceil(rng() * 20), Uint8Array.of(8, 1))]),
      () => put(spelledLonger(field.whole)),
    ],
    rng,
  )()
}

/** Throws WireError when the bytes are no message. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  for (let at = 0; at < bytes.length;) {
    const reader = new Reader(bytes.subarray(at))
    const tag = reader.varint(2 ** 32 - 1)
    const tagEnd = varintEnd(bytes, at)
    const wire = tag & 7
    const inner = wire === LENGTH ? reader.blob(bytes.length) : new Uint8Array()
    if (wire !== LENGTH) reader.skip(wire)
    const end = wire === FIXED64 ? tagEnd + 8 : varintEnd(bytes, tagEnd) + inner.length
    fields.push({ number: tag >>> 3, wire, whole: bytes.subarray(at, end), inner })
    at = end
  }
  return fields
}

function varintEnd(bytes: Uint8Array, from: number): number {
  return bytes.findIndex((byte, i) => i >= from && byte < 0x80) + 1
}

function withNumber(field: number, value: number): Uint8Array {
  const writer = new Writer()
  writer.tag(field, VARINT)
  writer.varint(value)
  return writer.finish()
}

function withBytes(field: number, value: Uint8Array): Uint8Array {
  const writer = new Writer()
  writer.tag(field, LENGTH)
  writer.blob(value)
  return writer.finish()
}

/** The tag in more bytes than it needs. */
function spelledLonger(field: Uint8Array): Uint8Array {
  const [tag = 0, ...rest] = field
  return tag < 0x80 ? Uint8Array.of(tag | 0x80, 0x80, 0, ...rest) : field
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function pick<T>(items: readonly T[], rng: Rng): T {
  return items[Math.floor(rng() * items.length)] as T
}
