import type { AbortOptions, Logger } from '@libp2p/interface'
import { AbstractStream } from '@libp2p/utils'
import type { SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { lost } from './stream-flow.ts'

/** What a resumable stream hands to its session. */
export interface ResumableSession {
  /** Takes as many of the bytes as there is room for; `more` tells whether there is room for others. */
  write(chunks: Uint8ArrayList): { taken: number; more: boolean }
  /** The application will write nothing more. */
  finish(): void
  reset(): void
  /** The application has taken every byte before the offset. */
  consumed(offset: number): void
}

/**
 * A libp2p stream that no connection carries: its session does, over one connection after another. Whoever holds it sees
 * a stream like any other.
 */
export class ResumableStream extends AbstractStream {
  readonly #session: ResumableSession
  readonly #flushed = Promise.withResolvers<void>()
  /** Bytes delivered so far. */
  #arrived = 0

  constructor(
    session: ResumableSession,
    init: { id: string; protocol: string; direction: 'inbound' | 'outbound'; log: Logger },
  ) {
    super(init)
    this.#session = session
    // Whoever closes the stream hears of it there; whoever does not has no use for it.
    this.#flushed.promise.catch(() => {})
  }

  /** Bytes from the other side. */
  deliver(bytes: Uint8Array): void {
    this.#arrived += bytes.byteLength
    this.onData(bytes)
    this.#tellConsumed()
  }

  /** There is room for more. */
  drain(): void {
    if (this.writableNeedsDrain) this.onMuxerDrain()
  }

  /** Everything written has arrived. */
  flush(): void {
    this.#flushed.resolve()
  }

  /** The session failed. */
  fail(error: Error): void {
    this.#flushed.reject(error)
    this.abort(error)
  }

  /** The other side reset the stream. */
  resetByPeer(): void {
    this.#flushed.reject(lost())
    this.onRemoteReset()
  }

  sendData(data: Uint8ArrayList): SendResult {
    const { taken, more } = this.#session.write(data)
    return { sentBytes: taken, canSendMore: more }
  }

  sendReset(): void {
    this.#flushed.reject(lost())
    this.#session.reset()
  }

  /** Resolves when the other side has everything: with the session a later loss would go unnoticed. */
  async sendCloseWrite(options?: AbortOptions): Promise<void> {
    this.#session.finish()
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const onAbort = (): void => reject(options?.signal?.reason as Error)
    options?.signal?.addEventListener('abort', onAbort)
    if (options?.signal?.aborted === true) onAbort()
    await Promise.race([this.#flushed.promise, aborted]).finally(() =>
      options?.signal?.removeEventListener('abort', onAbort),
    )
  }

  async sendCloseRead(): Promise<void> {
    this.#tellConsumed()
  }

  /** The window does it: bytes that are not taken give no room for others. */
  sendPause(): void {}

  sendResume(): void {
    this.#tellConsumed()
  }

  protected override dispatchReadBuffer(): void {
    super.dispatchReadBuffer()
    this.#tellConsumed()
  }

  #tellConsumed(): void {
    this.#session.consumed(this.#arrived - this.readBuffer.byteLength)
  }
}
