import { z } from 'zod'
import { version } from '../version.ts'
import type { Route } from './routes.ts'
import { schemas } from './schema.ts'

type Json = Record<string, unknown>

const REFUSALS: Record<number, string> = {
  400: 'The request does not fit',
  401: 'The token is missing or wrong',
  403: 'The host or origin may not ask',
  404: 'There is no such thing',
  409: 'The name or port is taken',
  422: 'The address cannot be listened on',
  502: 'The peer could not be reached as asked',
  503: 'The node is starting or stopping',
  504: 'The deadline passed',
}

/** Builds the OpenAPI 3.1 document from the very table the server registers. */
export function openApi(routes: readonly Route[]): Json {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id })
  const components = z.toJSONSchema(registry, { uri: refTo, io: 'input', unrepresentable: 'any' })
  const refs = new Map<z.ZodType, Json>(
    Object.entries(schemas).map(([id, schema]) => [schema, { $ref: refTo(id) }]),
  )

  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, refs) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Warren node',
      version,
      description: 'The local API of a Warren node. Fields may be added, never changed.',
    },
    security: [{}, { token: [] }],
    paths: { ...paths, ...streamsAndProbes() },
    components: {
      schemas: Object.fromEntries(
        Object.entries(components.schemas).map(([id, schema]) => [id, withoutIds(schema as Json)]),
      ),
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  }
}

const refTo = (id: string): string => `#/components/schemas/${id}`

/** The document as a whole names the dialect; `$id` would change what the references are relative to. */
function withoutIds(schema: Json): Json {
  return Object.fromEntries(
    Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'),
  )
}

function operation(route: Route, refs: Map<z.ZodType, Json>): Json {
  const param = /:(\w+)/.exec(route.path)?.[1]
  const refusals = [401, 403, ...route.refusals]
  return {
    summary: route.summary,
    operationId: operationId(route),
    ...(param && {
      parameters: [{ name: param, in: 'path', required: true, schema: { type: 'string' } }],
    }),
    ...(route.body && { requestBody: { content: jsonOf(route.body, refs) } }),
    responses: {
      [route.status]: {
        description: route.status === 204 ? 'Done' : 'The answer',
        ...(route.reply && { content: jsonOf(route.reply, refs) }),
      },
      ...Object.fromEntries(refusals.map((status) => [status, refusal(status)])),
    },
  }
}

/** `POST /v1/peers/:id/connect` becomes `postPeersConnect`. */
function operationId({ method, path }: Route): string {
  const words = path.split('/').filter((word) => word !== '' && word !== 'v1')
  const parts = words.map((word) =>
    word.startsWith(':') ? `By${capital(word.slice(1))}` : capital(word),
  )
  return method.toLowerCase() + parts.join('')
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

function jsonOf(schema: z.ZodType, refs: Map<z.ZodType, Json>): Json {
  const element = schema instanceof z.ZodArray ? refs.get(schema.element as z.ZodType) : undefined
  return {
    'application/json': {
      schema: element === undefined ? refs.get(schema) : { type: 'array', items: element },
    },
  }
}

function refusal(status: number): Json {
  return {
    description: REFUSALS[status],
    content: { 'application/json': { schema: { $ref: refTo('Error') } } },
  }
}

/** The routes that answer with something else than one JSON document. */
function streamsAndProbes(): Json {
  const answers = (summary: string, type: string, schema: Json): Json => ({
    get: { summary, responses: { 200: { description: summary, content: { [type]: { schema } } } } },
  })
  const text = { type: 'string' }
  const readiness = { 'application/json': { schema: { $ref: refTo('Readiness') } } }
  return {
    '/v1/events': answers('Events from now on, one JSON object a message', 'text/event-stream', {
      $ref: refTo('NodeEvent'),
    }),
    '/healthz': answers('The process is alive; needs no token', 'text/plain', text),
    '/readyz': {
      get: {
        summary: 'Whether the node is usable, and if not, why',
        responses: {
          200: { description: 'Usable', content: readiness },
          503: { description: 'Not usable now', content: readiness },
        },
      },
    },
    '/metrics': answers('Metrics in Prometheus text format', 'text/plain', text),
  }
}
