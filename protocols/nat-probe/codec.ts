import { endpointBytes, endpointFromBytes } from '../kernel/address.ts'
import { attempt } from '../kernel/protobuf-bytes.ts'
import type { ValueOf } from '../kernel/protobuf.ts'
import { PROBE_LIMITS } from './limits.ts'
import { Probe } from './messages.ts'

/** An IP address and a TCP port. */
export interface Endpoint {
  ip: string
  port: number
}

/** What came of a dial, as the one that dialled tells. */
export type DialOutcome = 'reached' | 'refused' | 'silent' | 'failed'

/** Why nothing was done: `no-third` knows nobody to send, `voucher` is not good, `unknown` was never asked for. */
export type RefusalCode = 'too-many' | 'no-third' | 'unsupported' | 'voucher' | 'unknown'

/** A message as its receiver uses it. Nonces are bytes; `skip` is of a later version. */
export type ProbeMessage =
  | { type: 'sample'; connections: number }
  | { type: 'opened'; seen: Endpoint; port: number }
  | { type: 'seen'; tag: Uint8Array; endpoint: Endpoint }
  | { type: 'back'; nonce: Uint8Array; port: number; byOther: boolean }
  | { type: 'outcome'; outcome: DialOutcome }
  | { type: 'errand'; voucher: Uint8Array; signature: Uint8Array }
  | { type: 'knock'; nonce: Uint8Array }
  | { type: 'refused'; code: RefusalCode }
  | { type: 'skip' }

/** Why bytes are no message; stable, and counted. */
export type Violation =
  | 'too-long'
  | 'malformed'
  | 'ambiguous'
  | 'connections'
  | 'endpoint'
  | 'port'
  | 'nonce'
  | 'outcome'
  | 'signature'

/** A message, or what is wrong with the bytes. */
export type Decoded = { ok: true; value: ProbeMessage } | { ok: false; violation: Violation }

const OUTCOMES: readonly DialOutcome[] = ['reached', 'refused', 'silent', 'failed']
const REFUSALS: readonly RefusalCode[] = [
  'too-many',
  'no-third',
  'unsupported',
  'voucher',
  'unknown',
]

/** The bytes of a message, without its length. */
export function encode(message: Exclude<ProbeMessage, { type: 'skip' }>): Uint8Array {
  return Probe.encode(wireForm(message))
}

/** Reads a message of a stranger. Never throws. */
export function decode(bytes: Uint8Array): Decoded {
  if (bytes.byteLength > PROBE_LIMITS.messageBytes) return { ok: false, violation: 'too-long' }
  const wire = attempt(() => Probe.decode(bytes))
  if (wire === undefined) return { ok: false, violation: 'malformed' }
  const bodies = Object.values(wire).filter((body) => body !== undefined)
  if (bodies.length > 1) return { ok: false, violation: 'ambiguous' }
  const value = readBody(wire)
  return typeof value === 'string' ? { ok: false, violation: value } : { ok: true, value }
}

type Wire = ValueOf<typeof Probe>

function wireForm(message: Exclude<ProbeMessage, { type: 'skip' }>): Partial<Wire> {
  switch (message.type) {
    case 'sample':
      return { sample: message }
    case 'opened': {
      const { seen, port } = message
      return { opened: { seen: endpointBytes(seen.ip, seen.port), port } }
    }
    case 'seen': {
      const { tag, endpoint } = message
      return { seen: { tag, endpoint: endpointBytes(endpoint.ip, endpoint.port) } }
    }
    case 'back':
      return { back: message }
    case 'outcome':
      return { outcome: { code: OUTCOMES.indexOf(message.outcome) + 1 } }
    case 'errand':
      return { errand: message }
    case 'knock':
      return { knock: message }
    default:
      return { refused: { code: REFUSALS.indexOf(message.code) + 1 } }
  }
}

function readBody(wire: Wire): ProbeMessage | Violation {
  const { sample, opened, seen, back, outcome, errand, knock, refused } = wire
  if (sample !== undefined) return readSample(sample)
  if (opened !== undefined) return readOpened(opened)
  if (seen !== undefined) return readSeen(seen)
  if (back !== undefined) return readBack(back)
  if (outcome !== undefined) return readOutcome(outcome)
  if (errand !== undefined) return readErrand(errand)
  if (knock !== undefined) return isNonce(knock.nonce) ? { type: 'knock', ...knock } : 'nonce'
  if (refused === undefined) return { type: 'skip' }
  // A reason that we do not know tells as much as that the peer cannot.
  return { type: 'refused', code: REFUSALS[refused.code - 1] ?? 'unsupported' }
}

type Body<K extends keyof Wire> = NonNullable<Wire[K]>

function readSample({ connections }: Body<'sample'>): ProbeMessage | Violation {
  if (connections < 1 || connections > PROBE_LIMITS.sampleConnections) return 'connections'
  return { type: 'sample', connections }
}

function readOpened({ seen, port }: Body<'opened'>): ProbeMessage | Violation {
  const endpoint = endpointFromBytes(seen)
  if (endpoint === undefined) return 'endpoint'
  return isPort(port) ? { type: 'opened', seen: endpoint, port } : 'port'
}

function readSeen({ tag, endpoint }: Body<'seen'>): ProbeMessage | Violation {
  const read = endpointFromBytes(endpoint)
  if (read === undefined) return 'endpoint'
  return isNonce(tag) ? { type: 'seen', tag, endpoint: read } : 'nonce'
}

function readBack({ nonce, port, byOther }: Body<'back'>): ProbeMessage | Violation {
  if (!isNonce(nonce)) return 'nonce'
  return port === 0 || isPort(port) ? { type: 'back', nonce, port, byOther } : 'port'
}

function readOutcome({ code }: Body<'outcome'>): ProbeMessage | Violation {
  const outcome = OUTCOMES[code - 1]
  return outcome === undefined ? 'outcome' : { type: 'outcome', outcome }
}

function readErrand(errand: Body<'errand'>): ProbeMessage | Violation {
  if (errand.signature.length !== PROBE_LIMITS.signatureBytes) return 'signature'
  return { type: 'errand', ...errand }
}

const isNonce = ({ length }: Uint8Array): boolean => length === PROBE_LIMITS.nonceBytes

const isPort = (port: number): boolean => port >= 1 && port <= 65_535
