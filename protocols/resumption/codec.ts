import { RESUMPTION_LIMITS, SESSION_ID_BYTES } from './limits.ts'

/** Why a carrier is not taken: see SPEC.md section 3. */
export type RefusalCode = 'unknown-session' | 'unknown-protocol' | 'busy' | 'stale'

/** Why a session is ended at once. */
export type ResetCode = 'application' | 'violation' | 'stopping'

/** What each side tells the other on a new carrier, and whenever it changes. */
export interface Position {
  /** The offset up to which everything has arrived; one more when the end has arrived too. */
  received: number
  /** The offset up to which the other side may send. */
  limit: number
}

/** One frame on a carrier. A data frame is read in pieces, as its bytes come. */
export type Frame =
  | { type: 'open'; session: Uint8Array; limit: number; protocol: string }
  | ({ type: 'resume'; session: Uint8Array; carrier: number } & Position)
  | ({ type: 'accept' } & Position)
  | { type: 'refuse'; code: RefusalCode }
  | { type: 'data'; offset: number; bytes: Uint8Array; ask: boolean }
  | ({ type: 'ack' } & Position)
  | { type: 'fin'; offset: number }
  | { type: 'reset'; code: ResetCode }

/** Bytes that no correct peer sends. */
export interface Violation {
  code: 'type' | 'length' | 'number' | 'text' | 'code'
  text: string
}

const TYPE = {
  open: 1,
  resume: 2,
  accept: 3,
  refuse: 4,
  data: 5,
  asking: 6,
  ack: 7,
  fin: 8,
  reset: 9,
} as const

const REFUSALS: readonly RefusalCode[] = ['unknown-session', 'unknown-protocol', 'busy', 'stale']
const RESETS: readonly ResetCode[] = ['application', 'violation', 'stopping']

/** Type, and the length of the body in three bytes. */
const HEADER_BYTES = 4
const OFFSET_BYTES = 8
const TWO_32 = 2 ** 32

/** The bytes of a frame; those of a data frame are not copied. */
export function encodeFrame(frame: Frame): Uint8Array[] {
  if (frame.type !== 'data') return [encodeControl(frame)]
  const head = new Body(frame.ask ? TYPE.asking : TYPE.data, OFFSET_BYTES, frame.bytes.length)
  return [head.u64(frame.offset).bytes, frame.bytes]
}

function encodeControl(frame: Exclude<Frame, { type: 'data' }>): Uint8Array {
  switch (frame.type) {
    case 'open': {
      const name = new TextEncoder().encode(frame.protocol)
      const body = new Body(TYPE.open, SESSION_ID_BYTES + OFFSET_BYTES + name.length)
      return body.raw(frame.session).u64(frame.limit).raw(name).bytes
    }
    case 'resume': {
      const body = new Body(TYPE.resume, SESSION_ID_BYTES + 4 + 2 * OFFSET_BYTES)
      return body.raw(frame.session).u32(frame.carrier).u64(frame.received).u64(frame.limit).bytes
    }
    case 'accept':
    case 'ack': {
      const body = new Body(TYPE[frame.type], 2 * OFFSET_BYTES)
      return body.u64(frame.received).u64(frame.limit).bytes
    }
    case 'refuse':
      return new Body(TYPE.refuse, 1).u8(REFUSALS.indexOf(frame.code) + 1).bytes
    case 'fin':
      return new Body(TYPE.fin, OFFSET_BYTES).u64(frame.offset).bytes
    default:
      return new Body(TYPE.reset, 1).u8(RESETS.indexOf(frame.code) + 1).bytes
  }
}

/** A frame being written: its header, and as much of the body as is not data. */
class Body {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #at = HEADER_BYTES

  constructor(type: number, length: number, more = 0) {
    this.bytes = new Uint8Array(HEADER_BYTES + length)
    this.#view = new DataView(this.bytes.buffer)
    this.#view.setUint32(0, type * 2 ** 24 + length + more)
  }

  u8(value: number): this {
    this.bytes[this.#at++] = value
    return this
  }

  u32(value: number): this {
    this.#view.setUint32(this.#at, value)
    this.#at += 4
    return this
  }

  u64(value: number): this {
    return this.u32(Math.floor(value / TWO_32)).u32(value % TWO_32)
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }
}

/** Reads the frames of one carrier from chunks cut anywhere. */
export class FrameReader {
  /** What must be complete before it means anything: a header, and the body of whatever is not data. */
  readonly #part = new Uint8Array(HEADER_BYTES + RESUMPTION_LIMITS.controlBytes)
  #have = 0
  /** Of the data frame that is being read. */
  #data = { offset: 0, left: 0, ask: false }
  #wrong: Violation | undefined

  /** Hands over every frame, or piece of a data frame, that the chunk completes; after a violation nothing is read. */
  read(chunk: Uint8Array, take: (frame: Frame) => void): Violation | undefined {
    let rest = chunk
    while (rest.length > 0 && this.#wrong === undefined) {
      rest = this.#data.left > 0 ? this.#readData(rest, take) : this.#readPart(rest, take)
    }
    return this.#wrong
  }

