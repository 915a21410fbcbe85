import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import type { EventLoopUtilization } from 'node:perf_hooks'
import type { Resources } from '../../protocols/relaying/capacity.ts'

/** Less says nothing of a load: a program that starts, or one garbage collection, keeps the loop busy for so long. */
const LEAST_WINDOW_MS = 5_000

/** Measures what this process may use of its host, again each time it is asked. */
export class HostResources {
  readonly #connections: number
  readonly #files = openFilesLimit()
  #utilization: EventLoopUtilization = performance.eventLoopUtilization()
  #busy = 0

  /** `connections`: what the network stack was set to. */
  constructor(connections: number) {
    this.#connections = connections
  }

  /** `busy` is of the time since it was last found out. */
  measure(): Resources {
    const now = performance.eventLoopUtilization()
    const window = performance.eventLoopUtilization(now, this.#utilization)
    if (window.idle + window.active >= LEAST_WINDOW_MS) {
      this.#utilization = now
      this.#busy = window.utilization
    }
    return {
      // What the container or the host has left for us, whichever is less.
      memoryBytes: process.availableMemory(),
      ...(this.#files === undefined ? {} : { files: this.#files }),
      connections: this.#connections,
      busy: this.#busy,
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
