import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'

/** libp2p's ping: the other side sends back the 32 bytes it gets. */
export const PING_PROTOCOL = '/ipfs/ping/1.0.0'

const PAYLOAD_BYTES = 32

/**
 * One round trip on this very connection, in milliseconds. The stock service picks a connection by itself, which
 * may be another one than the one in question.
 */
export async function ping(connection: Connection, signal: AbortSignal): Promise<number> {
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
