import { ipFromBytes, ipBytes } from '../kernel/address.ts'
import { isPeer } from '../kernel/peer.ts'
import { attempt, delimited } from '../kernel/protobuf-bytes.ts'
import type { ValueOf } from '../kernel/protobuf.ts'
import { concat } from './box.ts'
import { SIGNAL_LIMITS } from './limits.ts'
import { FrameMessage } from './messages.ts'

/** Why a relay does not hand a message on. */
export type RefusalCode = 'unknown-target' | 'too-big' | 'too-fast' | 'not-served'

/** A frame as its receiver uses it. Peer ids are the 38 bytes of an Ed25519 id; `skip` is of a later version. */
export type Frame =
  | { type: 'pass'; to: Uint8Array; sealed: Uint8Array; id: number }
  | { type: 'passed'; from: Uint8Array; ip: string; port: number; sealed: Uint8Array }
  | { type: 'refused'; id: number; code: RefusalCode }
  | { type: 'skip' }

/** Bytes that no correct peer sends, as a value; `code` is stable, `text` is for people. */
export interface Violation {
  code: 'too-long' | 'malformed' | 'ambiguous' | 'peer' | 'endpoint'
  text: string
}

/** A frame, or what is wrong with the bytes that should have been one. */
export type Decoded = { ok: true; frame: Frame } | { ok: false; violation: Violation }

const CODES = {
  'unknown-target': 1,
  'too-big': 2,
  'too-fast': 3,
  'not-served': 4,
} as const satisfies Record<RefusalCode, number>

/** The bytes of a frame as they stand on a stream, their length in front. */
export function encodeFrame(frame: Exclude<Frame, { type: 'skip' }>): Uint8Array {
  return delimited(FrameMessage.encode(wireForm(frame)))
}

/** Reads the bytes of one frame, without its length. Never throws. */
export function decodeFrame(bytes: Uint8Array): Decoded {
  if (bytes.length > SIGNAL_LIMITS.frameBytes) return tooLong(bytes.length)
  const decoded = attempt(() => FrameMessage.decode(bytes))
  if (decoded === undefined) return violation('malformed', 'no protobuf message of that kind')
  const { pass, passed, refused } = decoded
  const set = [pass, passed, refused].filter((body) => body !== undefined)
  if (set.length > 1) return violation('ambiguous', 'a frame that is several things at once')
  if (pass !== undefined) return readPass(pass)
  if (passed !== undefined) return readPassed(passed)
  if (refused === undefined) return ok({ type: 'skip' })
  return ok({ type: 'refused', id: refused.id, code: codeOf(refused.code) })
}

/** Cuts what a stream delivers into frames. */
export class FrameReader {
  #rest = new Uint8Array()

  /** Bytes of a frame that is not complete: less than the largest one with its length. */
  get held(): number {
    return this.#rest.length
  }

  /** The frames that are complete now. After a violation, or when it is left early, the reader is of no more use. */
  *read(chunk: Uint8Array): Generator<Decoded> {
    let bytes = this.#rest.length === 0 ? chunk : concat([this.#rest, chunk])
    let prefix = lengthAt(bytes)
    while (prefix !== undefined) {
      const { from, length } = prefix
      if (length > SIGNAL_LIMITS.frameBytes) {
        yield tooLong(length)
        return
      }
      if (bytes.length < from + length) break
      yield decodeFrame(bytes.subarray(from, from + length))
      bytes = bytes.subarray(from + length)
      prefix = lengthAt(bytes)
    }
    this.#rest = new Uint8Array(bytes) // a copy: a view would hold on to the whole chunk
  }
}

/** The varint at the start; undefined when it is not complete. One that does not end counts as endless. */
function lengthAt(bytes: Uint8Array): { length: number; from: number } | undefined {
  let length = 0
  // Five bytes hold 32 bits; whoever sends more has no length in mind.
  for (let at = 0; at < 5; at++) {
    const byte = bytes[at]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return { length, from: at + 1 }
  }
  return { length: Infinity, from: 5 }
}

type Wire = ValueOf<typeof FrameMessage>
type Body<K extends keyof Wire> = NonNullable<Wire[K]>

function wireForm(frame: Exclude<Frame, { type: 'skip' }>): Partial<Wire> {
  if (frame.type === 'pass') return { pass: frame }
  if (frame.type === 'refused') return { refused: { id: frame.id, code: CODES[frame.code] } }
  const { from, ip, port, sealed } = frame
  return { passed: { from, seenIp: ipBytes(ip) ?? new Uint8Array(), seenPort: port, sealed } }
}

function readPass({ to, sealed, id }: Body<'pass'>): Decoded {
  if (!isPeer(to)) return violation('peer', 'the target is no Ed25519 peer id')
  return ok({ type: 'pass', to, sealed, id })
}

function readPassed({ from, seenIp, seenPort, sealed }: Body<'passed'>): Decoded {
  if (!isPeer(from)) return violation('peer', 'the sender is no Ed25519 peer id')
  const ip = ipFromBytes(seenIp)
  if (ip === undefined || seenPort < 1 || seenPort > 65_535) {
    return violation('endpoint', 'the sender is seen at what is no endpoint')
  }
  return ok({ type: 'passed', from, ip, port: seenPort, sealed })
}

/** A reason that we do not know tells as much as "not served". */
function codeOf(number: number): RefusalCode {
  const entry = Object.entries(CODES).find(([, value]) => value === number)
  return (entry?.[0] as RefusalCode | undefined) ?? 'not-served'
}

function ok(frame: Frame): Decoded {
  return { ok: true, frame }
}

function violation(code: Violation['code'], text: string): Decoded {
  return { ok: false, violation: { code, text } }
}

function tooLong(length: number): Decoded {
  const announced = Number.isFinite(length) ? `${length} bytes` : 'a length that does not end'
  return violation('too-long', `${announced}, at most ${SIGNAL_LIMITS.frameBytes} are allowed`)
}
