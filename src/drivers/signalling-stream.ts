import type { Stream } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { encodeFrame, FrameReader } from '../../protocols/signalling/codec.ts'
import type { Frame } from '../../protocols/signalling/codec.ts'
import { SIGNAL_LIMITS } from '../../protocols/signalling/limits.ts'
import { linger, receive } from '../net/stream-flow.ts'

/** Takes what a signal stream brings; nothing follows `closed`. */
export interface FrameTaker {
  frame(frame: Frame): void
  /** `error` is undefined when the other side ended it in order. */
  closed(error: Error | undefined): void
}

/** One signal stream, of either side: frames in, frames out, no deadline, nothing queued without bound. */
export class FrameStream {
  readonly #stream: Stream
  readonly #reader = new FrameReader()
  readonly #taker: FrameTaker

  constructor(stream: Stream, taker: FrameTaker) {
    this.#stream = stream
    this.#taker = taker
    receive(stream, {
      data: (chunk) => this.#take(chunk),
      ended: () => {
        this.end()
        taker.closed(undefined)
      },
      failed: (error) => taker.closed(error),
    })
  }

  get writable(): boolean {
    return this.#stream.writeStatus === 'writable'
  }

  /** Sends a frame; false when the stream is over, or too much still waits for the other side to read. */
  send(frame: Exclude<Frame, { type: 'skip' }>): boolean {
    const bytes = encodeFrame(frame)
    const waiting = this.#stream.writeBufferLength + bytes.length
    if (!this.writable || waiting > SIGNAL_LIMITS.waitingBytes) return false
    try {
      this.#stream.send(bytes)
      return true
    } catch {
      return false // the connection broke in this moment; `closed` tells the rest
    }
  }

  /** Lets what was sent arrive, and the other side know that nothing follows. Takes no more frames. */
  end(): void {
    if (!this.writable) return
    linger(this.#stream)
    const signal = AbortSignal.timeout(SIGNAL_LIMITS.openMs)
    this.#stream.close({ signal }).catch((error: Error) => this.#stream.abort(error))
  }

  /** Ends the stream at once. */
  abort(error: Error): void {
    this.#stream.abort(error)
  }

  #take(chunk: Uint8Array): void {
    for (const decoded of this.#reader.read(chunk)) {
      if (!decoded.ok) {
        const { text } = decoded.violation
        return this.abort(new WarrenError('ERR_PROTOCOL_VIOLATION', `signalling: ${text}`))
      }
      this.#taker.frame(decoded.frame)
      if (!this.writable) return // the taker ended it
    }
  }
}
