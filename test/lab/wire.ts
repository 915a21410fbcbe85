/** The internet of a laboratory: compiles the switch, runs it and gives it commands. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, readFile, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { run } from './command.ts'

/** How frames travel between any two machines on the internet. */
export interface WireOptions {
  /** Round trip between any two machines. */
  rttMs: number
  /** Each way takes up to this much longer. */
  jitterMs: number
  /** Frames lost, in percent. */
  lossPercent: number
}

const SOURCE = new URL('./switch/switch.c', import.meta.url)

/** Compiles the switch once for each version of its source. */
async function compiledSwitch(): Promise<string> {
  const source = await readFile(SOURCE)
  const folder = join(tmpdir(), 'warren-lab-switch')
  const binary = join(folder, createHash('sha256').update(source).digest('hex').slice(0, 16))
  try {
    await access(binary)
    return binary
  } catch {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const fresh = `${binary}.${process.pid}`
    await run(['cc', '-O2', '-Wall', '-Wextra', '-o', fresh, SOURCE.pathname])
    await rename(fresh, binary)
    return binary
  }
}

/** A running switch. */
export class Wire {
  readonly #child: ChildProcess
  readonly #answers: ((line: string) => void)[] = []
  readonly #ports: string[] = []
  #options: WireOptions

  private constructor(child: ChildProcess, options: WireOptions) {
    this.#child = child
    this.#options = options
    if (child.stdout === null) throw new Error('the switch has no stdout')
    createInterface({ input: child.stdout }).on('line', (line) => this.#answers.shift()?.(line))
    child.on('exit', () => {
      for (const answer of this.#answers.splice(0)) answer('error the switch has ended')
    })
    child.stdin?.on('error', () => {})
  }

  static async start(options: WireOptions): Promise<Wire> {
    // A session of its own, so that Ctrl-C does not end it before the nodes that use it.
    const child = spawn(await compiledSwitch(), {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    })
    const wire = new Wire(child, options)
    await wire.set(options)
    return wire
  }

  get options(): WireOptions {
    return this.#options
  }

  /** Adds a machine: a device of this name inside this namespace. */
  async addPort(netns: string, device: string): Promise<void> {
    await this.#command(`port ${netns} ${device}`)
    this.#ports.push(netns)
  }

  /** Makes frames towards one machine take longer than the others. */
  async lag(netns: string, extraMs: number): Promise<void> {
    await this.#command(`lag ${this.#ports.indexOf(netns)} ${Math.round(extraMs * 1000)}`)
  }

  /** Changes how frames travel from now on. */
  async set(change: Partial<WireOptions>): Promise<void> {
    this.#options = { ...this.#options, ...change }
    const { rttMs, jitterMs, lossPercent } = this.#options
    await this.#command(
      `wire ${Math.round(rttMs * 500)} ${Math.round(jitterMs * 1000)} ${Math.round(lossPercent * 10_000)}`,
    )
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.stdin?.end()
    await once(this.#child, 'exit')
  }

  async #command(line: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<string>()
    if (this.#child.exitCode !== null) throw new Error('the switch has ended')
    this.#answers.push(resolve)
    this.#child.stdin?.write(`${line}\n`)
    const answer = await promise
    if (answer !== 'ok') throw new Error(`the switch refused "${line}": ${answer}`)
  }
}
