import type { LocalEndpoint } from './bound-socket.ts'
import { isLoopback, isWildcard, sourceTowards } from './host.ts'
import { abortable } from './signals.ts'
import type { Target } from './targets.ts'

/** The ports our listeners hold, and which of them a dial may leave from. */
export class ListeningPorts {
  // Both hold one entry a listen address at most; listeners leave when they close.
  readonly #open = new Map<object, LocalEndpoint>()
  readonly #starting = new Set<Promise<void>>()

  all(): LocalEndpoint[] {
    return [...this.#open.values()]
  }

  opened(listener: object, at: LocalEndpoint): void {
    this.#open.set(listener, at)
  }

  closed(listener: object): void {
    this.#open.delete(listener)
  }

  /** Remembers a listener that is not ready yet, so that dials wait for its port. */
  async starting(listening: Promise<void>): Promise<void> {
    this.#starting.add(listening)
    try {
      await listening
    } finally {
      this.#starting.delete(listening)
    }
  }

  /** The port to dial `target` from, once no listener is starting any more; undefined when none can. */
  async towards(target: Target, signal: AbortSignal): Promise<LocalEndpoint | undefined> {
    // libp2p starts all listeners at once, the one that dials a relay among them. A dial that overtook the
    // TCP listener would show the relay a port on which nobody can reach us.
    await abortable(Promise.allSettled(this.#starting), signal)
    return await choosePort(this.all(), target)
  }
}

/**
 * Picks the listener whose bound address suits the destination, the earliest started first:
 * a wildcard listener reaches everything, and the kernel picks the source address;
 * one bound to loopback reaches loopback only;
 * one bound to another address serves where the kernel would send from that very address. From any other it
 * would leave by the wrong interface on a host with several, and the answer would not come back.
 */
export async function choosePort(
  ports: readonly LocalEndpoint[],
  target: Target,
): Promise<LocalEndpoint | undefined> {
  const family = ports.filter((port) => port.family === target.family)
  const wildcard = family.find((port) => isWildcard(port.host))
  if (wildcard !== undefined || family.length === 0) return wildcard
  if (isLoopback(target.host)) return family.find((port) => isLoopback(port.host))
  const source = await sourceTowards(target.host)
  return family.find((port) => port.host === source)
}
