/**
 * Protobuf (proto3) messages as tables: a message is written down once, as its fields, and can be encoded and
 * decoded. Meant for bytes from strangers: every list and blob has a limit that holds while reading, nothing nests
 * deeper than the tables do, and numbers that JavaScript cannot hold exactly are refused.
 */
import {
  FIXED64,
  LENGTH,
  Reader,
  VARINT,
  VARINT_BYTES,
  WireError,
  Writer,
} from './protobuf-bytes.ts'

export interface Message<T> {
  /** What it is made of, so that a test can hold it against the `.proto` file. */
  readonly fields: readonly FieldFacts[]
  encode(value: Partial<T>): Uint8Array
  /** Throws WireError. Unknown fields are skipped, missing ones get proto3's defaults. */
  decode(bytes: Uint8Array): T
}

/** The type of the values of a message table. */
export type ValueOf<M> = M extends Message<infer T> ? T : never

/** A field in the words of a `.proto` file. */
export interface FieldFacts {
  readonly name: string
  readonly number: number
  readonly type: FieldType
  /** How often it may be repeated; undefined if it may not. */
  readonly most: number | undefined
}

/** The name of a scalar type, the names of an enum's values, or the message inside. */
export type FieldType = string | readonly string[] | Message<unknown>

interface Field<T> extends Omit<FieldFacts, 'name'> {
  initial(): T
  read(reader: Reader, wire: number, before: T): T
  write(writer: Writer, value: T): void
}

/** How one value looks on the wire, apart from its field number and whether it is repeated. */
interface Kind<T> {
  type: FieldType
  wire: number
  zero: T
  read(reader: Reader): T
  write(writer: Writer, value: T): void
}

const UINT32_MAX = 0xffffffff

const uint = (type: string, max: number): Kind<number> => ({
  type,
  wire: VARINT,
  zero: 0,
  read: (reader) => reader.varint(max),
  write: (writer, value) => writer.varint(value),
})

const fixed: Kind<bigint> = {
  type: 'fixed64',
  wire: FIXED64,
  zero: 0n,
  read: (reader) => reader.fixed64(),
  write: (writer, value) => writer.fixed64(value),
}

const blob = (max: number): Kind<Uint8Array> => ({
  type: 'bytes',
  wire: LENGTH,
  zero: new Uint8Array(),
  read: (reader) => reader.blob(max).slice(),
  write: (writer, value) => writer.blob(value),
})

/** An unsigned number of at most 32 bits. */
export const uint32 = (number: number): Field<number> => single(number, uint('uint32', UINT32_MAX))

/** An unsigned 64-bit number; values above 2^53 - 1 are refused. */
export const uint64 = (number: number): Field<number> =>
  single(number, uint('uint64', Number.MAX_SAFE_INTEGER))

/** Eight bytes, little-endian. */
export const fixed64 = (number: number): Field<bigint> => single(number, fixed)

const utf8 = (max: number): Kind<string> => ({
  type: 'string',
  wire: LENGTH,
  zero: '',
  read: (reader) => reader.text(max),
  write: (writer, value) => writer.blob(new TextEncoder().encode(value)),
})

/** Up to `max` bytes. */
export const bytes = (number: number, max: number): Field<Uint8Array> =>
  single(number, blob(max), (value) => value.length === 0)

/** A text of up to `max` bytes of UTF-8. */
export const text = (number: number, max: number): Field<string> => single(number, utf8(max))

/** True or false. */
export const bool = (number: number): Field<boolean> =>
  single<boolean>(number, {
    type: 'bool',
    wire: VARINT,
    zero: false,
    read: (reader) => reader.varint(UINT32_MAX) !== 0,
    write: (writer, value) => writer.varint(value ? 1 : 0),
  })

/** An enum, given as its names from 0 on; numbers from a later version read as the first name. */
export const choice = <Name extends string>(number: number, names: readonly Name[]): Field<Name> =>
  single(number, {
    type: names,
    wire: VARINT,
    zero: names[0] as Name,
    read: (reader) => names[reader.varint(UINT32_MAX)] ?? (names[0] as Name),
    write: (writer, value) => writer.varint(names.indexOf(value)),
  })

/** A message inside a message; undefined when absent. */
export function nested<T>(number: number, message: Message<T>, max: number): Field<T | undefined> {
  return {
    number,
    type: message,
    most: undefined,
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
    type: message,
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
  list(number, most, utf8(max))

/** Up to `most` numbers, packed; read unpacked as well. */
export const manyUint32 = (number: number, most: number): Field<number[]> =>
  packed(number, most, uint('uint32', UINT32_MAX))

/** Up to `most` unsigned numbers of at most 53 bits, packed; read unpacked as well. */
export const manyUint64 = (number: number, most: number): Field<number[]> =>
  packed(number, most, uint('uint64', Number.MAX_SAFE_INTEGER))

/** A message made of these fields. */
export function message<T>(fields: { [K in keyof T]: Field<T[K]> }): Message<T> {
  const table = Object.entries(fields) as [keyof T, Field<unknown>][]
  const byNumber = new Map(table.map(([name, field]) => [field.number, [name, field] as const]))
  return {
    fields: table.map(([name, { number, type, most }]) => ({
      name: String(name),
      number,
      type,
      most,
    })),
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
    type: kind.type,
    most: undefined,
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

const repeated = <T>(number: number, most: number, { type }: Kind<T>) => ({
  number,
  type,
  most,
  initial: (): T[] => [],
})

function list<T>(number: number, most: number, kind: Kind<T>): Field<T[]> {
  return {
    ...repeated(number, most, kind),
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
    ...repeated(number, most, kind),
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
