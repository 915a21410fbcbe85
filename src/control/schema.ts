/**
 * What goes over the HTTP API, as zod schemas: requests are checked by them, the OpenAPI document is built
 * from them, and `satisfies` keeps them equal to the types of the node.
 */
import { z } from 'zod'
import {
  PEER_ID,
  parseAllow,
  parseListen,
  parseServiceName,
  parseTarget,
} from '../config/places.ts'
import type { ErrorCode } from '../../protocols/kernel/errors.ts'
import type * as node from '../types.ts'

export type * from '../types.ts'

/** Codes that only the API can answer with, beside those of the node. */
export type ApiErrorCode =
  | ErrorCode
  | 'ERR_REQUEST_INVALID' // the request does not fit the schema
  | 'ERR_UNAUTHORIZED' // the token is missing or wrong
  | 'ERR_FORBIDDEN' // host or origin is not allowed to ask
  | 'ERR_NOT_FOUND' // no such route, service or forward
  | 'ERR_INTERNAL' // a defect; the log of the node says more

/** The longest a caller may wait for a connection: beyond this proxies and people have given up. */
const MAX_TIMEOUT_MS = 120_000
/** Peers on one service's list; more than a page of them is a group, which is what `all` is for. */
const MAX_ALLOWED_PEERS = 256

const timeoutMs = z.int().min(1).max(MAX_TIMEOUT_MS)
const time = z.string().describe('ISO 8601')
const peer = z.string().describe('peer id')
const address = z.string().describe('multiaddr')
const natBehaviour = z.enum([
  'none',
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'unknown',
]) satisfies z.ZodType<node.NatBehaviour>
const verdict = z.enum(['public', 'private', 'unknown']) satisfies z.ZodType<node.Verdict>
const method = z.enum([
  'dial',
  'reverse',
  'lan',
  'punch',
  'birthday',
  'inbound',
]) satisfies z.ZodType<node.PathMethod>
const knownFrom = z
  .string()
  .describe('peer id of who told us, or bootstrap, inbound, book or config')

const path = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('direct'), address, method, rttMs: z.number().exactOptional() }),
  z.object({ kind: z.literal('relayed'), via: peer, rttMs: z.number().exactOptional() }),
]) satisfies z.ZodType<node.Path>

const portMapping = z.enum(['none', 'upnp', 'nat-pmp', 'pcp'])

const natFacts = z.object({
  mapping: natBehaviour,
  filtering: natBehaviour,
  ports: z
    .enum(['preserved', 'shifted', 'sequential', 'random', 'unknown'])
    .describe('how the router picks outside ports'),
  externalAddresses: z.array(z.string()),
  portMapping,
}) satisfies z.ZodType<node.NatFacts>

const condition = z.object({
  code: z.string(),
  severity: z.enum(['info', 'degraded', 'broken']),
  since: time,
  text: z.string(),
  remedy: z.string().exactOptional(),
}) satisfies z.ZodType<node.Condition>

const serviceInfo = z.object({
  name: z.string(),
  allow: z.union([z.literal('all'), z.array(peer)]),
  target: z.string().describe('HOST:PORT it leads to'),
}) satisfies z.ZodType<node.ServiceInfo>

const forwardInfo = z.object({
  listen: z.string().describe('HOST:PORT this node listens on'),
  peer,
  service: z.string(),
  open: z.int(),
  bytesIn: z.int(),
  bytesOut: z.int(),
}) satisfies z.ZodType<node.ForwardInfo>

const relayShare = z.object({
  reservations: z.int(),
  circuits: z.int(),
  bytes: z.int(),
}) satisfies z.ZodType<node.RelayShare>

const usedOf = z.object({ used: z.int(), limit: z.int() })

const relayBudgets = z.object({
  reservations: usedOf,
  circuits: usedOf,
  bytes: z
    .object({ left: z.int(), limit: z.int(), perSecond: z.int() })
    .describe('of all circuits together; used-up ones come back at so many a second'),
  perPeer: relayShare,
  perAddress: relayShare,
  perNetwork: relayShare.describe('a public /24 or /48'),
  limitedBy: z
    .enum(['configuration', 'memory', 'files', 'connections'])
    .describe('what sets the limit of reservations'),
  busy: z.boolean().describe('the host has no time left: nothing new is taken on'),
  refused: z.record(z.string(), z.int()).describe('requests refused since the start, by reason'),
}) satisfies z.ZodType<node.RelayBudgets>

