import type { Socket } from 'node:net'
import type { Stream } from '@libp2p/interface'
import { closeWrite, drained, pause, receive, resume, toError } from './stream-flow.ts'

/** Bytes from the peer (`bytesIn`) and to it (`bytesOut`). */
export interface Transferred {
  bytesIn: number
  bytesOut: number
}

export interface PipeOptions {
  /** Resets both ends. */
  signal?: AbortSignal
  /** Counts while it runs, also when it fails in the end. */
  count?: (direction: 'in' | 'out', bytes: number) => void
}

/**
 * Joins a stream and a socket (made with `allowHalfOpen`) until both directions have ended. Either
 * side is read only as fast as the other takes it; the end of one direction is passed on and leaves
 * the other open; an error on either side resets both and rejects.
 */
export function pipeSocket(
  stream: Stream,
  socket: Socket,
  options: PipeOptions = {},
): Promise<Transferred> {
  const { promise, resolve, reject } = Promise.withResolvers<Transferred>()
  const transferred = { bytesIn: 0, bytesOut: 0 }
  const { signal, count } = options
  let openHalves = 2
  let over = false

  const finish = (error?: Error): void => {
    if (over) return
    over = true
    signal?.removeEventListener('abort', onAbort)
    if (error === undefined) {
      resolve(transferred)
      return
    }
    stopReceiving(error)
    stream.abort(error)
    socket.resetAndDestroy()
    reject(error)
  }
  const halfDone = (): void => {
    openHalves -= 1
    if (openHalves === 0) finish()
  }
  const onAbort = (): void => finish(toError(signal?.reason))
  const fail = (cause: unknown): void => finish(toError(cause))

  socket.on('error', fail)
  socket.on('close', () => {
    // After both its ends it closes by itself, while the stream may still be sending what it wrote.
    if (socket.readableEnded && socket.writableFinished) return
    finish(new Error('the socket was closed'))
  })
  const stopReceiving = receive(stream, {
    data(chunk) {
      transferred.bytesIn += chunk.byteLength
      count?.('in', chunk.byteLength)
      if (!socket.write(chunk)) pause(stream)
    },
    ended: () => socket.end(halfDone),
    failed: finish,
  })
  socket.on('drain', () => resume(stream))
  socket.on('data', (chunk: Uint8Array) => {
    transferred.bytesOut += chunk.byteLength
    count?.('out', chunk.byteLength)
    try {
      if (stream.send(chunk)) return
    } catch (error) {
      fail(error)
      return
    }
    socket.pause()
    drained(stream).then(() => socket.resume(), fail)
  })
  socket.on('end', () => void closeWrite(stream).then(halfDone, fail))

  signal?.addEventListener('abort', onAbort)
  if (signal?.aborted) onAbort()
  else {
    resume(stream)
    socket.resume()
  }
  return promise
}
