import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Stream, StreamCloseEvent, StreamMuxer } from '@libp2p/interface'
import { byteStream, multiaddrConnectionPair } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { agreementOn } from '../../../src/net/eager/agreement.ts'
import { eagerMuxer } from '../../../src/net/eager/index.ts'
import type { EagerMuxerInit } from '../../../src/net/eager/index.ts'
import { drained } from '../../../src/net/stream-flow.ts'

const PROTOCOL = '/test/1.0.0'
const AGREEMENT = Buffer.from(agreementOn(PROTOCOL))
const NA = Buffer.concat([AGREEMENT.subarray(0, 20), Buffer.from('\x03na\n')])

/** An eager muxer and, at the other end of a connection in memory, a stock one that negotiates nothing by itself. */
function muxers(init?: EagerMuxerInit): [StreamMuxer, StreamMuxer] {
  const [near, far] = multiaddrConnectionPair({ capacity: 1_000 })
  // Its pings would go on for as long as the test process lives.
  const stock = yamux({ enableKeepAlive: false })
  return [eagerMuxer(stock, init)().createStreamMuxer(near), stock().createStreamMuxer(far)]
}

/** Both ends of an eager stream. */
async function eagerStream(): Promise<[near: Stream, far: Stream]> {
  const [client, server] = muxers()
  const arrived = once(server, 'stream')
  const near = await client.createStream({ protocol: PROTOCOL, eager: true })
  const [event] = (await arrived) as [CustomEvent<Stream>]
  return [near, event.detail]
}

async function read(stream: Stream, bytes: number): Promise<Buffer> {
  const reader = byteStream(stream)
  const data = await reader.read({ bytes })
  reader.unwrap()
  return Buffer.from(data.subarray())
}

async function readToEnd(stream: Stream): Promise<string> {
  let text = ''
  for await (const bytes of stream) text += Buffer.from(bytes.subarray()).toString()
  return text
}

