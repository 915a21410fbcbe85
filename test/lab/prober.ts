/** Plain sockets on a host, driven from outside: the laboratory's own eyes. */
import { fileURLToPath } from 'node:url'
import type { Host, Program } from './host.ts'
import type { ConnectResult, FetchResult, ProbeRequest } from './probe.ts'

const PROBE = fileURLToPath(new URL('./probe.ts', import.meta.url))
/** At 20 ms round trips an answer takes 20 ms; half a second of nothing is silence, and TCP repeats only after one. */
const SILENCE_MS = 500

/** A running probe. */
export class Prober {
  readonly host: Host
  readonly #program: Program
  readonly #waiting = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >()
  #id = 0

  constructor(host: Host) {
    this.host = host
    this.#program = host.spawn([process.execPath, PROBE])
    this.#program.lines.on('line', (line) => {
      const { id, result, error } = JSON.parse(line) as {
        id: number
        result: unknown
        error?: string
      }
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(`probe on ${host.name}: ${error}`))
    })
    void this.#program.exited.then(() => {
      const error = new Error(`the probe on ${host.name} ended: ${this.#program.errors.join('\n')}`)
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    })
  }

  async listen(port: number, options: { bytes?: number } = {}): Promise<void> {
    await this.#ask({ do: 'listen', port, bytes: options.bytes ?? 0 })
  }

  connect(
    from: number,
    host: string,
    port: number,
    deadlineMs = SILENCE_MS,
  ): Promise<ConnectResult> {
    return this.#ask({ do: 'connect', from, host, port, deadlineMs })
  }

  fetch(host: string, port: number): Promise<FetchResult> {
    return this.#ask({ do: 'fetch', host, port })
  }

  count(port: number, until: number, quietMs: number): Promise<number> {
    return this.#ask({ do: 'count', port, until, quietMs })
  }

  async send(host: string, port: number, datagrams: number): Promise<void> {
    await this.#ask({ do: 'send', host, port, datagrams })
  }

  stop(): Promise<void> {
    return this.#program.kill()
  }

  #ask<T>(request: ProbeRequest): Promise<T> {
    const id = ++this.#id
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, { resolve, reject })
    this.#program.child.stdin?.write(`${JSON.stringify({ id, ...request })}\n`)
    return promise as Promise<T>
  }
}
