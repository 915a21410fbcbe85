import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { encodeFrame, FrameReader } from '../../protocols/resumption/codec.ts'
import type { Frame } from '../../protocols/resumption/codec.ts'
import { closeWrite, drained, linger, receive, toError } from '../net/stream-flow.ts'

/** What happens on a carrier. */
export interface CarrierEvents {
  frame(frame: Frame): void
  /** What was sent has left, and there is room for more. */
  writable(): void
  /** The other side closed it in order. */
  ended(): void
  broken(error: Error): void
  /** It carried bytes that are no frame; nothing more is read. */
  garbage(text: string): void
}

/** One libp2p stream that carries frames of a session. It is never paused: windows bound what may come. */
export class Carrier {
  readonly #stream: Stream
  readonly #reader = new FrameReader()
  #to: CarrierEvents
  #over = false

  constructor(stream: Stream, to: CarrierEvents) {
    this.#stream = stream
    this.#to = to
    receive(stream, {
      data: (chunk) => this.#read(chunk),
      ended: () => this.#tell((events) => events.ended()),
      failed: (error) => this.#tell((events) => events.broken(error)),
    })
  }

  /** From now on these hear what happens. */
  handTo(events: CarrierEvents): void {
    this.#to = events
  }

  /** Sends the frames as one piece; `writable` follows, at once or when there is room. */
  send(frames: Frame[]): void {
    try {
      const more = this.#stream.send(new Uint8ArrayList(...frames.flatMap(encodeFrame)))
      if (more) this.#tell((events) => events.writable())
      else drained(this.#stream).then(() => this.#tell((events) => events.writable()), ignore)
    } catch (cause) {
      const error = toError(cause)
      this.#stream.abort(error)
      this.#tell((events) => events.broken(error))
    }
  }

  /** Closes the write half when all has left; the other side has some seconds to do the same. */
  finish(): void {
    linger(this.#stream)
    closeWrite(this.#stream).catch(ignore)
  }

  drop(): void {
    this.#over = true
    this.#stream.abort(new Error('the session goes on elsewhere, or is over'))
  }

  #read(chunk: Uint8Array): void {
    const wrong = this.#reader.read(chunk, (frame) => this.#tell((events) => events.frame(frame)))
    if (wrong !== undefined) this.#tell((events) => events.garbage(wrong.text))
  }

  #tell(event: (events: CarrierEvents) => void): void {
    if (!this.#over) event(this.#to)
  }
}

function ignore(): void {}
