import type { Connection, Stream } from '@libp2p/interface'
import { decode, encode } from '../../protocols/nat-probe/codec.ts'
import type { ProbeMessage } from '../../protocols/nat-probe/codec.ts'
import { NAT_PROBE_PROTOCOL, PROBE_LIMITS } from '../../protocols/nat-probe/limits.ts'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { frames } from '../net/frames.ts'
import type { Frames } from '../net/frames.ts'

/** One conversation of the protocol: messages on a stream, each with a deadline. */
export class Talk {
  readonly connection: Connection
  readonly #stream: Stream
  readonly #frames: Frames

  constructor(stream: Stream, connection: Connection) {
    this.connection = connection
    this.#stream = stream
    this.#frames = frames(stream, { maxBytes: PROBE_LIMITS.messageBytes })
  }

  static async open(connection: Connection, signal: AbortSignal): Promise<Talk> {
    // Only asked of peers that said they speak it, so there is no answer to wait for.
    const stream = await connection.newStream(NAT_PROBE_PROTOCOL, { signal, eager: true })
    return new Talk(stream, connection)
  }

  async read(
    signal: AbortSignal,
    timeoutMs: number = PROBE_LIMITS.answerMs,
  ): Promise<ProbeMessage> {
    const decoded = decode(await this.#frames.read({ signal, timeoutMs }))
    if (decoded.ok) return decoded.value
    throw new WarrenError('ERR_PROTOCOL_VIOLATION', `NAT probe: ${decoded.violation}`)
  }

  async write(
    message: Exclude<ProbeMessage, { type: 'skip' }>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#frames.write(encode(message), { signal, timeoutMs: PROBE_LIMITS.answerMs })
  }

  /** Ends it in order. */
  async close(signal: AbortSignal): Promise<void> {
    await this.#stream.close({ signal })
  }

  abort(error: Error): void {
    this.#stream.abort(error)
  }
}