  #readData(chunk: Uint8Array, take: (frame: Frame) => void): Uint8Array {
    const bytes = chunk.subarray(0, this.#data.left)
    const { offset } = this.#data
    this.#data.offset += bytes.length
    this.#data.left -= bytes.length
    take({ type: 'data', offset, bytes, ask: this.#data.ask && this.#data.left === 0 })
    return chunk.subarray(bytes.length)
  }

  #readPart(chunk: Uint8Array, take: (frame: Frame) => void): Uint8Array {
    const wanted = this.#have < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this.#partLength()
    const bytes = chunk.subarray(0, wanted - this.#have)
    this.#part.set(bytes, this.#have)
    this.#have += bytes.length
    if (this.#have >= HEADER_BYTES) {
      this.#wrong = this.#checkHeader()
      if (this.#wrong === undefined && this.#have === HEADER_BYTES + this.#partLength()) {
        this.#have = 0
        this.#takePart(take)
      }
    }
    return chunk.subarray(bytes.length)
  }

  get #type(): number {
    return this.#part[0] as number
  }

  get #isData(): boolean {
    return this.#type === TYPE.data || this.#type === TYPE.asking
  }

  /** The body's length as the header says. */
  #length(): number {
    const [, a, b, c] = this.#part as unknown as [number, number, number, number]
    return a * 65_536 + b * 256 + c
  }

  /** As much of the body as is collected before it is looked at. */
  #partLength(): number {
    return this.#isData ? OFFSET_BYTES : this.#length()
  }

  #checkHeader(): Violation | undefined {
    const bounds = LENGTHS.get(this.#type)
    if (bounds === undefined) return violation('type', `frames of type ${this.#type} do not exist`)
    const length = this.#length()
    if (length >= bounds[0] && length <= bounds[1]) return undefined
    return violation('length', `${length} bytes are no length for a frame of type ${this.#type}`)
  }

  #takePart(take: (frame: Frame) => void): void {
    const body = new Fields(this.#part.subarray(HEADER_BYTES, HEADER_BYTES + this.#partLength()))
    if (this.#isData) {
      const left = this.#length() - OFFSET_BYTES
      this.#data = { offset: body.u64(), left, ask: this.#type === TYPE.asking }
      this.#wrong = body.wrong
      return
    }
    const frame = body.frame(this.#type)
    this.#wrong = body.wrong
    if (this.#wrong === undefined) take(frame)
  }
}

/** Shortest and longest body of each type. */
const LENGTHS = new Map<number, [number, number]>([
  [
    TYPE.open,
    [
      SESSION_ID_BYTES + OFFSET_BYTES + 1,
      SESSION_ID_BYTES + OFFSET_BYTES + RESUMPTION_LIMITS.protocolBytes,
    ],
  ],
  [TYPE.resume, [SESSION_ID_BYTES + 4 + 2 * OFFSET_BYTES, SESSION_ID_BYTES + 4 + 2 * OFFSET_BYTES]],
  [TYPE.accept, [2 * OFFSET_BYTES, 2 * OFFSET_BYTES]],
  [TYPE.refuse, [1, 1]],
  [TYPE.data, [OFFSET_BYTES + 1, OFFSET_BYTES + RESUMPTION_LIMITS.dataBytes]],
  [TYPE.asking, [OFFSET_BYTES + 1, OFFSET_BYTES + RESUMPTION_LIMITS.dataBytes]],
  [TYPE.ack, [2 * OFFSET_BYTES, 2 * OFFSET_BYTES]],
  [TYPE.fin, [OFFSET_BYTES, OFFSET_BYTES]],
  [TYPE.reset, [1, 1]],
])

/** A body being read; what is wrong with it is asked for afterwards. */
class Fields {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0
  wrong: Violation | undefined

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  frame(type: number): Frame {
    switch (type) {
      case TYPE.open:
        return { type: 'open', session: this.#id(), limit: this.u64(), protocol: this.#text() }
      case TYPE.resume:
        return { type: 'resume', session: this.#id(), carrier: this.#u32(), ...this.#position() }
      case TYPE.accept:
        return { type: 'accept', ...this.#position() }
      case TYPE.refuse:
        return { type: 'refuse', code: this.#code(REFUSALS) }
      case TYPE.ack:
        return { type: 'ack', ...this.#position() }
      case TYPE.fin:
        return { type: 'fin', offset: this.u64() }
      default:
        return { type: 'reset', code: this.#code(RESETS) }
    }
  }

  u64(): number {
    const value = this.#u32() * TWO_32 + this.#u32()
    if (value > Number.MAX_SAFE_INTEGER) this.wrong = violation('number', 'an offset above 2^53-1')
    return value
  }

  #position(): Position {
    return { received: this.u64(), limit: this.u64() }
  }

  #u32(): number {
    this.#at += 4
    return this.#view.getUint32(this.#at - 4)
  }

  #id(): Uint8Array {
    this.#at += SESSION_ID_BYTES
    return this.#bytes.slice(this.#at - SESSION_ID_BYTES, this.#at)
  }

  #text(): string {
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      return text.decode(this.#bytes.subarray(this.#at))
    } catch {
      this.wrong = violation('text', 'the name of the protocol is not UTF-8')
      return ''
    }
  }

  /** Numbers that a later version may add read as the first one, the most general. */
  #code<Code>(codes: readonly Code[]): Code {
    const number = this.#bytes[this.#at] as number
    if (number === 0) this.wrong = violation('code', 'code 0 does not exist')
    return codes[number - 1] ?? (codes[0] as Code)
  }
}

function violation(code: Violation['code'], text: string): Violation {
  return { code, text }
}
