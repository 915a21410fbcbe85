/** A Warren node on a host: the real command line, its events and its API. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'
import type {
  ForwardInfo,
  NodeEvent,
  NodeStatus,
  Path,
  PeerStatus,
  PingResult,
} from '../../src/types.ts'
import type { Place, Program } from './host.ts'
import { News } from './news.ts'

/** The command line under test; WARREN_LAB_MAIN names another one, such as the built one. */
const MAIN =
  process.env.WARREN_LAB_MAIN ?? fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** A node that has nobody to talk to starts well within this, also on a busy machine. */
const READY_MS = 20_000
/** `warren up` bounds its own end to 5 s. */
const STOP_MS = 10_000
/** What the API answers without waiting for peers takes far less, what waits for them states its own time. */
const API_MS = 15_000
/** Events kept of a node. A cell sees some dozens; a run that goes wild must not fill the memory. */
const EVENTS_KEPT = 5000

type EventOf<T extends NodeEvent['type']> = Extract<NodeEvent, { type: T }>

/** An event and when it reached the laboratory, on its own clock. */
export interface Seen<E extends NodeEvent = NodeEvent> {
  event: E
  atMs: number
}

/** What the API answered with when it refused. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, body: { code?: string; message?: string }) {
    super(`${body.code ?? status}: ${body.message ?? 'no message'}`)
    this.status = status
    this.code = body.code ?? ''
  }
}

export interface LabNodeOptions {
  /** Unique within the laboratory. */
  name: string
  /** Under this the node gets its data directory. */
  folder: string
  /** More options of `warren up`. */
  args?: readonly string[]
}

/** A running node. */
export class LabNode {
  readonly name: string
  readonly host: Place
  readonly program: Program
  readonly seen: Seen[] = []
  readonly #agent: Agent
  readonly #news = new News()