const nodeStatus = z.object({
  peerId: peer,
  version: z.string(),
  network: z.string(),
  phase: z.enum(['starting', 'running', 'stopping', 'stopped']),
  addresses: z.array(address),
  listening: z.array(address),
  reachability: z.object({
    verdict,
    since: time,
    confirmations: z.int(),
    evidence: z.array(
      z.object({
        kind: z.enum(['configuration', 'inbound', 'port-mapping', 'probe', 'autonat', 'observers']),
        says: verdict,
        networks: z.int().describe('how many say so'),
        at: time.describe('of the newest'),
      }),
    ),
  }),
  nat: natFacts,
  relays: z.array(
    z.object({
      peer,
      state: z
        .enum(['held', 'reserving', 'warm'])
        .describe('warm: connected, and asked as soon as one of the others is lost'),
      until: time.exactOptional(),
      rttMs: z.number().exactOptional(),
      forwards: z
        .boolean()
        .exactOptional()
        .describe('whether a circuit of our own came through it, when that was last tried'),
    }),
  ),
  overlay: z.object({
    chosen: z.int(),
    accepted: z.int(),
    reached: z.int(),
    heard: z.int(),
    lost: z.int(),
    estimatedSize: z.int().exactOptional(),
    healing: z.boolean(),
    closed: z.boolean(),
  }),
  serving: z.object({
    relay: z.boolean(),
    reservations: z.int(),
    circuits: z.int(),
    bytesRelayed: z.int(),
    budgets: relayBudgets,
  }),
  links: z.object({ direct: z.int(), relayed: z.int() }),
  peersKnown: z.int(),
  services: z.array(z.string()),
  conditions: z.array(condition),
  transport: z.object({ portReuse: z.boolean(), reason: z.string().exactOptional() }),
}) satisfies z.ZodType<node.NodeStatus>

const peerStatus = z.object({
  peer,
  state: z.enum(['linked', 'known']),
  path: path.exactOptional(),
  reachability: verdict,
  nat: z.object({ mapping: natBehaviour, filtering: natBehaviour }),
  services: z.array(z.string()),
  addresses: z.array(address),
  knownFrom,
  lastSeen: time,
}) satisfies z.ZodType<node.PeerStatus>

const doctorCheck = z.object({
  code: z.string(),
  title: z.string(),
  result: z.enum(['ok', 'warning', 'problem', 'unknown']),
  text: z.string(),
  meaning: z.string().exactOptional(),
  remedy: z.string().exactOptional(),
  pending: z.string().exactOptional(),
}) satisfies z.ZodType<node.DoctorCheck>

const sideNetwork = z.object({
  reachability: verdict,
  mapping: natBehaviour,
  filtering: natBehaviour,
  external: z
    .array(z.string())
    .describe('HOST:PORT where others see its listening port, best first'),
  text: z.string().describe('the same in a few words'),
}) satisfies z.ZodType<node.SideNetwork>

const prediction = z.object({
  method: z.enum(['lan', 'dial', 'reverse', 'punch', 'birthday', 'relay']),
  chance: z.enum(['sure', 'likely', 'possible', 'none']),
  text: z.string().describe('why, in one sentence'),
  remedy: z.string().exactOptional(),
}) satisfies z.ZodType<node.PunchPrediction>

const punchAttempt = z.object({
  at: time,
  side: z.enum(['caller', 'callee']).describe('who led: the caller asks, the callee answers'),
  round: z.int().describe('place in a series; every round differs from the one before'),
  method: z
    .enum(['lan', 'punch', 'burst', 'birthday'])
    .describe('burst: a punch whose dials are spread over a wider window'),
  carrier: z
    .enum(['signal', 'relayed'])
    .describe('a message that a relay passed on, or the relayed connection'),
  outcome: z.enum(['success', 'failed', 'cancelled', 'no_suitable_address']),
  ms: z.number(),
  reason: z.string().exactOptional(),
  address: address.exactOptional(),
  candidates: z.array(z.string()).describe('HOST:PORT of what was dialled'),
  steps: z
    .array(z.object({ name: z.string(), ms: z.number() }))
    .describe('what was waited for, and when it was over, counted from the beginning'),
}) satisfies z.ZodType<node.PunchAttempt>

const explanation = z.object({
  peer,
  text: z.string().describe('the answer in one sentence'),
  path: path.exactOptional().describe('absent: not connected'),
  prediction,
  own: sideNetwork,
  remote: sideNetwork,
  candidates: z.array(
    z.object({
      address,
      origin: z
        .enum(['record', 'told', 'lan', 'relay'])
        .describe('from its record, or told when both tried to meet'),
      state: z.enum(['in-use', 'tried', 'known']),
    }),
  ),
  attempts: z.array(punchAttempt).describe('the last ones, oldest first'),
  next: z
    .object({ at: time.exactOptional(), text: z.string() })
    .exactOptional()
    .describe('what this node does next'),
  remedy: z.string().exactOptional().describe('what a person can do'),
}) satisfies z.ZodType<node.Explanation>

