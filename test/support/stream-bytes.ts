/** Counts what libp2p's streams carry in this process, by protocol, whoever opened them and however they are negotiated. */
import { AbstractMessageStream, AbstractStream } from '@libp2p/utils'

/** What the streams of one protocol carried, without the framing around it. */
export interface StreamBytes {
  streams: number
  bytesIn: number
  bytesOut: number
}

/** What is said before a stream has a protocol. */
const NEGOTIATION = 'negotiation'

/**
 * Counts from now on, and returns where. Every stream of every muxer passes what it sends through `send` and what it
 * gets through `onData`, so that one place sees them all and no listener is added to any.
 */
export function countStreamBytes(): Record<string, StreamBytes> {
  const counted: Record<string, StreamBytes> = {}
  const seen = new WeakSet<object>()
  const of = (stream: AbstractStream): StreamBytes => {
    const protocol = stream.protocol === '' ? NEGOTIATION : stream.protocol
    const bytes = (counted[protocol] ??= { streams: 0, bytesIn: 0, bytesOut: 0 })
    if (protocol !== NEGOTIATION && !seen.has(stream)) {
      seen.add(stream)
      bytes.streams++
    }
    return bytes
  }
  const { prototype } = AbstractMessageStream
  const stock = Object.getOwnPropertyDescriptors(prototype)
  prototype.send = function (data) {
    // Raw connections are message streams too.
    if (this instanceof AbstractStream) of(this).bytesOut += data.byteLength
    return stock.send.value?.call(this, data) === true
  }
  prototype.onData = function (data) {
    if (this instanceof AbstractStream) of(this).bytesIn += data.byteLength
    stock.onData.value?.call(this, data)
  }
  return counted
}
