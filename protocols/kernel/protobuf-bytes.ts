/** Protobuf's bytes, below the messages: varints, fixed numbers, blobs, and messages with their length in front. */

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

/** The value, or undefined when the bytes were not what was to be read. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (err) {
    if (err instanceof WireError) return undefined
    throw err
  }
}

/** Wire types: how a field's value is delimited. */
export const VARINT = 0
export const FIXED64 = 1
export const LENGTH = 2
const FIXED32 = 5

/** Seven bits a byte: 64 bits need ten. */
export const VARINT_BYTES = 10

/** Reads the parts of a message one after the other; throws WireError. */
export class Reader {
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

/** Puts the parts of a message one behind the other. */
export class Writer {
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

/** The message with its length in front, as it stands on a stream. */
export function delimited(message: Uint8Array): Uint8Array {
  const writer = new Writer()
  writer.blob(message)
  return writer.finish()
}

/** The length-delimited message at the start of `bytes`, as a view; throws WireError if it is not complete. */
export function readDelimited(bytes: Uint8Array, max: number): Uint8Array {
  return new Reader(bytes).blob(max)
}
