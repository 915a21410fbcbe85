/** What stock streams get wrong in their first moments; docs/upstream.md has each with a reproduction. */
import type { StreamMuxer } from '@libp2p/interface'
import { AbstractStreamMuxer } from '@libp2p/utils'
import type { AbstractMessageStream } from '@libp2p/utils'

/** Mends the streams of a muxer as they come to be, on whichever side. */
export function repaired(muxer: StreamMuxer): StreamMuxer {
  if (!(muxer instanceof AbstractStreamMuxer)) return muxer
  const onCreateStream = muxer.onCreateStream.bind(muxer)
  muxer.onCreateStream = (options) => {
    const stream = onCreateStream(options) as AbstractMessageStream & { sendWindowUpdate(): void }
    openSafely(stream)
    return takingBack(stream)
  }
  const onRemoteStream = muxer.onRemoteStream.bind(muxer)
  muxer.onRemoteStream = (stream) => onRemoteStream(takingBack(stream))
  return muxer
}

/**
 * The first frame of a stream is sent in a microtask of its own. Where the connection has gone by then that throws,
 * nobody can catch it, and the process ends. Here only the stream ends.
 */
function openSafely(stream: AbstractMessageStream & { sendWindowUpdate(): void }): void {
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    try {
      sendWindowUpdate()
    } catch (err) {
      stream.abort(err as Error)
    }
  }
}

/**
 * Whoever negotiates a protocol reads what has come, and gives back what follows. A stream that the peer has ended counts
 * as read to its end by then, and takes nothing back: it is lost, with all that was said on it, when it came before
 * there was anybody to read it. Here it can be read again.
 */
function takingBack<T extends AbstractMessageStream>(stream: T): T {
  const unshift = stream.unshift.bind(stream)
  stream.unshift = (data) => {
    const readToItsEnd = stream.readStatus === 'closed' && stream.remoteWriteStatus === 'closed'
    if (readToItsEnd && stream.status === 'open') stream.readStatus = 'readable'
    unshift(data)
  }
  return stream
}
