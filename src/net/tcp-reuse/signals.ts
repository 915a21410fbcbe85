import { AbortError } from '@libp2p/interface'

/** Rejects as soon as `signal` aborts; the work itself goes on, unheard. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(new AbortError())
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * The signal for one attempt to connect. `net.connect` ties a socket to its signal for life: a dial's
 * `AbortSignal.timeout(10_000)` would cut the connection that it made ten seconds after it was asked for.
 * This one follows the caller's until the attempt is over, and stays silent from then on.
 */
export class AttemptSignal implements Disposable {
  readonly #controller = new AbortController()
  readonly #parent: AbortSignal
  readonly #connecting: AbortSignal | undefined
  readonly #onAbort = (): void =>
    this.#controller.abort(this.#parent.aborted ? this.#parent.reason : undefined)
  readonly #timer: NodeJS.Timeout | undefined

  /** `connectMs` and `connecting` count until `connected()` is called. */
  constructor(
    parent: AbortSignal,
    { connectMs, connecting }: { connectMs?: number; connecting?: AbortSignal } = {},
  ) {
    this.#parent = parent
    this.#connecting = connecting
    for (const signal of [parent, connecting]) {
      if (signal?.aborted === true) this.#onAbort()
      else signal?.addEventListener('abort', this.#onAbort, { once: true })
    }
    if (connectMs !== undefined) {
      this.#timer = setTimeout(() => this.#controller.abort(), connectMs)
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  connected(): void {
    clearTimeout(this.#timer)
    this.#connecting?.removeEventListener('abort', this.#onAbort)
  }

  [Symbol.dispose](): void {
    this.connected()
    this.#parent.removeEventListener('abort', this.#onAbort)
  }
}
