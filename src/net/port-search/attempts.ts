import type { Socket } from 'node:net'

interface AttemptsOptions {
  /** Sockets kept open at once; when one more comes the oldest is closed. */
  readonly limit: number
  /** The socket belongs to the listener from now on. */
  onConnect(socket: Socket): void
  /** The other side, or a router on the way, answered with RST. */
  onRefused?(): void
  /** The last of the open attempts has come to its end. */
  onEmpty?(): void
}

/** Sockets that are connecting. Those that fail leave without a word; disposing closes all that are left. */
export class Attempts implements Disposable {
  readonly #options: AttemptsOptions
  // In the order of their start; never more than the limit.
  readonly #connecting = new Set<Socket>()
  #over = false

  constructor(options: AttemptsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#connecting.size
  }

  /** Takes a socket that has been told to connect. */
  add(socket: Socket): void {
    // Stays for good: between us and the next owner a reset must not become an uncaught error.
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      const refused = code === 'ECONNREFUSED' || code === 'ECONNRESET'
      if (refused && this.#connecting.has(socket)) this.#options.onRefused?.()
    })
    if (this.#over) {
      socket.destroy()
      return
    }
    const leave = (): void => {
      if (!this.#connecting.delete(socket)) return
      if (this.#connecting.size === 0) this.#options.onEmpty?.()
    }
    socket.once('close', leave)
    socket.once('connect', () => {
      socket.off('close', leave)
      // Closed by us in the very moment in which it connected.
      if (!this.#connecting.delete(socket)) return
      this.#options.onConnect(socket)
      if (this.#connecting.size === 0) this.#options.onEmpty?.()
    })
    this.#connecting.add(socket)
    if (this.#connecting.size > this.#options.limit) this.closeOldest()
  }

  closeOldest(): void {
    const [oldest] = this.#connecting
    if (oldest === undefined) return
    this.#connecting.delete(oldest)
    oldest.destroy()
  }

  [Symbol.dispose](): void {
    this.#over = true
    for (const socket of this.#connecting) socket.destroy()
    this.#connecting.clear()
  }
}
