import type { ComponentLogger, Connection, Logger, Stream } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import { lpStream } from '@libp2p/utils'
import type { LengthPrefixedStream } from '@libp2p/utils'
import { PROTOCOL, decodeFrame, encodeFrame } from '../../protocols/peer-exchange/codec.ts'
import type { Fault } from '../../protocols/peer-exchange/codec.ts'
import { limits } from '../../protocols/peer-exchange/limits.ts'
import type { Frame } from '../../protocols/peer-exchange/messages.ts'

export interface OverlayStreamsDeps {
  registrar: Registrar
  connectionManager: Pick<ConnectionManager, 'getConnections'>
  logger: ComponentLogger
  /** Answers a question, at once; undefined when there is nothing to say. */
  answer(connection: Connection, question: Frame): Frame | undefined
  /** A peer sent bytes that are no frame. */
  garbage(peer: string, fault: Fault): void
}

/** Streams a connection may have open towards us: a greeting, a pull, pushes, questions. */
const MAX_INBOUND_STREAMS = 8

/** Frames over libp2p streams: one stream for a question and its answer. */
export class OverlayStreams {
  readonly #deps: OverlayStreamsDeps
  readonly #log: Logger
  readonly #stopping = new AbortController()

  constructor(deps: OverlayStreamsDeps) {
    this.#deps = deps
    this.#log = deps.logger.forComponent('warren:peer-exchange')
  }

  async start(): Promise<void> {
    await this.#deps.registrar.handle(PROTOCOL, this.#onStream, {
      maxInboundStreams: MAX_INBOUND_STREAMS,
      runOnLimitedConnection: true,
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('peer exchange is stopping'))
    await this.#deps.registrar.unhandle(PROTOCOL)
  }

  /** Asks a peer; undefined when it did not answer, or not with a frame. */
  async ask(peer: string, question: Frame): Promise<Frame | undefined> {
    return await this.#converse(peer, question, (channel, signal) =>
      this.#read(channel, peer, signal),
    )
  }

  /** Tells a peer something; whether it arrives is not known. */
  async tell(peer: string, frame: Frame): Promise<void> {
    await this.#converse(peer, frame, async () => undefined)
  }

  readonly #onStream = async (stream: Stream, connection: Connection): Promise<void> => {
    const signal = this.#deadline()
    const channel = framed(stream)
    const question = await this.#read(channel, connection.remotePeer.toString(), signal)
    if (question === undefined) {
      stream.abort(new Error('no peer exchange frame'))
      return
    }
    const answer = this.#deps.answer(connection, question)
    if (answer !== undefined) await channel.write(encodeFrame(answer), { signal })
    await stream.close({ signal })
  }

  /** Opens a stream, sends, and lets `then` read what comes back. Failures are answers too: none. */
  async #converse(
    peer: string,
    frame: Frame,
    then: (channel: Channel, signal: AbortSignal) => Promise<Frame | undefined>,
  ): Promise<Frame | undefined> {
    const signal = this.#deadline()
    let stream: Stream | undefined
    try {
      stream = await this.#best(peer)?.newStream(PROTOCOL, { signal, runOnLimitedConnection: true })
      if (stream === undefined) return undefined
      const channel = framed(stream)
      await channel.write(encodeFrame(frame), { signal })
      const answer = await then(channel, signal)
      await stream.close({ signal })
      return answer
    } catch (err) {
      this.#log('talking to %s failed - %e', peer, err)
      stream?.abort(err as Error)
      return undefined
    }
  }

  /** One frame; undefined when none came, or something else, which is reported. */
  async #read(channel: Channel, peer: string, signal: AbortSignal): Promise<Frame | undefined> {
    let fault: Fault
    try {
      const decoded = decodeFrame((await channel.read({ signal })).subarray())
      if (decoded.ok) return decoded.value
      fault = decoded.fault
    } catch (err) {
      if (!(err instanceof Error) || !LENGTH_ERRORS.has(err.name)) return undefined
      fault = 'frame-too-large'
    }
    this.#deps.garbage(peer, fault)
    return undefined
  }

  #deadline(): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(limits.answerMs)])
  }

  /** The connection to talk over: not limited before limited, direct before relayed. */
  #best(peer: string): Connection | undefined {
    return this.#deps.connectionManager
      .getConnections()
      .filter(({ remotePeer, status }) => status === 'open' && remotePeer.toString() === peer)
      .sort((a, b) => cost(a) - cost(b))[0]
  }
}

function cost({ limits: limited, direct }: Connection): number {
  return (limited === undefined ? 0 : 2) + (direct ? 0 : 1)
}

type Channel = LengthPrefixedStream<Stream>

const LENGTH_ERRORS = new Set(['InvalidDataLengthError', 'InvalidDataLengthLengthError'])

function framed(stream: Stream): Channel {
  return lpStream(stream, {
    maxDataLength: limits.frameBytes,
    maxLengthLength: 3, // bytes of the length prefix; three hold 2 MiB
    maxBufferSize: limits.frameBytes * 2, // the frame and what a rude peer sends after it
  })
}
