/**
 * Protobuf (proto3) messages as tables: a message is written down once, as its fields, and can be encoded and
 * decoded. Meant for bytes from strangers: every list and blob has a limit that holds while reading, nothing nests
 * deeper than the tables do, and numbers that JavaScript cannot hold exactly are refused.
 */

export type WireProblem = 'truncated' | 'bad-tag' | 'too-large' | 'too-many' | 'bad-text'

/** Why bytes are not a message of the expected kind. */
export class WireError extends Error {
  readonly problem: WireProblem

  constructor(problem: WireProblem) {
    super(`protobuf: ${problem}`)
    this.name = 'WireError'
    this.problem = problem
  }
}

export interface Message<T> {
  encode(value: Partial<T>): Uint8Array
  /** Throws WireError. Unknown fields are skipped, missing ones get proto3's defaults. */
  decode(bytes: Uint8Array): T
}

/** The type of the values of a message table. */
export type ValueOf<M> = M extends Message<infer T> ? T : never

interface Field<T> {
  readonly number: number
  initial(): T
  read(reader: Reader, wire: number, before: T): T
  write(writer: Writer, value: T): void
}

/** How one value looks on the wire, apart from its field number and whether it is repeated. */
interface Kind<T> {
  wire: number
  zero: T
  read(reader: Reader): T
  write(writer: Writer, value: T): void
}

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5
const UINT32_MAX = 0xffffffff
/** Seven bits a byte: 64 bits need ten. */
const VARINT_BYTES = 10

const uint = (max: number): Kind<number> => ({
  wire: VARINT,
  zero: 0,
  read: (reader) => reader.varint(max),
  write: (writer, value) => writer.varint(value),
})

const fixed: Kind<bigint> = {
  wire: FIXED64,
  zero: 0n,
  read: (reader) => reader.fixed64(),
  write: (writer, value) => writer.fixed64(value),
}

const blob = (max: number): Kind<Uint8Array> => ({
  wire: LENGTH,
  zero: new Uint8Array(),
  read: (reader) => reader.blob(max).slice(),
  write: (writer, value) => writer.blob(value),
})

/** An unsigned number of at most 32 bits. */
export const uint32 = (number: number): Field<number> => single(number, uint(UINT32_MAX))

/** An unsigned 64-bit number; values above 2^53 - 1 are refused. */
export const uint64 = (number: number): Field<number> =>
  single(number, uint(Number.MAX_SAFE_INTEGER))

/** Eight bytes, little-endian. */
export const fixed64 = (number: number): Field<bigint> => single(number, fixed)

/** Up to `max` bytes. */
export const bytes = (number: number, max: number): Field<Uint8Array> =>
  single(number, blob(max), (value) => value.length === 0)

/** True or false. */
export const bool = (number: number): Field<boolean> =>
  single<boolean>(number, {
    wire: VARINT,
    zero: false,
    read: (reader) => reader.varint(UINT32_MAX) !== 0,
    write: (writer, value) => writer.varint(value ? 1 : 0),
  })

/** An enum, given as its names from 0 on; numbers from a later version read as the first name. */
export const choice = <Name extends string>(number: number, names: readonly Name[]): Field<Name> =>
  single(number, {
    wire: VARINT,
    zero: names[0] as Name,
    read: (reader) => names[reader.varint(UINT32_MAX)] ?? (names[0] as Name),
    write: (writer, value) => writer.varint(names.indexOf(value)),
  })

/** A message inside a message; undefined when absent. */
export function nested<T>(number: number, message: Message<T>, max: number): Field<T | undefined> {
  return {
    number,
    initial: () => undefined,
    read: (reader, wire) => {
      expect(wire, LENGTH)
      return message.decode(reader.blob(max))
    },
    write: (writer, value) => {
      if (value === undefined) return
      writer.tag(number, LENGTH)
      writer.blob(message.encode(value))
    },
  }
}

/** Up to `most` messages. */
export const messages = <T>(number: number, message: Message<T>, most: number): Field<T[]> =>
  list(number, most, {
    wire: LENGTH,
    zero: undefined as T,
    read: (reader) => message.decode(reader.blob(Number.MAX_SAFE_INTEGER)),
    write: (writer, value) => writer.blob(message.encode(value)),
  })

/** Up to `most` blobs of up to `max` bytes. */
export const manyBytes = (number: number, most: number, max: number): Field<Uint8Array[]> =>
  list(number, most, blob(max))

/** Up to `most` texts of up to `max` bytes of UTF-8. */
export const manyTexts = (number: number, most: number, max: number): Field<string[]> =>
  list(number, most, {
    wire: LENGTH,
    zero: '',
    read: (reader) => reader.text(max),
    write: (writer, value) => writer.blob(new TextEncoder().encode(value)),
  })

/** Up to `most` numbers, packed; read unpacked as well. */
export const manyUint32 = (number: number, most: number): Field<number[]> =>
  packed(number, most, uint(UINT32_MAX))

/** Up to `most` eight-byte numbers, packed; read unpacked as well. */
export const manyFixed64 = (number: number, most: number): Field<bigint[]> =>
  packed(number, most, fixed)

