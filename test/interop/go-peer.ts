/** A go-libp2p peer on a host: starts the program, hears its lines, gives it commands. */
import type { Place, Program } from '../lab/host.ts'
import { goPeerProgram } from './go-build.ts'
import { News } from '../lab/news.ts'

/** What the program says, by `type`; `go/` is the other half of this. */
export interface GoLines {
  ready: { peerId: string; addrs: string[] }
  /** A relay's answer to a reservation, as go-libp2p understood and verified it. */
  reserved: {
    relay: string
    addrs: string[]
    expiresSeconds: number
    limitSeconds: number
    limitBytes: number
    voucher: boolean
  }
  /** It knows an external address of its own and answers hole punches. */
  punchable: object
  connected: {
    peer: string
    direct: boolean
    inbound: boolean
    limited: boolean
    remoteAddr: string
    limitSeconds?: number
    limitBytes?: number
  }
  disconnected: { peer: string; remoteAddr: string }
  holepunch: { peer: string; step: string; detail: Record<string, unknown> }
  answer: { command: string; ok: boolean; error?: string; rttMs?: number; remoteAddr?: string }
  problem: { what: string; error: string }
}

export type GoLine = { [T in keyof GoLines]: { type: T } & GoLines[T] }[keyof GoLines]

interface Heard {
  line: GoLine
  atMs: number
}

/** Lines kept of one peer; a cell sees some dozens. */
const LINES_KEPT = 1000
const READY_MS = 20_000
/** autorelay looks at its relays once a second, and go-libp2p for an external address after up to 5 s. */
const USABLE_MS = 30_000
/** Just above the program's own deadline for a command. */
const COMMAND_MS = 32_000
const QUIT_MS = 10_000

/** A running go-libp2p peer. */
export class GoPeer {
  readonly name: string
  readonly program: Program
  readonly heard: Heard[] = []
  readonly #news = new News()

  private constructor(name: string, program: Program) {
    this.name = name
    this.program = program
    program.lines.on('line', (text) => this.#hear(text))
    void program.exited.then(
      () => this.#news.tell(),
      () => this.#news.tell(),
    )
  }

  static async start(place: Place, args: readonly string[]): Promise<GoPeer> {
    return new GoPeer(place.name, place.spawn([await goPeerProgram(), ...args]))
  }

  async peerId(): Promise<string> {
    return (await this.waitFor('ready', () => true, READY_MS)).line.peerId
  }

  /** Waits until others reach it by a relay and it can punch. */
  async usable(): Promise<void> {
    await this.waitFor('reserved', () => true, USABLE_MS)
    await this.waitFor('punchable', () => true, USABLE_MS)
  }

  /** The first line of a type that fits, past or future, not older than `sinceMs`. */
  async waitFor<T extends keyof GoLines>(
    type: T,
    fits: (line: GoLines[T]) => boolean,
    deadlineMs: number,
    sinceMs = 0,
  ): Promise<{ line: GoLines[T]; atMs: number }> {
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

  /** The first past line of a type that fits. */
  find<T extends keyof GoLines>(
    type: T,
    fits: (line: GoLines[T]) => boolean = () => true,
    sinceMs = 0,
  ): { line: GoLines[T]; atMs: number } | undefined {
    const found = this.heard.find(
      ({ line, atMs }) =>
        line.type === type && atMs >= sinceMs && fits(line as unknown as GoLines[T]),
    )
    return found as unknown as { line: GoLines[T]; atMs: number } | undefined
  }

  /** Connects to a peer at this address, over a relay if that is what it says. */
  async connect(address: string): Promise<void> {
    await this.#command('connect', address)
  }

  /** One round trip on the connection that go-libp2p prefers. */
  async ping(peer: string): Promise<{ rttMs: number; remoteAddr: string }> {
    const { rttMs = 0, remoteAddr = '' } = await this.#command('ping', peer)
    return { rttMs, remoteAddr }
  }

  /** Asks it to end, and expects it to end well. */
  async stop(): Promise<void> {
    if (!this.program.running) return
    this.program.child.stdin?.write('quit\n')
    const late = setTimeout(() => this.program.child.kill('SIGTERM'), QUIT_MS)
    const { code, signal } = await this.program.exited
    clearTimeout(late)
    if (code !== 0) throw new Error(`${this.name} ended with ${signal ?? code}\n${this.tail()}`)
  }

  async kill(): Promise<void> {
    await this.program.kill('SIGKILL')
  }

  /** What it last said, for reports of failures. */
  tail(): string {
    const lines = this.heard.slice(-15).map(({ line }) => `  ${JSON.stringify(line)}`)
    const errors = this.program.errors.slice(-6).map((text) => `  ${text.slice(0, 400)}`)
    return [`  last lines of ${this.name} (go):`, ...lines, ...errors].join('\n')
  }

  async #command(command: string, argument: string): Promise<GoLines['answer']> {
    const sinceMs = performance.now()
    this.program.child.stdin?.write(`${command} ${argument}\n`)
    const fits = (line: GoLines['answer']) => line.command === command
    const { line } = await this.waitFor('answer', fits, COMMAND_MS, sinceMs)
    if (!line.ok) throw new Error(`${this.name}: ${command} ${argument}: ${line.error}`)
    return line
  }

  #hear(text: string): void {
    let line: GoLine
    try {
      line = JSON.parse(text) as GoLine
    } catch {
      this.program.errors.push(`not JSON on stdout: ${text}`)
      return
    }
    if (this.heard.length < LINES_KEPT) this.heard.push({ line, atMs: performance.now() })
    this.#news.tell()
  }
}