  private constructor(host: Place, name: string, program: Program, socketPath: string) {
    this.host = host
    this.name = name
    this.program = program
    this.#agent = new Agent({ connect: { socketPath } })
    program.lines.on('line', (line) => this.#heard(line))
    void program.exited.then(() => this.#news.tell()).catch(() => this.#news.tell())
  }

  /** Creates the identity of a node before it starts, and returns its peer id. */
  static async identity(host: Place, { name, folder }: LabNodeOptions): Promise<string> {
    const dataDir = join(folder, name)
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    const { code, stdout, stderr } = await host.exec([
      process.execPath,
      MAIN,
      'id',
      '--data-dir',
      dataDir,
    ])
    const id = /\b12D3Koo\w+/.exec(stdout)?.[0]
    if (code !== 0 || id === undefined)
      throw new Error(`warren id ended with ${code}: ${stderr.trim()}`)
    return id
  }

  /** Starts `warren up`; ask `ready()` for its first event. */
  static async start(host: Place, { name, folder, args = [] }: LabNodeOptions): Promise<LabNode> {
    const dataDir = join(folder, name)
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    const socketPath = join(dataDir, 'api.sock')
    const argv = [
      process.execPath,
      MAIN,
      'up',
      '--json',
      '--data-dir',
      dataDir,
      '--api',
      `unix:${socketPath}`,
    ]
    return new LabNode(host, name, host.spawn([...argv, ...args]), socketPath)
  }

  ready(): Promise<Seen<EventOf<'node:ready'>>> {
    return this.waitFor('node:ready', () => true, READY_MS)
  }

  async peerId(): Promise<string> {
    return (await this.ready()).event.peerId
  }

  /** The first event of a type that fits, past or future, not older than `sinceMs`. */
  async waitFor<T extends NodeEvent['type']>(
    type: T,
    fits: (event: EventOf<T>) => boolean,
    deadlineMs: number,
    sinceMs = 0,
  ): Promise<Seen<EventOf<T>>> {
    const until = performance.now() + deadlineMs
    for (;;) {
      const found = this.find(type, fits, sinceMs)
      if (found !== undefined) return found
      const left = until - performance.now()
      if (!this.program.running)
        throw new Error(`${this.name} ended before ${type}\n${this.tail()}`)
      if (left <= 0)
        throw new Error(`${this.name}: no ${type} within ${deadlineMs} ms\n${this.tail()}`)
      await this.#news.next(left)
    }
  }

  /** The first past event of a type that fits. */
  find<T extends NodeEvent['type']>(
    type: T,
    fits: (event: EventOf<T>) => boolean = () => true,
    sinceMs = 0,
  ): Seen<EventOf<T>> | undefined {
    return this.seen.find(
      ({ event, atMs }) => event.type === type && atMs >= sinceMs && fits(event as EventOf<T>),
    ) as Seen<EventOf<T>> | undefined
  }

  /** Calls the node's HTTP API. */
  async api<T>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: object,
    deadlineMs = API_MS,
  ): Promise<T> {
    const response = await request(`http://localhost${path}`, {
      dispatcher: this.#agent,
      headersTimeout: deadlineMs,
      bodyTimeout: deadlineMs,
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await response.body.text()
    const answer: unknown = text === '' ? null : JSON.parse(text)
    if (response.statusCode >= 400) throw new ApiError(response.statusCode, answer ?? {})
    return answer as T
  }

  connect(
    peer: string,
    path: 'any' | 'direct',
    timeoutMs: number,
  ): Promise<{ path: Path; ms: number }> {
    return this.api('POST', `/v1/peers/${peer}/connect`, { path, timeoutMs }, timeoutMs + API_MS)
  }

  /** The addresses it tells others. */
  async announced(): Promise<{ direct: string[]; relayed: string[] }> {
    const { addresses } = await this.api<NodeStatus>('GET', '/v1/status')
    return byKind(addresses)
  }

  peer(peer: string): Promise<PeerStatus> {
    return this.api('GET', `/v1/peers/${peer}`)
  }

  ping(peer: string): Promise<PingResult> {
    return this.api('POST', `/v1/peers/${peer}/ping`, {})
  }

  /** Opens a local port that leads to a peer's service; returns `host:port`. */
  async forward(peer: string, service: string): Promise<string> {
    const info = await this.api<ForwardInfo>('POST', '/v1/forwards', {
      listen: '127.0.0.1:0',
      peer,
      service,
    })
    return info.listen
  }

  /** Ends it as an operator would, and expects it to end well. */
  async stop(): Promise<void> {
    if (!this.program.running) return
    const late = setTimeout(() => this.program.child.kill('SIGKILL'), STOP_MS)
    await this.program.kill('SIGTERM')
    clearTimeout(late)
    await this.#agent.destroy()
    const { code, signal } = await this.program.exited
    if (code !== 0)
      throw new Error(`${this.name} ended with ${signal ?? code} after SIGTERM\n${this.tail()}`)
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.program.kill('SIGKILL')
    await this.#agent.destroy()
  }

  /** What it last said, for reports of failures; of whom it has heard would fill the page. */
  tail(): string {
    const telling = this.seen.filter(({ event }) => event.type !== 'peer:found')
    const events = telling.slice(-12).map(({ event }) => `  ${JSON.stringify(event)}`)
    const errors = this.program.errors.slice(-6).map((line) => `  ${line.slice(0, 400)}`)
    return [
      `  last events of ${this.name}:`,
      ...events,
      `  last words of ${this.name}:`,
      ...errors,
    ].join('\n')
  }

  #heard(line: string): void {
    let event: NodeEvent
    try {
      event = JSON.parse(line) as NodeEvent
    } catch {
      this.program.errors.push(`not JSON on stdout: ${line}`)
      return
    }
    if (this.seen.length < EVENTS_KEPT) this.seen.push({ event, atMs: performance.now() })
    this.#news.tell()
  }
}

const isRelayed = (address: string): boolean => address.includes('/p2p-circuit')

export function byKind(addresses: readonly string[]): { direct: string[]; relayed: string[] } {
  return {
    direct: addresses.filter((address) => !isRelayed(address)),
    relayed: addresses.filter(isRelayed),
  }
}