/** A message made of these fields. */
export function message<T>(fields: { [K in keyof T]: Field<T[K]> }): Message<T> {
  const table = Object.entries(fields) as [keyof T, Field<unknown>][]
  const byNumber = new Map(table.map(([name, field]) => [field.number, [name, field] as const]))
  return {
    encode(value) {
      const writer = new Writer()
      for (const [name, field] of table) {
        if (value[name] !== undefined) field.write(writer, value[name])
      }
      return writer.finish()
    },
    decode(bytes) {
      const reader = new Reader(bytes)
      const value = Object.fromEntries(table.map(([name, field]) => [name, field.initial()])) as T
      while (!reader.done) {
        const tag = reader.varint(UINT32_MAX)
        const [name, field] = byNumber.get(tag >>> 3) ?? []
        if (tag >>> 3 === 0) throw new WireError('bad-tag')
        if (name === undefined || field === undefined) reader.skip(tag & 7)
        else value[name] = field.read(reader, tag & 7, value[name]) as T[keyof T]
      }
      return value
    },
  }
}

function single<T>(
  number: number,
  kind: Kind<T>,
  isZero = (value: T) => value === kind.zero,
): Field<T> {
  return {
    number,
    initial: () => kind.zero,
    read: (reader, wire) => {
      expect(wire, kind.wire)
      return kind.read(reader)
    },
    write: (writer, value) => {
      if (isZero(value)) return // proto3 leaves defaults out
      writer.tag(number, kind.wire)
      kind.write(writer, value)
    },
  }
}

function list<T>(number: number, most: number, kind: Kind<T>): Field<T[]> {
  return {
    number,
    initial: () => [],
    read: (reader, wire, before) => {
      expect(wire, kind.wire)
      return appended(before, kind.read(reader), most)
    },
    write: (writer, values) => {
      for (const value of values) {
        writer.tag(number, kind.wire)
        kind.write(writer, value)
      }
    },
  }
}

function packed<T>(number: number, most: number, kind: Kind<T>): Field<T[]> {
  return {
    number,
    initial: () => [],
    read: (reader, wire, before) => {
      if (wire === kind.wire) return appended(before, kind.read(reader), most)
      expect(wire, LENGTH)
      const inner = new Reader(reader.blob(most * VARINT_BYTES))
      while (!inner.done) appended(before, kind.read(inner), most)
      return before
    },
    write: (writer, values) => {
      if (values.length === 0) return
      const inner = new Writer()
      for (const value of values) kind.write(inner, value)
      writer.tag(number, LENGTH)
      writer.blob(inner.finish())
    },
  }
}

function appended<T>(values: T[], value: T, most: number): T[] {
  if (values.length >= most) throw new WireError('too-many')
  values.push(value)
  return values
}

function expect(wire: number, wanted: number): void {
  if (wire !== wanted) throw new WireError('bad-tag')
}

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  varint(max: number): number {
    let value = 0
    for (let i = 0; i < VARINT_BYTES; i++) {
      const byte = this.#byte()
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (value > max) throw new WireError('too-large')
      if (byte < 0x80) return value
    }
    throw new WireError('too-large')
  }

  fixed64(): bigint {
    const from = this.#take(8)
    return new DataView(from.buffer, from.byteOffset, 8).getBigUint64(0, true)
  }

  /** A view, not a copy. */
  blob(max: number): Uint8Array {
    const length = this.varint(Number.MAX_SAFE_INTEGER)
    if (length > max) throw new WireError('too-large')
    return this.#take(length)
  }

  text(max: number): string {
    const bytes = this.blob(max)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new WireError('bad-text')
    }
  }

  skip(wire: number): void {
    if (wire === VARINT) this.#skipVarint()
    else if (wire === FIXED64) this.#take(8)
    else if (wire === LENGTH) this.blob(Number.MAX_SAFE_INTEGER)
    else if (wire === FIXED32) this.#take(4)
    else throw new WireError('bad-tag') // groups: never in proto3
  }

  #skipVarint(): void {
    for (let i = 0; i < VARINT_BYTES; i++) if (this.#byte() < 0x80) return
    throw new WireError('too-large')
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new WireError('truncated')
    this.#at++
    return byte
  }

  #take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new WireError('truncated')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

class Writer {
  readonly #parts: Uint8Array[] = []
  #length = 0

  tag(number: number, wire: number): void {
    this.varint(number * 8 + wire)
  }

  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`no varint: ${value}`)
    const bytes: number[] = []
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80)
    bytes.push(rest)
    this.#add(Uint8Array.from(bytes))
  }

  fixed64(value: bigint): void {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, value, true)
    this.#add(bytes)
  }

  blob(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.#add(bytes)
  }

  finish(): Uint8Array {
    const whole = new Uint8Array(this.#length)
    let at = 0
    for (const part of this.#parts) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }

  #add(bytes: Uint8Array): void {
    this.#parts.push(bytes)
    this.#length += bytes.length
  }
}
