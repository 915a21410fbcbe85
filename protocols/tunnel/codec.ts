import { attempt } from '../kernel/protobuf-bytes.ts'
import { isServiceName, TUNNEL_LIMITS } from './limits.ts'
import { Answer, Open } from './messages.ts'

/** Why a peer does not open a stream to its service. */
export type RefusalCode = 'unknown' | 'denied' | 'unavailable' | 'busy'

/** What a peer asks for. */
export interface OpenRequest {
  service: string
  flags: number
}

/** What it is told: `flags` are the ones of the request that were granted. */
export type OpenAnswer =
  | { opened: true; flags: number }
  | { opened: false; code: RefusalCode; message: string }

/** Bytes that no correct peer sends, as a value; `code` is stable, `text` is for people. */
export interface Violation {
  code: 'too-long' | 'malformed' | 'version' | 'name' | 'answer'
  text: string
}

/** A message, or what is wrong with the bytes that should have been one. */
export type Decoded<T> = { ok: true; value: T } | { ok: false; violation: Violation }

const VERSION = 1

const CODES = { unknown: 1, denied: 2, unavailable: 3, busy: 4 } as const satisfies Record<
  RefusalCode,
  number
>

/** Bytes of an Open message. */
export function encodeOpen(request: OpenRequest): Uint8Array {
  return Open.encode({ version: VERSION, flags: request.flags, service: request.service })
}

/** Reads an Open message. */
export function decodeOpen(bytes: Uint8Array): Decoded<OpenRequest> {
  return guarded<OpenRequest>(bytes, () => {
    const { version, flags, service } = Open.decode(bytes)
    if (version !== VERSION) return unknownVersion(version)
    if (!isServiceName(service)) return violation('name', 'the service name is not a valid one')
    return { ok: true, value: { service, flags } }
  })
}

/** Bytes of an Answer message; the text of a refusal is cut to what the protocol allows. */
export function encodeAnswer(answer: OpenAnswer): Uint8Array {
  if (answer.opened) return Answer.encode({ version: VERSION, opened: { flags: answer.flags } })
  const refused = { code: CODES[answer.code], message: oneLine(answer.message) }
  return Answer.encode({ version: VERSION, refused })
}

/** Reads an Answer message. A refusal for a reason that we do not know reads as `unavailable`. */
export function decodeAnswer(bytes: Uint8Array): Decoded<OpenAnswer> {
  return guarded<OpenAnswer>(bytes, () => {
    const { version, opened, refused } = Answer.decode(bytes)
    if (version !== VERSION) return unknownVersion(version)
    if (opened !== undefined && refused !== undefined)
      return violation('answer', 'the answer both opens and refuses')
    if (opened !== undefined) return { ok: true, value: { opened: true, flags: opened.flags } }
    if (refused === undefined) return violation('answer', 'the answer neither opens nor refuses')
    return {
      ok: true,
      value: { opened: false, code: codeOf(refused.code), message: oneLine(refused.message) },
    }
  })
}

function guarded<T>(bytes: Uint8Array, read: () => Decoded<T>): Decoded<T> {
  const limit = TUNNEL_LIMITS.messageBytes
  if (bytes.byteLength > limit)
    return violation('too-long', `${bytes.byteLength} bytes, at most ${limit} are allowed`)
  // Which of the many ways to be no protobuf message this was helps nobody.
  return attempt(read) ?? violation('malformed', 'not a protobuf message of the expected kind')
}

function violation(code: Violation['code'], text: string): { ok: false; violation: Violation } {
  return { ok: false, violation: { code, text } }
}

function unknownVersion(version: number): { ok: false; violation: Violation } {
  return violation('version', `version ${version} of the message; only ${VERSION} exists`)
}

function codeOf(number: number): RefusalCode {
  const entry = Object.entries(CODES).find(([, value]) => value === number)
  return (entry?.[0] as RefusalCode | undefined) ?? 'unavailable'
}

/** The text ends on terminals and in logs: one line, nothing that moves a cursor, a bounded length. */
function oneLine(text: string): string {
  return text
    .replaceAll(/[\p{C}\u2028\u2029]+/gu, ' ')
    .slice(0, TUNNEL_LIMITS.refusalTextLength)
    .toWellFormed()
    .trim()
}
