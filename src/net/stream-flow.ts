/**
 * The two halves of a libp2p stream, with what its events leave to the listener: when everything has
 * arrived, when it broke off, and when more may be sent.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'

/** Takes what a stream delivers; after `ended` or `failed` nothing follows. */
export interface Receiver {
  data(chunk: Uint8Array): void
  /** The other side closed its write half and everything it wrote has been delivered. */
  ended(): void
  failed(error: Error): void
}

/**
 * Bytes that may wait in a stream while it is paused. yamux lets the other side send up to its largest
 * window (16 MiB) before it needs our consent, while libp2p aborts a stream above 4 MiB: a fast
 * sender would be cut off as soon as its reader becomes slow.
 */
const READ_BUFFER_BYTES = 17 * 1024 * 1024

/** The error of a stream whose connection went away. */
export function lost(): WarrenError {
  return new WarrenError('ERR_STREAM_LOST', 'the connection ended before the stream did')
}

/** Any thrown or emitted thing as an error; libp2p rejects with bare events in places. */
export function toError(cause: unknown): Error {
  if (cause instanceof Error) return cause
  const inner = (cause as { error?: unknown } | undefined)?.error
  return inner instanceof Error ? inner : lost()
}

/**
 * Delivers a stream's bytes to `to`. A stream closes without an error both when its two halves were
 * closed and when its connection broke; only the first is preceded by `remoteCloseWrite`.
 * Returns a function that ends the delivery with an error.
 */
export function receive(stream: Stream, to: Receiver): (error: Error) => void {
  let complete = stream.status === 'open' && stream.remoteWriteStatus === 'closed'
  let over = false

  const settle = (error?: Error): void => {
    if (over) return
    over = true
    stream.removeEventListener('message', onMessage)
    stream.removeEventListener('remoteCloseWrite', onRemoteCloseWrite)
    stream.removeEventListener('close', onClose)
    if (error === undefined) to.ended()
    else to.failed(error)
  }
  const endWhenEmpty = (): void => {
    if (complete && stream.readBufferLength === 0) settle()
  }
  const onMessage = ({ data }: StreamMessageEvent): void => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) to.data(chunk)
    endWhenEmpty()
  }
  const onRemoteCloseWrite = (): void => {
    complete = true
    // The closing flag may ride on the last data, which is delivered right after this event.
    queueMicrotask(endWhenEmpty)
  }
  const onClose = ({ error }: StreamCloseEvent): void => {
    if (error !== undefined) settle(error)
    else if (!complete) settle(lost())
  }

  stream.maxReadBufferLength = Math.max(stream.maxReadBufferLength, READ_BUFFER_BYTES)
  stream.addEventListener('remoteCloseWrite', onRemoteCloseWrite)
  stream.addEventListener('close', onClose)
  stream.addEventListener('message', onMessage)
  queueMicrotask(() => {
    if (stream.status === 'open' || stream.status === 'closing') endWhenEmpty()
    else if (!complete) settle(lost())
  })
  return settle
}

/** Stops delivery; the other side is stopped by its window filling up. */
export function pause(stream: Stream): void {
  if (stream.readStatus === 'readable') stream.pause()
}

/** Starts delivery again. */
export function resume(stream: Stream): void {
  if (stream.readStatus === 'paused') stream.resume()
}

/**
 * Resolves when what was sent has left the stream's own buffer, to be called after `send` returned
 * false. `onDrain()` of libp2p resolves at once from its second use on, and the `drain` event alone
 * says too little: it also fires for this stream when another one on the same connection may go on.
 */
export function drained(stream: Stream): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onDrain = (): void => {
    // The stream sends its buffer in a microtask queued by its own listener, before ours.
    queueMicrotask(() => {
      if (stream.writeBufferLength === 0) resolve()
    })
  }
  const onClose = (event: StreamCloseEvent): void => reject(toError(event))
  stream.addEventListener('drain', onDrain)
  stream.addEventListener('close', onClose)
  if (stream.writeStatus === 'closed') reject(lost())
  return promise.finally(() => {
    stream.removeEventListener('drain', onDrain)
    stream.removeEventListener('close', onClose)
  })
}

/** Closes the write half once everything has left. */
export async function closeWrite(stream: Stream): Promise<void> {
  // The stock close() returns at once, without an error, when the stream broke before.
  if (stream.writeStatus === 'closed' || stream.writeStatus === 'closing') throw lost()
  await stream.close().catch((error: unknown) => {
    throw toError(error)
  })
}

/** How long the other side may take to finish after we did; then the stream is reset. */
const LINGER_MS = 10_000

/** Lets the other side finish in its time, but not for ever. */
export function linger(stream: Stream): void {
  // yamux cannot tell the other side to stop sending; a reset can.
  const reset = (): void => stream.abort(new Error('the other side did not finish'))
  const timer = setTimeout(reset, LINGER_MS).unref()
  stream.addEventListener('close', () => clearTimeout(timer), { once: true })
}
