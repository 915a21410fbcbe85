import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { pause, toError } from './stream-flow.ts'

export interface FrameOptions {
  signal?: AbortSignal
  timeoutMs: number
}

/** Messages on a stream, each preceded by its length as an unsigned varint. */
export interface Frames {
  read(options: FrameOptions): Promise<Uint8Array>
  write(bytes: Uint8Array, options: FrameOptions): Promise<void>
  /**
   * Gives the stream back for raw bytes, paused so that nothing is delivered to nobody; what was read
   * beyond the last frame comes first once the stream is resumed.
   */
  unwrap(): Stream
}

/**
 * How far the other side may run ahead of our reading: a frame, and what arrived in the same turn of
 * the event loop, which is at most one socket read of 64 KiB for each layer above the socket.
 */
const READ_AHEAD_BYTES = 1024 * 1024

/** Reads and writes frames of at most `maxBytes`. */
export function frames(stream: Stream, { maxBytes }: { maxBytes: number }): Frames {
  const framed = lpStream(stream, {
    maxDataLength: maxBytes,
    maxBufferSize: maxBytes + READ_AHEAD_BYTES,
    lengthDecoder: (bytes) => decodeLength(bytes, maxBytes),
  })
  return {
    async read(options) {
      const bytes = await bounded(options, 'waiting for a message', (signal) =>
        framed.read({ signal }),
      )
      return bytes.subarray()
    },
    async write(bytes, options) {
      await bounded(options, 'sending a message', (signal) => framed.write(bytes, { signal }))
    },
    unwrap() {
      pause(stream)
      return framed.unwrap()
    },
  }
}

/**
 * Length of the next frame. A RangeError asks for one more byte; the stock decoder would go on asking
 * for as long as the other side sends continuation bytes.
 */
function decodeLength(
  bytes: { readonly byteLength: number; get(at: number): number },
  maxBytes: number,
): number {
  let length = 0
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes.get(at)
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (length > maxBytes) throw violation(`announced a message of more than ${maxBytes} bytes`)
    if (byte < 0x80) return length
    if (at >= 4) throw violation('sent a length that does not end')
  }
  throw new RangeError('the length goes on')
}

function violation(text: string): WarrenError {
  return new WarrenError('ERR_PROTOCOL_VIOLATION', `the peer ${text}`)
}

async function bounded<T>(
  { signal, timeoutMs }: FrameOptions,
  doing: string,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    return await run(signal === undefined ? deadline : AbortSignal.any([signal, deadline]))
  } catch (cause) {
    signal?.throwIfAborted()
    if (deadline.aborted) {
      throw new WarrenError('ERR_TIMEOUT', `gave up ${doing} after ${timeoutMs} ms`, { cause })
    }
    const error = toError(cause)
    if (error.name !== 'UnexpectedEOFError') throw error
    throw new WarrenError('ERR_STREAM_LOST', `the stream ended while ${doing}`, { cause })
  }
}
