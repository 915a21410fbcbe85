/** A typed client of a node's HTTP API, over TCP or a Unix socket. */
import { EventSourceParserStream } from 'eventsource-parser/stream'
import type {
  ConnectRequest,
  ConnectResult,
  DoctorCheck,
  ErrorBody,
  Explanation,
  ForwardInfo,
  ForwardRequest,
  NodeEvent,
  NodeStatus,
  PeerStatus,
  PingRequest,
  PingResult,
  Readiness,
  ServiceInfo,
  ServiceRequest,
  Topology,
} from '../control/schema.ts'

export type {
  Condition,
  ConnectResult,
  DoctorCheck,
  ErrorBody,
  Explanation,
  ForwardInfo,
  ForwardRequest,
  NodeEvent,
  NodeStatus,
  Path,
  PeerStatus,
  PingResult,
  Readiness,
  ServiceInfo,
  ServiceRequest,
  Topology,
} from '../control/schema.ts'

export interface ClientOptions {
  /** `HOST:PORT`, `http://HOST:PORT` or `unix:PATH`. Default `127.0.0.1:4080`. */
  api?: string
  /** Sent as bearer token where the node demands one. */
  token?: string | undefined
}

export interface CallOptions {
  signal?: AbortSignal
}

/** Why a call failed: what the node said, or `ERR_API_UNREACHABLE` when it said nothing. Branch on `code`. */
export class ClientError extends Error {
  readonly code: string
  /** The HTTP status; absent when there was no answer. */
  readonly status: number | undefined
  readonly remedy: string | undefined
  readonly detail: Readonly<Record<string, unknown>>

  constructor(body: ErrorBody, options: { status?: number; cause?: unknown } = {}) {
    super(body.message, { cause: options.cause })
    this.name = 'ClientError'
    this.code = body.code
    this.status = options.status
    this.remedy = body.detail.remedy
    this.detail = body.detail
  }
}

/** An answer takes as long as the node needs for it, at most; this is what the network between may add. */
const SLACK_MS = 5_000
/** Questions that the node answers from memory. */
const QUICK_MS = 10_000
/** The node's own default for a direct connection; see `ConnectOptions`. */
const CONNECT_MS = 30_000
/** An event names a handful of addresses; a longer one is not an event. */
const MAX_EVENT_CHARS = 1024 * 1024

type Send = (path: string, init: RequestInit) => Promise<Response>

interface Call extends CallOptions {
  method?: 'GET' | 'POST' | 'DELETE'
  body?: object
  deadlineMs?: number
}

/** Asks one node. Every call rejects with a `ClientError`, or with the signal's reason. */
export class WarrenClient {
  readonly api: string
  readonly #token: string | undefined
  #send: Promise<Send> | undefined

  constructor(options: ClientOptions = {}) {
    this.api = options.api ?? '127.0.0.1:4080'
    this.#token = options.token
  }

  status(options?: CallOptions): Promise<NodeStatus> {
    return this.#json('/v1/status', options)
  }

  peers(options?: CallOptions): Promise<PeerStatus[]> {
    return this.#json('/v1/peers', options)
  }

  peer(id: string, options?: CallOptions): Promise<PeerStatus> {
    return this.#json(`/v1/peers/${encodeURIComponent(id)}`, options)
  }

