/** A download under way: how far it is, and how long it stood still. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import type { Host, Program } from './host.ts'
import { contentHash } from './web.ts'

/** A file's size has no event to wait for. */
const LOOK_MS = 20

export interface TransferOptions {
  folder: string
  /** `host:port` of the forward. */
  forward: string
  bytes: number
  /** The web server sends no faster, so that there is time to disturb it. */
  bytesPerSecond: number
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)

/** One curl on a host that fetches bytes of the web server through a forward. */
export class Transfer {
  readonly #curl: Program
  readonly #file: string
  readonly #bytes: number

  constructor(host: Host, { folder, forward, bytes, bytesPerSecond }: TransferOptions) {
    this.#bytes = bytes
    this.#file = join(folder, `transfer-${host.name}`)
    const url = `http://${forward}/bytes/${bytes}/at/${bytesPerSecond}`
    this.#curl = host.spawn(['curl', '-sS', '--no-buffer', '--fail', '-o', this.#file, url])
  }

  get received(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
  }

  /** Waits until this many bytes have come. */
  async reaches(bytes: number, deadlineMs: number): Promise<void> {
    const until = performance.now() + deadlineMs
    while (this.received < bytes) {
      if (!this.#curl.running) throw new Error(this.#came(`ended early: ${this.#words()}`))
      if (performance.now() > until)
        throw new Error(this.#came(`stood still: ${bytes} did not come within ${deadlineMs} ms`))
      await after(LOOK_MS)
    }
  }

  /** How long the next bytes take to come, from now on: the pause that a disturbance makes. */
  async pause(deadlineMs: number): Promise<number> {
    const startedMs = performance.now()
    let [last, lastMs, longest] = [this.received, startedMs, 0]
    // A tenth is far more than what is on the way: it cannot come unless the other side can still be reached.
    const enough = Math.min(this.#bytes, last + this.#bytes / 10)
    while (last < enough) {
      if (!this.#curl.running && this.received < this.#bytes)
        throw new Error(this.#came(`ended early: ${this.#words()}`))
      const now = performance.now()
      if (now - startedMs > deadlineMs)
        throw new Error(this.#came(`did not go on within ${deadlineMs} ms`))
      if (this.received > last) {
        longest = Math.max(longest, now - lastMs)
        ;[last, lastMs] = [this.received, now]
      }
      await after(LOOK_MS)
    }
    return longest
  }

  /** Waits for the end and compares the checksum. */
  async finish(host: Host, deadlineMs: number): Promise<void> {
    await this.reaches(this.#bytes, deadlineMs)
    const { code } = await this.#curl.exited
    if (code !== 0) throw new Error(this.#came(`ended with ${code}: ${this.#words()}`))
    const { stdout } = await host.exec(['sha256sum', this.#file])
    if (!stdout.startsWith(contentHash(this.#bytes))) throw new Error(this.#came('arrived changed'))
  }

  stop(): Promise<void> {
    return this.#curl.kill()
  }

  #words(): string {
    return this.#curl.errors.join(' ') || 'curl said nothing'
  }

  #came(what: string): string {
    return `the download ${what} (${megabytes(this.received)} of ${megabytes(this.#bytes)} MB had come)`
  }
}
