import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import type { ApiPlace } from '../config/places.ts'
import type { Logger, WarrenNode } from '../types.ts'
import { checkAccess } from './access.ts'
import { EventStreams } from './events.ts'
import { answerTo, ApiFailure } from './failure.ts'
import { demandToken, listenAt } from './listen.ts'
import { openApi } from './openapi.ts'
import { routes } from './routes.ts'
import type { Route } from './routes.ts'

/** Requests are a few names and numbers; the largest lists 256 peers in 15 KiB. */
const MAX_BODY_BYTES = 64 * 1024
/** A whole request arrives within this, or whoever sends it is up to something. */
const REQUEST_MS = 10_000
/** Room for a URL-encoded circuit address. */
const MAX_PARAM_CHARS = 1_536
/** Event streams and a few dozen requests at a time; one machine's tools need no more. */
const MAX_CONNECTIONS = 128

export interface ControlOptions {
  place: Exclude<ApiPlace, { kind: 'off' }>
  /** Demanded from everybody when set; must be set where other machines can ask. */
  token?: string | undefined
  /** Further host names that lead here. */
  hosts?: readonly string[]
  logger?: Logger
  /** Unsent bytes at which an event stream counts as too slow. */
  maxUnsentBytes?: number
}

/** The HTTP API of one node. */
export interface Control {
  /** Where it listens: `127.0.0.1:4080` or `unix:/path`. */
  readonly address: string
  /** From now on requests are answered by this node; before, they are told that it is starting. */
  attach(node: WarrenNode): void
  close(): Promise<void>
}

/** Starts to listen. The node may come later, so that a taken port is noticed before it starts. */
export async function openControl(options: ControlOptions): Promise<Control> {
  demandToken(options.place, options.token)
  let attached: WarrenNode | undefined
  const streams = new EventStreams(options.maxUnsentBytes)
  const theNode = (): WarrenNode => attached ?? notYet()

  const app = createApp()
  app.addHook('onRequest', async (request) => {
    const path = request.url.split('?')[0] ?? ''
    checkAccess(options, { path, headers: request.headers })
  })
  answerErrors(app, options.logger)
  for (const route of routes) register(app, route, theNode)
  registerProbes(app, () => attached, theNode)
  registerEvents(app, streams, theNode)
  registerDocuments(app)
  const address = await listenAt(app, options.place)

  return {
    address,
    attach: (node) => {
      attached = node
    },
    close: async () => {
      streams.close()
      await app.close()
    },
  }
}

function notYet(): never {
  const remedy = 'Ask again in a moment; GET /readyz says when.'
  throw new WarrenError('ERR_NODE_STOPPED', 'the node is starting', { remedy })
}

function createApp(): FastifyInstance {
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
  })
  app.server.maxConnections = MAX_CONNECTIONS
  // A form or a script of another site can send text/plain unasked; only JSON makes the browser ask first.
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else void parse(request, body as string, done)
  })
  return app
}

function answerErrors(app: FastifyInstance, logger: Logger | undefined): void {
  app.setErrorHandler((error, request, reply) => {
    const { status, body } = answerTo(error)
    if (status === 500) logger?.error({ err: error, url: request.url }, 'the API met a defect')
    return reply.code(status).send(body)
  })
  app.setNotFoundHandler((request) => {
    const message = `there is no ${request.method} ${request.url.split('?')[0]}`
    throw new ApiFailure(404, 'ERR_NOT_FOUND', message, 'GET /v1/openapi.json lists every route.')
  })
}

function register(app: FastifyInstance, route: Route, theNode: () => WarrenNode): void {
  const { method, path: url } = route
  app.route({
    method,
    url,
    handler: async (request, reply) => {
      const node = theNode()
      const param = check(route.param, Object.values(request.params as object)[0], 'path') as string
      const body = check(route.body, request.body ?? {}, 'body')
      const answer = await route.run({ node, param, body, signal: whileAsking(reply) })
      return reply.code(route.status).send(route.status === 204 ? undefined : answer)
    },
  })
}

function check(schema: Route['body'], value: unknown, where: string): unknown {
  if (schema === undefined) return undefined
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const at = where === 'path' ? `"${String(value)}"` : [where, ...(issue?.path ?? [])].join('.')
  throw new ApiFailure(400, 'ERR_REQUEST_INVALID', `${at}: ${issue?.message ?? 'does not fit'}`)
}

/** Aborts when the caller has hung up before the answer. */
function whileAsking(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort()
  })
  return gone.signal
}

function registerProbes(
  app: FastifyInstance,
  attached: () => WarrenNode | undefined,
  theNode: () => WarrenNode,
): void {
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const readiness = attached()?.ready() ?? { ready: false, reasons: ['the node is starting'] }
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await theNode().metrics()),
  )
}

function registerEvents(
  app: FastifyInstance,
  streams: EventStreams,
  theNode: () => WarrenNode,
): void {
  app.get('/v1/events', async (_request: FastifyRequest, reply) => {
    const node = theNode()
    streams.checkRoom()
    reply.hijack()
    await streams.serve(node, reply.raw)
  })
}

function registerDocuments(app: FastifyInstance): void {
  const document = openApi(routes)
  app.get('/v1/openapi.json', async () => document)

  const html = readFileSync(new URL('./page/index.html', import.meta.url), 'utf8')
  const policy = contentPolicy(html)
  app.get('/', async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .headers({
        'content-security-policy': policy,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
      })
      .send(html),
  )
}

/** Only the page's own script and style may run, and only this API may be asked. */
function contentPolicy(html: string): string {
  const hashOf = (tag: string): string => {
    const inner = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(html)?.[1] ?? ''
    return `'sha256-${createHash('sha256').update(inner).digest('base64')}'`
  }
  return [
    "default-src 'none'",
    `script-src ${hashOf('script')}`,
    `style-src ${hashOf('style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
