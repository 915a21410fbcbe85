import { z } from 'zod'
import type { WarrenNode } from '../types.ts'
import { parseListen } from '../config/places.ts'
import { ApiFailure } from './failure.ts'
import { peerOrAddress, schemas } from './schema.ts'
import type { ConnectRequest, ForwardRequest, PingRequest, ServiceRequest } from './schema.ts'

/** What a route works with: the node, the parameter of the path, the checked body, and the caller's patience. */
export interface Asking {
  node: WarrenNode
  param: string
  body: unknown
  signal: AbortSignal
}

/** One route: enough to register it, to check what it is sent, and to document it. */
export interface Route {
  method: 'GET' | 'POST' | 'DELETE'
  /** With at most one parameter, `:id`, `:name` or `:listen`. */
  path: string
  summary: string
  param?: z.ZodType<string>
  body?: z.ZodType
  /** Absent where the answer has no body. */
  reply?: z.ZodType
  status: 200 | 201 | 204
  /** Codes of refusals worth documenting. */
  refusals: readonly number[]
  run(asking: Asking): unknown
}

const name = z.string().max(256)

/** Plain requests with JSON answers. Streams, health, metrics and the page are in `server.ts`. */
export const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/status',
    summary: 'What this node is: addresses, reachability, NAT, relays, links, conditions',
    reply: schemas.NodeStatus,
    status: 200,
    refusals: [503],
    run: ({ node }) => node.status(),
  },
  {
    method: 'GET',
    path: '/v1/peers',
    summary: 'Who is linked, over which path, and who is known',
    reply: z.array(schemas.PeerStatus),
    status: 200,
    refusals: [503],
    run: ({ node }) => node.peers(),
  },
  {
    method: 'GET',
    path: '/v1/peers/:id',
    summary: 'One peer',
    param: name,
    reply: schemas.PeerStatus,
    status: 200,
    refusals: [404, 503],
    run: ({ node, param }) =>
      node.peer(param) ??
      missing('ERR_PEER_UNKNOWN', `no peer ${param} is known`, 'GET /v1/peers lists who is.'),
  },
  {
    method: 'POST',
    path: '/v1/peers/:id/connect',
    summary: 'Link to a peer, by id or URL-encoded multiaddr, over the best path available',
    param: peerOrAddress,
    body: schemas.ConnectRequest,
    reply: schemas.ConnectResult,
    status: 200,
    refusals: [400, 404, 502, 503, 504],
    run: connect,
  },
  {
    method: 'POST',
    path: '/v1/peers/:id/ping',
    summary: 'One round trip to a peer, and the path it took',
    param: peerOrAddress,
    body: schemas.PingRequest,
    reply: schemas.PingResult,
    status: 200,
    refusals: [400, 404, 502, 503, 504],
    run: ({ node, param, body, signal }) => node.ping(param, { ...(body as PingRequest), signal }),
  },
  {
    method: 'GET',
    path: '/v1/peers/:id/explain',
    summary: 'Why the path to a peer is what it is: prediction, candidates, attempts, next try',
    param: peerOrAddress,
    reply: schemas.Explanation,
    status: 200,
    refusals: [400, 404, 503],
    run: ({ node, param }) => node.explain(param),
  },
  {
    method: 'GET',
    path: '/v1/services',
    summary: 'Services that this node exposes',
    reply: z.array(schemas.ServiceInfo),
    status: 200,
    refusals: [503],
    run: ({ node }) => node.services(),
  },
  {
    method: 'POST',
    path: '/v1/services',
    summary: 'Share a TCP service until the node stops',
    body: schemas.ServiceRequest,
    reply: schemas.ServiceInfo,
    status: 201,
    refusals: [400, 409, 503],
    run: expose,
  },
  {
    method: 'DELETE',
    path: '/v1/services/:name',
    summary: 'Stop sharing a service',
    param: name,
    status: 204,
    refusals: [404, 503],
    run: ({ node, param }) =>
      node.unexpose(param) ||
      missing(
        'ERR_NOT_FOUND',
        `this node exposes no service "${param}"`,
        '`warren services` or GET /v1/services lists those it does.',
      ),
  },
  {
    method: 'GET',
    path: '/v1/forwards',
    summary: "Local ports that lead to peers' services",
    reply: z.array(schemas.ForwardInfo),
    status: 200,
    refusals: [503],
    run: ({ node }) => node.forwards(),
  },
  {
    method: 'POST',
    path: '/v1/forwards',
    summary: "Listen on a local port that leads to a peer's service, until the node stops",
    body: schemas.ForwardRequest,
    reply: schemas.ForwardInfo,
    status: 201,
    refusals: [400, 409, 422, 503],
    run: forward,
  },
  {
    method: 'DELETE',
    path: '/v1/forwards/:listen',
    summary: 'Stop listening for a forward',
    param: name,
    status: 204,
    refusals: [404, 503],
    run: unforward,
  },
  {
    method: 'GET',
    path: '/v1/topology',
    summary: 'Nodes and edges as this node knows them',
    reply: schemas.Topology,
    status: 200,
    refusals: [503],
    run: ({ node }) => node.topology(),
  },
  {
    method: 'GET',
    path: '/v1/doctor',
    summary: 'What this network lets the node do; `pending` says what it is finding out',
    reply: z.array(schemas.DoctorCheck),
    status: 200,
    refusals: [503],
    run: ({ node, signal }) => node.doctor({ signal }),
  },
]

function missing(
  code: 'ERR_PEER_UNKNOWN' | 'ERR_NOT_FOUND',
  message: string,
  remedy: string,
): never {
  throw new ApiFailure(404, code, message, remedy)
}

/** The link stays when the request is over: that is what was asked for. */
async function connect({ node, param, body, signal }: Asking): Promise<unknown> {
  const startedAt = performance.now()
  const link = await node.connect(param, { ...(body as ConnectRequest), signal })
  const ms = Math.round(performance.now() - startedAt)
  return { peer: link.peer, path: link.path, ms }
}

function expose({ node, body }: Asking): unknown {
  const service = body as ServiceRequest
  node.expose(service)
  return node.services().find((info) => info.name === service.name)
}

function forward({ node, body }: Asking): unknown {
  const { listen, peer, service } = body as ForwardRequest
  return node.forward({ listen: parseListen(listen), peer, service })
}

/** A forward is named by what it listens on; a port alone means this machine, as when it was made. */
async function unforward({ node, param }: Asking): Promise<unknown> {
  const listen = /^\d{1,5}$/.test(param) ? parseListen(param) : param
  return (
    (await node.unforward(listen)) ||
    missing(
      'ERR_NOT_FOUND',
      `nothing is forwarded from ${listen}`,
      '`warren services` or GET /v1/forwards lists what is.',
    )
  )
}
