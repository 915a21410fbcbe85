import { WarrenError } from '../../protocols/kernel/errors.ts'

/** Work under way that has to end when its owner stops: by itself for a while, then by a signal. */
export class Running {
  readonly #work = new Set<Promise<void>>()
  readonly #abort = new AbortController()
  #stopped = false

  /** How many pieces are under way. */
  get size(): number {
    return this.#work.size
  }

  throwIfStopped(): void {
    if (this.#stopped) throw new WarrenError('ERR_NODE_STOPPED', 'the node is stopping')
  }

  /** Runs a piece of work; its signal fires when the time to end by itself is over. */
  async track(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.throwIfStopped()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#work.add(promise)
    try {
      await run(this.#abort.signal)
    } finally {
      this.#work.delete(promise)
      resolve()
    }
  }

  /** Takes nothing new; resolves when all is over, which `deadline` brings about. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopped = true
    const end = (): void =>
      this.#abort.abort(new WarrenError('ERR_NODE_STOPPED', 'the node stopped'))
    deadline.addEventListener('abort', end, { once: true })
    if (deadline.aborted) end()
    await Promise.all(this.#work)
    deadline.removeEventListener('abort', end)
  }
}
