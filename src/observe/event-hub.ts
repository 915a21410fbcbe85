import type { Cancellable, NodeEvent } from '../types.ts'

type Unstamped<T> = T extends { at: string } ? Omit<T, 'at'> : never
/** An event before the hub has stamped the time on it. */
export type NewEvent = Unstamped<NodeEvent>

/**
 * Events a subscriber may fall behind by. A start-up of a few hundred peers fits; a reader that stands
 * still loses the oldest, so that it cannot fill the memory of the node.
 */
const BACKLOG = 1024

/** Passes the node's events on to whoever listens: API, command line, library, tests. */
export class EventHub {
  readonly #listeners = new Set<(event: NodeEvent) => void>()

  publish(event: NewEvent): void {
    const stamped = { ...event, at: new Date().toISOString() }
    for (const listener of this.#listeners) listener(stamped)
  }

  /** Calls `listener` for every event; the returned function ends that. */
  listen(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The events from now on. Leaving the loop, the signal, or `close` ends it. */
  async *subscribe(options: Cancellable = {}): AsyncGenerator<NodeEvent> {
    const backlog: NodeEvent[] = []
    let wake: (() => void) | undefined
    let ended = options.signal?.aborted ?? false
    const end = (): void => {
      ended = true
      wake?.()
    }
    const stop = this.listen((event) => {
      if (backlog.push(event) > BACKLOG) backlog.shift()
      wake?.()
    })
    options.signal?.addEventListener('abort', end, { once: true })
    this.#ends.add(end)
    try {
      for (;;) {
        const next = backlog.shift()
        if (next !== undefined) yield next
        else if (ended) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      stop()
      this.#ends.delete(end)
      options.signal?.removeEventListener('abort', end)
    }
  }

  /** Ends every subscription after what is still queued for it. */
  close(): void {
    for (const end of this.#ends) end()
  }

  readonly #ends = new Set<() => void>()
}