async function closed(stream: Stream): Promise<Error | undefined> {
  if (stream.status === 'open')
    return ((await once(stream, 'close')) as [StreamCloseEvent])[0].error
  throw new Error(`the stream is ${stream.status} already`)
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

test('the question leaves at once, even when nothing is ever written', async () => {
  const [near, far] = await eagerStream()
  assert.equal(near.protocol, PROTOCOL)
  assert.deepEqual(await read(far, AGREEMENT.byteLength), AGREEMENT)
})

test('what is written follows the question, and nothing is sent twice', async () => {
  const [near, far] = await eagerStream()
  near.send(bytesOf('hello '))
  near.send(bytesOf('world'))
  await near.close()
  assert.equal(await readToEnd(far), `${AGREEMENT.toString()}hello world`)
})

test('the answer is taken off, however late and in whatever pieces it comes', async () => {
  const [near, far] = await eagerStream()
  near.send(bytesOf('hello'))
  await read(far, AGREEMENT.byteLength + 5)
  const heard = readToEnd(near)
  for (const byte of AGREEMENT) far.send(Uint8Array.of(byte))
  far.send(bytesOf('one'))
  far.send(AGREEMENT)
  await far.close()
  assert.equal(await heard, `one${AGREEMENT.toString()}`, 'only the first agreement is the answer')
})

test('an answer that brings data and the end along loses neither', async () => {
  const [near, far] = await eagerStream()
  const heard = readToEnd(near)
  await near.close()
  far.send(Buffer.concat([AGREEMENT, bytesOf('all there is')]))
  await far.close()
  assert.equal(await heard, 'all there is')
  assert.equal(near.status, 'closed')
})

test('what one reader leaves goes to the next', async () => {
  const [near, far] = await eagerStream()
  far.send(Buffer.concat([AGREEMENT, bytesOf('firstsecond')]))
  assert.equal((await read(near, 5)).toString(), 'first')
  assert.equal((await read(near, 6)).toString(), 'second')
})

test('a paused stream checks the answer and keeps the data', async () => {
  const [near, far] = await eagerStream()
  near.pause()
  far.send(Buffer.concat([AGREEMENT, bytesOf('later')]))
  await read(far, AGREEMENT.byteLength)
  near.resume()
  assert.equal((await read(near, 5)).toString(), 'later')
})

for (const [what, answer] of [
  ['"na"', NA],
  ['something else than multistream-select', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['another protocol', Buffer.from(agreementOn('/test/2.0.0'))],
] as const) {
  test(`a peer that answers ${what} aborts the stream, for the reader and for the writer`, async () => {
    const [near, far] = await eagerStream()
    const end = closed(near)
    const reset = closed(far)
    const reading = byteStream(near).read({ bytes: 1 })
    far.send(answer)
    await assert.rejects(reading, { name: 'UnsupportedProtocolError' })
    assert.equal((await end)?.name, 'UnsupportedProtocolError')
    assert.equal(near.status, 'aborted')
    assert.throws(() => near.send(bytesOf('more')))
    assert.equal((await reset)?.name, 'StreamResetError')
  })
}

test('a peer that ends the stream without an answer has not agreed to an empty one', async () => {
  const [near, far] = await eagerStream()
  const end = closed(near)
  far.send(AGREEMENT.subarray(0, 20))
  await far.close()
  assert.equal((await end)?.name, 'UnsupportedProtocolError')
})

test('a peer that resets the stream before it answers has reset it', async () => {
  const [near, far] = await eagerStream()
  const end = closed(near)
  far.abort(new Error('no more room'))
  assert.equal((await end)?.name, 'StreamResetError')
})

test('a stream given up before the answer comes stays given up', async () => {
  const [near, far] = await eagerStream()
  const end = closed(near)
  const reset = closed(far)
  near.abort(new Error('changed my mind'))
  assert.equal((await end)?.message, 'changed my mind')
  await reset
})

test('more than the window holds is sent as the peer reads, before its answer and after', async () => {
  const [near, far] = await eagerStream()
  const payload = Buffer.alloc(1024 * 1024, 'x')
  far.pause()
  assert.equal(near.send(payload), false)
  const rest = drained(near)
  far.resume()
  const received = await read(far, AGREEMENT.byteLength + payload.byteLength)
  await rest
  assert.ok(received.subarray(AGREEMENT.byteLength).equals(payload))
  far.send(Buffer.concat([AGREEMENT, bytesOf('ok')]))
  assert.equal((await read(near, 2)).toString(), 'ok')
})

test('a peer that never answers is given up after ten seconds', async (t) => {
  const [client] = muxers()
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const near = await client.createStream({ protocol: PROTOCOL, eager: true })
  const end = closed(near)
  t.mock.timers.tick(9_999)
  assert.equal(near.status, 'open')
  t.mock.timers.tick(1)
  assert.equal((await end)?.name, 'TimeoutError')
})

test('a stream that was answered has no deadline', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [near, far] = await eagerStream()
  far.send(Buffer.concat([AGREEMENT, bytesOf('!')]))
  await read(near, 1)
  t.mock.timers.tick(60_000)
  assert.equal(near.status, 'open')
})

test('streams that did not ask for it, or for one protocol, are left to stock negotiation', async () => {
  const [client, server] = muxers({ always: ['/always/1.0.0'] })
  for (const options of [{ protocol: PROTOCOL }, { eager: true }, {}]) {
    const arrived = once(server, 'stream')
    const stream = await client.createStream(options)
    assert.equal(stream.protocol, '')
    await stream.close()
    const [event] = (await arrived) as [CustomEvent<Stream>]
    assert.equal(await readToEnd(event.detail), '')
  }
})

test('protocols that are always spoken need no flag', async () => {
  const [client] = muxers({ always: [PROTOCOL] })
  const stream = await client.createStream({ protocol: PROTOCOL })
  assert.equal(stream.protocol, PROTOCOL)
})

test('a connection that goes at the moment a stream is opened takes nothing but the stream with it', async () => {
  const [near, far] = multiaddrConnectionPair({ capacity: 1_000 })
  // Stock throws only where its pings have measured a round trip.
  const stock = yamux()
  const client = eagerMuxer(stock)().createStreamMuxer(near) as StreamMuxer & Rtt
  stock().createStreamMuxer(far)
  await client.ping()
  const opening = client.createStream()
  near.abort(new Error('gone'))
  assert.notEqual((await opening).status, 'open')
  // What stock throws in a microtask ends this process, and fails this test, before the next turn.
  await new Promise(setImmediate)
})

test('a stream that is over before there is anybody to read it is heard all the same', async () => {
  const [server, client] = muxers()
  const far = await client.createStream()
  far.send(Buffer.concat([AGREEMENT, bytesOf('all there is')]))
  await far.close()
  while (server.streams[0]?.remoteWriteStatus !== 'closed') await new Promise(setImmediate)
  // What a connection does as soon as it is there: it negotiates, and leaves the rest to the protocol.
  const arrived = once(server, 'stream')
  const [{ detail: near }] = (await arrived) as [CustomEvent<Stream>]
  assert.deepEqual(await read(near, AGREEMENT.byteLength), AGREEMENT)
  assert.equal((await read(near, 4)).toString(), 'all ')
  assert.equal((await read(near, 8)).toString(), 'there is')
  await near.close()
  assert.equal(near.status, 'closed')
})

interface Rtt {
  ping(): Promise<number>
}
