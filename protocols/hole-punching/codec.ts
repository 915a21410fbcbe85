import { endpointBytes, endpointFromBytes } from '../kernel/address.ts'
import { attempt } from '../kernel/protobuf-bytes.ts'
import type { ValueOf } from '../kernel/protobuf.ts'
import type { Endpoint, SideFacts } from './facts.ts'
import { LIMITS } from './limits.ts'
import { Punch } from './messages.ts'

/** How both sides try to meet in one round. */
export type RoundMethod = 'meet' | 'burst' | 'search'

export type RefuseCode = 'busy' | 'too-many' | 'unvouched' | 'too-soon' | 'unsupported'

/** One message: whose campaign (as hex), which round of it, and what is said. */
export type PunchMessage = { campaign: string; round: number } & Body

/** Why bytes are no message of ours; stable, and counted. */
export type Violation =
  | 'too-long'
  | 'malformed'
  | 'version'
  | 'campaign'
  | 'round'
  | 'body'
  | 'endpoint'
  | 'port'

export type Decoded = { ok: true; value: PunchMessage } | { ok: false; violation: Violation }

/** Length of a campaign's name. */
export const CAMPAIGN_BYTES = 16

const VERSION = 1
const MAX_ROUND = 16
const CODES: readonly RefuseCode[] = ['busy', 'too-many', 'unvouched', 'too-soon', 'unsupported']

export function encode(message: PunchMessage): Uint8Array {
  const head = { version: VERSION, campaign: fromHex(message.campaign), round: message.round }
  switch (message.type) {
    case 'ask': {
      const { method, callerOpens, blind } = message
      return Punch.encode({
        ...head,
        ask: { method, callerOpens, blind, facts: factsToWire(message.facts) },
      })
    }
    case 'answer':
      return Punch.encode({ ...head, answer: { facts: factsToWire(message.facts) } })
    default:
      return Punch.encode({
        ...head,
        refuse: { code: CODES.indexOf(message.code) + 1, afterS: message.afterS },
      })
  }
}

/** Reads a message of a stranger. */
export function decode(bytes: Uint8Array): Decoded {
  if (bytes.byteLength > LIMITS.messageBytes) return { ok: false, violation: 'too-long' }
  const wire = attempt(() => Punch.decode(bytes))
  if (wire === undefined) return { ok: false, violation: 'malformed' }
  if (wire.version !== VERSION) return { ok: false, violation: 'version' }
  if (wire.campaign.byteLength !== CAMPAIGN_BYTES) return { ok: false, violation: 'campaign' }
  if (wire.round < 1 || wire.round > MAX_ROUND) return { ok: false, violation: 'round' }
  const body = readBody(wire)
  if (typeof body === 'string') return { ok: false, violation: body }
  return { ok: true, value: { campaign: toHex(wire.campaign), round: wire.round, ...body } }
}

type Wire = ValueOf<typeof Punch>
type WireFacts = NonNullable<NonNullable<Wire['answer']>['facts']>
/** What a message says, apart from where it belongs. */
type Body =
  | { type: 'ask'; method: RoundMethod; facts: SideFacts; callerOpens: boolean; blind: boolean }
  | { type: 'answer'; facts: SideFacts }
  | { type: 'refuse'; code: RefuseCode; afterS: number }

function readBody({ ask, answer, refuse }: Wire): Body | Violation {
  const bodies = [ask, answer, refuse].filter((body) => body !== undefined)
  if (bodies.length !== 1) return 'body'
  if (refuse !== undefined) {
    return { type: 'refuse', code: CODES[refuse.code - 1] ?? 'busy', afterS: refuse.afterS }
  }
  const facts = readFacts((ask ?? answer)?.facts)
  if (typeof facts === 'string') return facts
  if (ask === undefined) return { type: 'answer', facts }
  const { method, callerOpens, blind } = ask
  if (method === 'unspecified') return 'body'
  return { type: 'ask', method, callerOpens, blind, facts }
}

function readFacts(wire: WireFacts | undefined): SideFacts | Violation {
  if (wire === undefined) return 'body'
  const external = wire.external.map(endpointFromBytes)
  const lan = wire.lan.map(endpointFromBytes)
  if (![...external, ...lan].every(isEndpoint)) return 'endpoint'
  if (!wire.ports.every(isPort)) return 'port'
  return { ...wire, external: external.filter(isEndpoint), lan: lan.filter(isEndpoint) }
}

function factsToWire(facts: SideFacts): WireFacts {
  return {
    ...facts,
    external: facts.external
      .slice(0, LIMITS.external)
      .map(({ ip, port }) => endpointBytes(ip, port)),
    lan: facts.lan.slice(0, LIMITS.lan).map(({ ip, port }) => endpointBytes(ip, port)),
    ports: facts.ports.slice(-LIMITS.ports),
  }
}

const isEndpoint = (endpoint: Endpoint | undefined): endpoint is Endpoint => endpoint !== undefined
const isPort = (port: number): boolean => port >= 1 && port <= 65_535

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}
