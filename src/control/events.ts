import type { ServerResponse } from 'node:http'
import type { WarrenNode } from '../types.ts'
import { ApiFailure } from './failure.ts'

/** Well below the minute after which proxies and NATs forget a silent connection. */
const HEARTBEAT_MS = 15_000
/** Some thousand events. A client that is so far behind will not catch up by waiting. */
const MAX_UNSENT_BYTES = 256 * 1024
/** How long a client that is cut off has to read the note that says so. */
const LAST_WORDS_MS = 2_000
/** Pages, scripts and a few curious people; each costs a socket and its unsent bytes. */
const MAX_STREAMS = 32

/** The event streams that are open now. */
export class EventStreams {
  readonly #open = new Set<ServerResponse>()
  readonly #maxUnsentBytes: number

  constructor(maxUnsentBytes: number = MAX_UNSENT_BYTES) {
    this.#maxUnsentBytes = maxUnsentBytes
  }

  /** Refuses one more than can be served, before anything of the answer is sent. */
  checkRoom(): void {
    if (this.#open.size < MAX_STREAMS) return
    const message = `${MAX_STREAMS} event streams are open already`
    throw new ApiFailure(503, 'ERR_LIMIT_REACHED', message, 'Close one that is not read any more.')
  }

  /** Answers with the node's events until client or node leave. */
  async serve(node: Pick<WarrenNode, 'events'>, response: ServerResponse): Promise<void> {
    this.#open.add(response)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would otherwise keep events back until its buffer is full
      'x-accel-buffering': 'no',
    })
    const heartbeat = setInterval(() => this.#write(response, ': alive\n\n'), HEARTBEAT_MS)
    try {
      const events = this.#send(node, response, gone.signal)
      // Only now, when the subscription stands, may the client believe that it sees everything.
      response.write('retry: 2000\n\n')
      await events
    } finally {
      clearInterval(heartbeat)
      this.#open.delete(response)
      response.end()
    }
  }

  /** Ends every stream. */
  close(): void {
    for (const response of this.#open) response.end()
  }

  async #send(
    node: Pick<WarrenNode, 'events'>,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    for await (const event of node.events({ signal }))
      if (!this.#write(response, `data: ${JSON.stringify(event)}\n\n`)) return
  }

  /** False when the client is too slow to go on with. */
  #write(response: ServerResponse, text: string): boolean {
    if (response.writableEnded) return false
    if (response.writableLength <= this.#maxUnsentBytes) {
      response.write(text)
      return true
    }
    const note = {
      code: 'ERR_LIMIT_REACHED',
      message: 'this client reads too slowly; events were lost',
    }
    response.end(`event: error\ndata: ${JSON.stringify(note)}\n\n`)
    setTimeout(() => response.destroy(), LAST_WORDS_MS).unref()
    return false
  }
}
