/** A program of the comparison at work on a host. */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Host, Program } from '../host.ts'
import type { Said } from './speak.ts'

/** Starts of these programs, with bootstrapping over round trips of 300 ms, take a fraction of this. */
const READY_MS = 30_000

/** One program; what it says is read line by line. */
export class Subject {
  readonly #program: Program
  readonly #name: string
  readonly #said: Said[] = []

  private constructor(host: Host, file: string, args: readonly string[]) {
    this.#name = `${file} ${args[0]} on ${host.name}`
    const path = fileURLToPath(new URL(file, import.meta.url))
    this.#program = host.spawn([process.execPath, path, ...args])
    this.#program.lines.on('line', (line) => this.#said.push(JSON.parse(line) as Said))
  }

  /** Starts a program, waits until it is of use, and returns it with its name. */
  static async start(
    host: Host,
    file: string,
    args: readonly string[],
  ): Promise<{ subject: Subject; name: string }> {
    const subject = new Subject(host, file, args)
    const said = await subject.#next(READY_MS)
    if (said === null || !('ready' in said))
      throw new Error(`${subject.#name} is not ready: ${subject.#words()}`)
    return { subject, name: said.name }
  }

  /** Asks it to connect; null when it says nothing within the patience. */
  async connect(name: string, patienceMs: number): Promise<Exclude<Said, { ready: true }> | null> {
    this.#said.length = 0
    this.#program.child.stdin?.write(`${name}\n`)
    const said = await this.#next(patienceMs)
    if (said !== null && 'ready' in said) throw new Error(`${this.#name} said it is ready twice`)
    return said
  }

  stop(): Promise<void> {
    return this.#program.kill()
  }

  async #next(deadlineMs: number): Promise<Said | null> {
    const signal = AbortSignal.any([AbortSignal.timeout(deadlineMs), this.#ended()])
    while (this.#said.length === 0) {
      const more = await once(this.#program.lines, 'line', { signal }).catch(() => null)
      if (more !== null) continue
      if (!this.#program.running) throw new Error(`${this.#name} ended: ${this.#words()}`)
      return null
    }
    return this.#said.shift() ?? null
  }

  #ended(): AbortSignal {
    const controller = new AbortController()
    void this.#program.exited.finally(() => controller.abort()).catch(() => {})
    return controller.signal
  }

  #words(): string {
    return this.#program.errors.slice(-5).join('\n') || 'it said nothing'
  }
}
