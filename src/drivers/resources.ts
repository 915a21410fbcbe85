import { readFileSync } from 'node:fs'
import type { Resources } from '../../protocols/relaying/capacity.ts'

/** How often the host is measured while it relays: memory and load change within seconds. */
export const MEASURE_MS = 1_000

/** Beyond this nobody was measuring, or the host was asleep. */
const PAUSE_MS = 10_000

/** Measures what this process may use of its host, again each time it is asked. */
export class HostResources {
  readonly #connections: number
  readonly #files = openFilesLimit()
  #measuredAt = performance.now()
  #lagMs = 0

  /** `connections`: what the network stack was set to. */
  constructor(connections: number) {
    this.#connections = connections
  }

  /** To be called every `MEASURE_MS`: how much later than that it is, is how long everything else waits, too. */
  measure(): Resources {
    const now = performance.now()
    const late = now - this.#measuredAt - MEASURE_MS
    this.#measuredAt = now
    if (late < PAUSE_MS) this.#lagMs = this.#lagMs * 0.8 + Math.max(0, late) * 0.2
    return {
      // What the container or the host has left for us, whichever is less.
      memoryBytes: process.availableMemory(),
      ...(this.#files === undefined ? {} : { files: this.#files }),
      connections: this.#connections,
      lagMs: this.#lagMs,
    }
  }
}

/** Node.js raises its limit as far as it may when it starts, and has no call to read it; Linux has a file. */
function openFilesLimit(): number | undefined {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return line === null ? undefined : Number(line[1])
  } catch {
    return undefined // other systems; connections bound what is given
  }
}
