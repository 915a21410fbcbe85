import type { Stream, StreamCloseEvent } from '@libp2p/interface'
import {
  closeWrite,
  drained,
  linger,
  lost,
  pause,
  receive,
  resume,
  toError,
} from './stream-flow.ts'

export { pipeSocket, type PipeOptions, type Transferred } from './pipe-socket.ts'

/** A libp2p stream as web streams: the `PeerStream` of the public API. */
export interface WebStream extends AsyncDisposable {
  readonly protocol: string
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
  /** Closes both directions; what was written is delivered first. */
  close(): Promise<void>
  /** Resets the stream at once; both sides see an error. */
  abort(reason: Error): void
}

/** What each direction holds on our side of the muxer: one TCP read, enough to keep both sides busy. */
const BUFFER_BYTES = 64 * 1024

/** Gives a libp2p stream the shape applications see: web streams with backpressure both ways. */
export function toPeerStream(stream: Stream, protocol: string): WebStream {
  pause(stream)
  const reading = new ReadingHalf(stream)
  const writing = new WritingHalf(stream)
  return {
    protocol,
    readable: reading.readable,
    writable: writing.writable,
    close: () => close(stream, reading, writing),
    abort(reason) {
      stream.abort(reason)
      reading.fail(reason)
      writing.fail(reason)
    },
    [Symbol.asyncDispose]() {
      return this.close()
    },
  }
}

async function close(stream: Stream, reading: ReadingHalf, writing: WritingHalf): Promise<void> {
  await writing.close()
  if (reading.over) return
  await reading.discard()
  linger(stream)
}

class ReadingHalf {
  readonly readable: ReadableStream<Uint8Array>
  readonly #stream: Stream
  readonly #stop: (error: Error) => void
  #controller!: ReadableStreamDefaultController<Uint8Array>
  over = false

  constructor(stream: Stream) {
    this.#stream = stream
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => resume(stream),
        cancel: () => this.discard(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: BUFFER_BYTES }),
    )
    this.#stop = receive(stream, {
      data: (chunk) => this.#take(chunk),
      ended: () => this.#finish(() => this.#controller.close()),
      failed: (error) => this.#finish(() => this.#controller.error(error)),
    })
  }

  fail(error: Error): void {
    this.#stop(error)
  }

  /** Nobody reads any more: what still comes is thrown away. */
  async discard(): Promise<void> {
    if (this.over) return
    this.#finish(() => closeQuietly(this.#controller))
    await this.#stream.closeRead()
  }

  #take(chunk: Uint8Array): void {
    if (this.over) return
    this.#controller.enqueue(chunk)
    if ((this.#controller.desiredSize ?? 0) <= 0) pause(this.#stream)
  }

  #finish(tell: () => void): void {
    if (this.over) return
    this.over = true
    tell()
  }
}

class WritingHalf {
  readonly writable: WritableStream<Uint8Array>
  readonly #stream: Stream
  #controller!: WritableStreamDefaultController
  /** Chunks handed to `writable` and not yet sent; close() waits for them even if a writer holds the lock. */
  #queued = 0
  #idle: (() => void) | undefined
  #over = false

  constructor(stream: Stream) {
    this.#stream = stream
    this.writable = new WritableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        write: (chunk) => this.#send(chunk),
        close: () => this.#closeStream(),
        abort: (reason) => {
          this.#finish()
          stream.abort(toError(reason))
        },
      },
      {
        highWaterMark: BUFFER_BYTES,
        size: (chunk) => {
          this.#queued += 1
          return chunk?.byteLength ?? 0
        },
      },
    )
    stream.addEventListener('close', this.#onClose)
  }

  async close(): Promise<void> {
    if (this.#over) return
    if (!this.writable.locked) {
      await this.writable.close()
      return
    }
    if (this.#queued > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    if (this.#over) return
    await this.#closeStream()
    this.#controller.error(new TypeError('the stream was closed'))
  }

  fail(error: Error): void {
    if (this.#over) return
    this.#finish()
    this.#controller.error(error)
  }

  async #send(chunk: Uint8Array): Promise<void> {
    try {
      if (!this.#stream.send(chunk)) await drained(this.#stream)
    } finally {
      this.#queued -= 1
      if (this.#queued === 0) this.#idle?.()
    }
  }

  async #closeStream(): Promise<void> {
    this.#over = true
    await closeWrite(this.#stream)
    this.#finish()
  }

  #finish(): void {
    this.#over = true
    this.#stream.removeEventListener('close', this.#onClose)
    this.#idle?.()
  }

  #onClose = ({ error }: StreamCloseEvent): void => this.fail(error ?? lost())
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    controller.close()
  } catch {
    // A cancelled readable is closed already, which is what is wanted here.
  }
}