  /** Links to a peer, by id or multiaddr; the link stays when the call is over. */
  connect(peer: string, options: ConnectRequest & CallOptions = {}): Promise<ConnectResult> {
    const { signal, ...body } = options
    return this.#json(`/v1/peers/${encodeURIComponent(peer)}/connect`, {
      ...(signal && { signal }),
      method: 'POST',
      body,
      deadlineMs: (body.timeoutMs ?? CONNECT_MS) + SLACK_MS,
    })
  }

  ping(peer: string, options: PingRequest & CallOptions = {}): Promise<PingResult> {
    const { signal, ...body } = options
    return this.#json(`/v1/peers/${encodeURIComponent(peer)}/ping`, {
      ...(signal && { signal }),
      method: 'POST',
      body,
      deadlineMs: (body.timeoutMs ?? CONNECT_MS) + SLACK_MS,
    })
  }

  /** Why the path to a peer is what it is; asks nobody else. */
  explain(peer: string, options?: CallOptions): Promise<Explanation> {
    return this.#json(`/v1/peers/${encodeURIComponent(peer)}/explain`, options)
  }

  services(options?: CallOptions): Promise<ServiceInfo[]> {
    return this.#json('/v1/services', options)
  }

  /** Shares a TCP service until the node stops. */
  expose(service: ServiceRequest, options?: CallOptions): Promise<ServiceInfo> {
    return this.#json('/v1/services', { ...options, method: 'POST', body: service })
  }

  async unexpose(name: string, options?: CallOptions): Promise<void> {
    await this.#call(`/v1/services/${encodeURIComponent(name)}`, { ...options, method: 'DELETE' })
  }

  forwards(options?: CallOptions): Promise<ForwardInfo[]> {
    return this.#json('/v1/forwards', options)
  }

  /** Listens on a local port that leads to a peer's service, until the node stops. */
  forward(forward: ForwardRequest, options?: CallOptions): Promise<ForwardInfo> {
    return this.#json('/v1/forwards', { ...options, method: 'POST', body: forward })
  }

  async unforward(listen: string, options?: CallOptions): Promise<void> {
    await this.#call(`/v1/forwards/${encodeURIComponent(listen)}`, { ...options, method: 'DELETE' })
  }

  topology(options?: CallOptions): Promise<Topology> {
    return this.#json('/v1/topology', options)
  }

  /** What the node has found out about its network; ask again while anything is `pending`. */
  doctor(options?: CallOptions): Promise<DoctorCheck[]> {
    return this.#json('/v1/doctor', options)
  }

  /** Whether the node is usable now, and if not, why. */
  async ready(options?: CallOptions): Promise<Readiness> {
    const response = await this.#answer('/readyz', { ...options })
    if (response.status !== 200 && response.status !== 503) throw await failureOf(response)
    return (await response.json()) as Readiness
  }

  /** Whether a node answers there at all; starting and token-guarded ones do. */
  async alive(options?: CallOptions): Promise<boolean> {
    try {
      return (await this.#answer('/healthz', { ...options })).ok
    } catch (error) {
      if (error instanceof ClientError) return false
      throw error
    }
  }

  /** Prometheus text. */
  async metrics(options?: CallOptions): Promise<string> {
    return (await this.#call('/metrics', { ...options })).text()
  }

  /**
   * The events from now on: the subscription stands when the promise resolves. Leaving the loop or aborting
   * the signal ends it; a connection that breaks rejects.
   */
  async events(options: CallOptions = {}): Promise<AsyncGenerator<NodeEvent>> {
    const over = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, over.signal]) : over.signal
    const response = await this.#call('/v1/events', { signal, deadlineMs: Infinity })
    if (response.body === null) throw unreachable(this.api, new Error('no body'))
    return readEvents(response.body, this.api, over, options.signal)
  }

  async #json<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.#call(path, call)
    const text = await response.text()
    try {
      return JSON.parse(text) as T
    } catch {
      throw notWarren(response.status)
    }
  }

  async #call(path: string, call: Call): Promise<Response> {
    const response = await this.#answer(path, call)
    if (!response.ok) throw await failureOf(response)
    return response
  }

  async #answer(path: string, call: Call): Promise<Response> {
    const { method = 'GET', body, deadlineMs = QUICK_MS } = call
    const signals = call.signal ? [call.signal] : []
    if (deadlineMs !== Infinity) signals.push(AbortSignal.timeout(deadlineMs))
    const headers: Record<string, string> = { accept: 'application/json' }
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    try {
      this.#send ??= sender(this.api)
      return await (
        await this.#send
      )(path, {
        method,
        headers,
        redirect: 'error',
        signal: AbortSignal.any(signals),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
    } catch (error) {
      call.signal?.throwIfAborted()
      throw unreachable(this.api, error)
    }
  }
}

/** TCP needs only the platform's `fetch`; undici itself is loaded for Unix sockets alone. */
async function sender(api: string): Promise<Send> {
  if (!api.startsWith('unix:')) {
    const base = /^https?:\/\//.test(api) ? api.replace(/\/+$/, '') : `http://${api}`
    return (path, init) => fetch(base + path, init)
  }
  const undici = await import('undici')
  const dispatcher = new undici.Agent({ connect: { socketPath: api.slice('unix:'.length) } })
  return async (path, init) => {
    const request = { ...init, dispatcher } as Parameters<typeof undici.fetch>[1]
    return (await undici.fetch(`http://localhost${path}`, request)) as unknown as Response
  }
}

async function* readEvents(
  body: ReadableStream<Uint8Array>,
  api: string,
  over: AbortController,
  signal: AbortSignal | undefined,
): AsyncGenerator<NodeEvent> {
  const decoder = new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>
  const messages = body
    .pipeThrough(decoder)
    .pipeThrough(new EventSourceParserStream({ maxBufferSize: MAX_EVENT_CHARS }))
  try {
    for await (const message of messages) {
      if (message.event === 'error')
        throw new ClientError({ ...(JSON.parse(message.data) as ErrorBody), detail: {} })
      yield JSON.parse(message.data) as NodeEvent
    }
  } catch (error) {
    if (signal?.aborted) return
    throw error instanceof ClientError ? error : unreachable(api, error)
  } finally {
    over.abort()
  }
}

async function failureOf(response: Response): Promise<ClientError> {
  const text = await response.text().catch(() => '')
  const { status } = response
  try {
    const body = JSON.parse(text) as ErrorBody
    if (typeof body.code === 'string' && typeof body.message === 'string')
      return new ClientError({ ...body, detail: body.detail ?? {} }, { status })
  } catch {
    // not JSON, so not a Warren node: said below
  }
  return notWarren(status)
}

function notWarren(status: number): ClientError {
  const message = `the answer (status ${status}) is not that of a Warren node`
  const remedy = 'Another program listens there; name the right place.'
  return new ClientError({ code: 'ERR_NOT_WARREN', message, detail: { remedy } }, { status })
}

function unreachable(api: string, cause: unknown): ClientError {
  const { name, message, cause: inner } = cause as Error
  const why =
    name === 'TimeoutError' ? 'no answer in time' : inner instanceof Error ? inner.message : message
  return new ClientError(
    { code: 'ERR_API_UNREACHABLE', message: `nobody answers at ${api}: ${why}`, detail: {} },
    { cause },
  )
}