const topology = z.object({
  nodes: z.array(
    z.object({
      peer,
      self: z.literal(true).exactOptional(),
      reachability: verdict,
      relay: z.boolean(),
    }),
  ),
  edges: z.array(
    z.object({
      from: peer,
      to: peer,
      kind: z.enum(['direct', 'relayed', 'reservation']),
      via: peer.exactOptional(),
    }),
  ),
}) satisfies z.ZodType<node.Topology>

const event = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.object({ type: z.literal(type), at: time, ...fields })

const reason = z.string()
const ms = z.number()
const nodeEvent = z.discriminatedUnion('type', [
  event('node:ready', { peerId: peer, addresses: z.array(address), api: z.string().nullable() }),
  event('node:stopping', { reason }),
  event('addresses:changed', { addresses: z.array(address) }),
  event('reachability:changed', { verdict, nat: natFacts }),
  event('port-mapping:changed', { portMapping, externalPort: z.int().nullable(), reason }),
  event('relay:held', { peer, until: time }),
  event('relay:lost', { peer, reason }),
  event('relay:serving', { on: z.boolean(), reason }),
  event('peer:found', { peer, from: knownFrom }),
  event('peer:linked', { peer, path }),
  event('peer:path-changed', { peer, from: path, to: path, ms }),
  event('peer:gone', { peer, reason }),
  event('punch:started', { peer, method }),
  event('punch:succeeded', { peer, method, ms, address }),
  event('punch:failed', { peer, method, ms, reason }),
  event('condition:raised', { condition }),
  event('condition:cleared', { code: z.string() }),
  event('service:refused', { service: z.string(), peer, reason }),
]) satisfies z.ZodType<node.NodeEvent>

/** A peer, by id or by a multiaddr that ends in `/p2p/…`. 512 characters hold any circuit address. */
export const peerOrAddress = z
  .string()
  .max(512)
  .refine(
    (value) => PEER_ID.test(value) || value.startsWith('/'),
    'a peer is named by its id (12D3KooW…) or by a multiaddr (/ip4/…/p2p/12D3KooW…)',
  )

const connectRequest = z.strictObject({
  path: z.enum(['any', 'direct']).exactOptional(),
  timeoutMs: timeoutMs.exactOptional(),
})
const pingRequest = z.strictObject({ timeoutMs: timeoutMs.exactOptional() })
const serviceRequest = z.strictObject({
  name: z.string().refine(reads(parseServiceName), 'not a service name'),
  target: z.string().refine(reads(parseTarget), 'not HOST:PORT'),
  allow: z.union([
    z.literal('all'),
    z.array(z.string()).max(MAX_ALLOWED_PEERS).refine(reads(parseAllow), 'not a list of peer ids'),
  ]),
})
const forwardRequest = z.strictObject({
  listen: z.string().refine(reads(parseListen), 'not [HOST:]PORT'),
  peer: z.string().regex(PEER_ID, 'not a peer id'),
  service: z.string().refine(reads(parseServiceName), 'not a service name'),
})

const connectResult = z.object({ peer, path, ms })
const pingResult = z.object({ peer, rttMs: ms, path }) satisfies z.ZodType<node.PingResult>
const readiness = z.object({ ready: z.boolean(), reasons: z.array(z.string()) })
const errorBody = z.object({
  code: z.string().describe('stable; branch on it'),
  message: z.string().describe('what happened'),
  detail: z.looseObject({ remedy: z.string().exactOptional().describe('what to do about it') }),
})

/** Every schema with the name it has in the OpenAPI document. */
export const schemas = {
  NodeStatus: nodeStatus,
  PeerStatus: peerStatus,
  Path: path,
  Condition: condition,
  NodeEvent: nodeEvent,
  ServiceInfo: serviceInfo,
  ForwardInfo: forwardInfo,
  DoctorCheck: doctorCheck,
  Explanation: explanation,
  Topology: topology,
  ConnectRequest: connectRequest,
  ConnectResult: connectResult,
  PingRequest: pingRequest,
  PingResult: pingResult,
  ServiceRequest: serviceRequest,
  ForwardRequest: forwardRequest,
  Readiness: readiness,
  Error: errorBody,
} as const

export type ConnectRequest = z.output<typeof connectRequest>
export type ConnectResult = { peer: node.PeerKey; path: node.Path; ms: number }
export type PingRequest = z.output<typeof pingRequest>
export type ServiceRequest = z.output<typeof serviceRequest>
export type ForwardRequest = z.output<typeof forwardRequest>
export type Readiness = z.output<typeof readiness>
export type ErrorBody = z.output<typeof errorBody>

/** Whether a parser of `config/places.ts` takes the value, so that rules are written once. */
function reads<T>(parse: (value: T) => unknown): (value: T) => boolean {
  return (value) => {
    try {
      parse(value)
      return true
    } catch {
      return false
    }
  }
}
