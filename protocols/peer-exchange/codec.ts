import { attempt } from '../kernel/protobuf-bytes.ts'
import { limits } from './limits.ts'
import { FrameMessage } from './messages.ts'
import type { Frame, FrameOf } from './messages.ts'

/** The protocol's name on the wire. */
export const PROTOCOL = '/warren/peer-exchange/1.0.0'

/** Everything a peer can do wrong with bytes, by stable code. */
export type Fault =
  | 'frame-too-large'
  | 'frame-malformed' // no protobuf, a list or field over its limit, a number out of range
  | 'frame-empty' // no body, or one of a kind this version does not know
  | 'frame-ambiguous' // more than one body
  | 'answer-unexpected' // a frame that does not answer what was asked, or is no question
  | 'lists-differ' // two lists that must be of one length are not
  | EnvelopeFault
  | RecordFault

/** What can be wrong with an envelope before its payload is looked at. */
export type EnvelopeFault =
  | 'envelope-too-large'
  | 'envelope-malformed'
  | 'payload-type-wrong'
  | 'key-unsupported' // anything but Ed25519
  | 'signature-invalid'
  | 'signer-wrong' // a Hello whose record is about somebody else

/** What can be wrong with the record in a well-signed envelope. */
export type RecordFault =
  | 'record-malformed'
  | 'version-unsupported'
  | 'network-different'
  | 'seq-zero'
  | 'ttl-out-of-range'
  | 'issued-in-future'
  | 'expired'
  | 'service-malformed'

export type Result<T, Code = Fault> = { ok: true; value: T } | { ok: false; fault: Code }

export const ok = <T>(value: T): { ok: true; value: T } => ({ ok: true, value })
export const bad = <Code>(fault: Code): { ok: false; fault: Code } => ({ ok: false, fault })

/** The bytes of a frame, without length prefix. */
export function encodeFrame(frame: Frame): Uint8Array {
  const { type, ...body } = frame
  return FrameMessage.encode({ [type]: body })
}

/** Reads the bytes of a frame, without length prefix. Never throws. */
export function decodeFrame(bytes: Uint8Array): Result<Frame> {
  if (bytes.length > limits.frameBytes) return bad('frame-too-large')
  const decoded = attempt(() => FrameMessage.decode(bytes))
  if (decoded === undefined) return bad('frame-malformed')
  const set = Object.entries(decoded).filter(([, body]) => body !== undefined)
  const [first] = set
  if (first === undefined) return bad('frame-empty')
  if (set.length > 1) return bad('frame-ambiguous')
  const frame = { type: first[0], ...(first[1] as object) } as Frame
  if (frame.type === 'sample' && !isParallel(frame)) return bad('lists-differ')
  return ok(frame)
}

/** Groups may be left out altogether. */
function isParallel({ ids, seqLo, groups }: FrameOf<'sample'>): boolean {
  return ids.length === seqLo.length && (groups.length === 0 || groups.length === ids.length)
}
