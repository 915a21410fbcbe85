import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { frames } from '../../src/net/frames.ts'
import { toPeerStream, type WebStream } from '../../src/net/web-stream.ts'
import type { PeerStream } from '../../src/types.ts'
import { cableTo, loopbackPeer, streamBetween } from '../support/loopback.ts'

interface Pair extends AsyncDisposable {
  a: WebStream
  b: WebStream
  /** The libp2p streams under them. */
  raw: [Stream, Stream]
  /** Breaks the connection as a cable does. */
  cut: () => void
}

async function pair(): Promise<Pair> {
  const [from, to] = await Promise.all([loopbackPeer(), loopbackPeer()])
  const cable = await cableTo(to)
  const raw = await streamBetween(from, to, [cable.address])
  const [a, b] = raw.map((stream) => toPeerStream(stream, '/test/1.0.0')) as [WebStream, WebStream]
  return {
    a,
    b,
    raw,
    cut: () => cable.cut(),
    async [Symbol.asyncDispose]() {
      await Promise.all([from.stop(), to.stop(), cable[Symbol.asyncDispose]()])
    },
  }
}

async function readAll(readable: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of readable) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function writeAll(
  writable: WritableStream<Uint8Array>,
  ...chunks: Uint8Array[]
): Promise<void> {
  const writer = writable.getWriter()
  for (const chunk of chunks) await writer.write(chunk)
  await writer.close()
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

test('is what the public API calls a peer stream', async () => {
  await using streams = await pair()
  const stream: PeerStream = streams.a
  assert.equal(stream.protocol, '/test/1.0.0')
})

test('carries bytes both ways and ends each direction by itself', async () => {
  await using streams = await pair()
  const { a, b } = streams
  await writeAll(a.writable, text('ques'), text('tion'))
  assert.equal((await readAll(b.readable)).toString(), 'question')
  await writeAll(b.writable, text('answer after the question has ended'))
  assert.equal((await readAll(a.readable)).toString(), 'answer after the question has ended')
})

test('delivers 32 MiB intact to a reader that begins fast and then stalls', async () => {
  await using streams = await pair()
  const { a, b } = streams
  const block = randomBytes(1024 * 1024)
  const sent = createHash('sha256')
  const writing = (async () => {
    const writer = a.writable.getWriter()
    for (let i = 0; i < 32; i++) {
      block[0] = i
      sent.update(block)
      await writer.write(new Uint8Array(block))
    }
    await writer.close()
  })()
  const received = createHash('sha256')
  let bytes = 0
  for await (const chunk of b.readable) {
    const before = Math.floor(bytes / (8 * 1024 * 1024))
    received.update(chunk)
    bytes += chunk.byteLength
    // Long enough for the sender to fill every window and buffer there is.
    if (Math.floor(bytes / (8 * 1024 * 1024)) > before) await turns(2_000)
  }
  await writing
  assert.equal(bytes, 32 * 1024 * 1024)
  assert.equal(received.digest('hex'), sent.digest('hex'))
})

test('stops the writer when nobody reads on the other side', async () => {
  await using streams = await pair()
  const { a, raw } = streams
  const writer = a.writable.getWriter()
  const block = new Uint8Array(256 * 1024)
  let accepted = 0
  const writing = (async () => {
    for (let i = 0; i < 400; i++) {
      await writer.write(block)
      accepted += block.byteLength
    }
  })()
  writing.catch(() => undefined)
  let last = -1
  while (accepted !== last) {
    last = accepted
    await turns(3_000)
  }
  assert.ok(accepted < 32 * 1024 * 1024, `${accepted} bytes were accepted with nobody reading`)
  assert.ok(
    raw[0].writeBufferLength <= block.byteLength,
    'at most the chunk in hand waits in the muxer',
  )
  a.abort(new Error('enough'))
  await assert.rejects(writing)
})

test('a reset is an error for both directions of both sides', async () => {
  await using streams = await pair()
  const { a, b } = streams
  const reading = readAll(b.readable)
  a.abort(new Error('changed my mind'))
  await assert.rejects(reading)
  await assert.rejects(readAll(a.readable), /changed my mind/)
  await assert.rejects(b.writable.getWriter().write(text('x')))
  await assert.rejects(a.writable.getWriter().write(text('x')), /changed my mind/)
})

test('a connection that breaks is an error and never an end', async () => {
  await using streams = await pair()
  const { a, b, cut } = streams
  const writer = a.writable.getWriter()
  await writer.write(text('half of it'))
  const reader = b.readable.getReader()
  assert.equal(Buffer.from((await reader.read()).value as Uint8Array).toString(), 'half of it')
  cut()
  await assert.rejects(reader.read())
  await assert.rejects(writer.closed)
})

test('close delivers what a writer has queued without waiting for each write', async () => {
  await using streams = await pair()
  const { a, b } = streams
  const writer = a.writable.getWriter()
  const block = new Uint8Array(512 * 1024)
  const writes = Array.from({ length: 8 }, () => writer.write(block))
  const closing = a.close()
  assert.equal((await readAll(b.readable)).byteLength, 8 * block.byteLength)
  await Promise.all(writes)
  await b.close()
  await closing
})

test('cancelling the readable leaves the writable usable', async () => {
  await using streams = await pair()
  const { a, b } = streams
  await a.readable.cancel()
  await writeAll(b.writable, text('nobody listens'))
  await writeAll(a.writable, text('still here'))
  assert.equal((await readAll(b.readable)).toString(), 'still here')
})

test('bytes behind the last frame reach whoever takes the stream over', async () => {
  await using from = await loopbackPeer()
  await using to = await loopbackPeer()
  const [a, b] = await streamBetween(from, to)
  const options = { timeoutMs: 5_000 }
  const reading = frames(b, { maxBytes: 100 })
  // One send, so that all of it arrives in one event, before read() gets its turn.
  a.send(Buffer.concat([Buffer.from([3]), text('one'), text('raw bytes')]))
  await a.close()
  assert.equal(Buffer.from(await reading.read(options)).toString(), 'one')
  const rest = toPeerStream(reading.unwrap(), '/test/1.0.0')
  assert.equal((await readAll(rest.readable)).toString(), 'raw bytes')
})

test('frames refuse what is too long, without end, late or cut off', async () => {
  await using from = await loopbackPeer()
  await using to = await loopbackPeer()
  const after = async (send: (stream: Stream) => void, timeoutMs = 5_000): Promise<unknown> => {
    const [a, b] = await streamBetween(from, to)
    const reading = frames(b, { maxBytes: 100 }).read({ timeoutMs })
    send(a)
    return reading
  }
  const violation = { code: 'ERR_PROTOCOL_VIOLATION' }
  await assert.rejects(
    after((s) => s.send(Uint8Array.of(101))),
    violation,
  )
  await assert.rejects(
    after((s) => s.send(new Uint8Array(1000).fill(0x80))),
    violation,
  )
  await assert.rejects(
    after(() => undefined, 20),
    { code: 'ERR_TIMEOUT' },
  )
  await assert.rejects(
    after((s) => {
      s.send(Uint8Array.of(5, 1, 2))
      void s.close()
    }),
    { code: 'ERR_STREAM_LOST' },
  )
})

/** Lets the event loop go round: all that sockets and queues can do meanwhile, they do. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
