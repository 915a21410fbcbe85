import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'

/** libp2p's ping: the other side sends back the 32 bytes it gets. */
export const PING_PROTOCOL = '/ipfs/ping/1.0.0'

const PAYLOAD_BYTES = 32

/** A muxer that can ask the other side's muxer for a sign of life, as yamux can. */
interface PingingMuxer {
  ping(): Promise<number>
}

/**
 * One round trip on this very connection, in milliseconds. The muxer's own ping is an eighth of the bytes of a stream
 * opened for it, and every yamux answers it; other muxers get libp2p's ping. See docs/decisions/0020.
 */
export async function ping(connection: Connection, signal: AbortSignal): Promise<number> {
  const muxer = (connection as { muxer?: Partial<PingingMuxer> }).muxer
  if (typeof muxer?.ping !== 'function') return await pingByStream(connection, signal)
  // Before the ping is on its way: once it is, somebody has to take its error.
  signal.throwIfAborted()
  const began = performance.now()
  const ended = new AbortController()
  const onClose = (): void => ended.abort(new Error('the connection ended before it answered'))
  // yamux leaves a ping waiting when its connection ends.
  connection.addEventListener('close', onClose)
  try {
    await within(muxer.ping(), AbortSignal.any([signal, ended.signal]))
  } finally {
    connection.removeEventListener('close', onClose)
  }
  return performance.now() - began
}

/** The ping itself goes on: yamux cuts the connection when an answer comes that nobody waits for any more. */
async function within(pong: Promise<number>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([pong, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function pingByStream(connection: Connection, signal: AbortSignal): Promise<number> {
  const stream = await connection.newStream(PING_PROTOCOL, {
    signal,
    runOnLimitedConnection: true,
    // A peer that knows no ping makes the read below fail with the error that negotiation would have failed with.
    eager: true,
  })
  try {
    const bytes = byteStream(stream)
    const payload = randomBytes(PAYLOAD_BYTES)
    const began = performance.now()
    const [, echo] = await Promise.all([
      bytes.write(payload, { signal }),
      bytes.read({ bytes: PAYLOAD_BYTES, signal }),
    ])
    const rttMs = performance.now() - began
    if (Buffer.compare(payload, echo.subarray()) !== 0) throw new Error('the pong is not our ping')
    await stream.close({ signal })
    return rttMs
  } catch (err) {
    stream.abort(err as Error)
    throw err
  }
}
