import { TimeoutError } from '@libp2p/interface'
import type { Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import { AbstractMessageStream } from '@libp2p/utils'
import { overlay } from '../overlay.ts'
import { agreementOn } from './agreement.ts'
import { repaired } from './repairs.ts'
import { refusal, stripAnswer, unshadow } from './strip.ts'

declare module '@libp2p/interface' {
  interface NewStreamOptions {
    /**
     * The peer is known to speak the protocol: use the stream at once and check its answer when it comes. If it does
     * not after all, the stream is aborted with an `UnsupportedProtocolError`.
     */
    eager?: boolean
  }
  interface CreateStreamOptions {
    eager?: boolean
  }
}

export interface EagerMuxerInit {
  /** Opened eagerly whoever opens them; for services that cannot be told to. */
  always?: readonly string[]
}

// As long as stock negotiation waits. Ordinary answers take a round trip, and a relay's target may be slow.
const ANSWER_MS = 10_000

/** A muxer whose outbound streams can be used without waiting for the peer to agree to their protocol. */
export function eagerMuxer(
  make: () => StreamMuxerFactory,
  { always = [] }: EagerMuxerInit = {},
): () => StreamMuxerFactory {
  const eagerly = new Set(always)
  return () => {
    const real = make()
    return overlay(real, {
      createStreamMuxer: (maConn) =>
        withEagerStreams(repaired(real.createStreamMuxer(maConn)), eagerly),
    })
  }
}

/** Replaces one method of the muxer, because libp2p's connection relies on its identity. */
function withEagerStreams(muxer: StreamMuxer, eagerly: ReadonlySet<string>): StreamMuxer {
  const createStream = muxer.createStream.bind(muxer)
  muxer.createStream = async (options) => {
    const stream = await createStream(options)
    const { protocol, eager = false } = options ?? {}
    // libp2p names a protocol only when it asks for no more than one.
    if (protocol !== undefined && (eager || eagerly.has(protocol))) negotiate(stream, protocol)
    return stream
  }
  return muxer
}

/** Asks for the protocol, and settles it on our side: libp2p does not negotiate on a stream that has one. */
function negotiate(stream: Stream, protocol: string): void {
  if (!(stream instanceof AbstractMessageStream)) return
  const overdue = setTimeout(() => {
    stream.abort(new TimeoutError(`No answer to ${protocol} in ${ANSWER_MS / 1000} s`))
  }, ANSWER_MS).unref()
  const over = (): void => clearTimeout(overdue)
  stream.addEventListener('close', over, { once: true })

  let answered = false
  stripAnswer(stream, protocol, () => {
    answered = true
    over()
    unshadow(stream, 'onRemoteCloseWrite')
  })
  // A peer that ends the stream without having agreed must not look like one that had nothing to say.
  stream.onRemoteCloseWrite = () => {
    // The end may ride on the frame that holds the answer, and is announced before its data.
    queueMicrotask(() => {
      if (!answered) stream.abort(refusal(protocol))
      else stream.onRemoteCloseWrite()
    })
  }
  // At once, even if we only mean to read: the peer sends nothing before it knows the protocol.
  stream.send(agreementOn(protocol))
  stream.protocol = protocol
}
