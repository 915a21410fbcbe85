import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { onBytes } from '../../src/net/on-bytes.ts'
import { ping } from '../../src/net/ping.ts'
import { dialOver, startNode } from './eager/nodes.ts'

/** Both ends of a connection with a round trip of 100 ms. */
async function joined(t: TestContext): Promise<{ dialled: Connection; accepted: Connection }> {
  const [from, to] = [await startNode('eager'), await startNode('stock')]
  t.after(() => Promise.all([from.libp2p.stop(), to.libp2p.stop()]))
  const dialled = await dialOver(t, from, to, { oneWayMs: 50 })
  const accepted = Promise.withResolvers<Connection>()
  const look = (): void => to.libp2p.getConnections(from.libp2p.peerId).forEach(accepted.resolve)
  to.libp2p.addEventListener('connection:open', look)
  look()
  return { dialled, accepted: await accepted.promise }
}

test('a ping is answered by the muxer, without a stream, and heard on the other side', async (t) => {
  const { dialled, accepted } = await joined(t)
  const { promise: heard, resolve } = Promise.withResolvers<void>()
  onBytes(accepted, resolve)
  const open = t.mock.method(dialled, 'newStream')
  assert.ok((await ping(dialled, AbortSignal.timeout(5_000))) < 5_000)
  await heard
  assert.equal(open.mock.callCount(), 0)
})

test('a muxer that cannot ping leaves it to a stream of a protocol that the peer may not know', async (t) => {
  const { dialled } = await joined(t)
  const without = new Proxy(dialled, {
    get: (target, name) => {
      const value: unknown = name === 'muxer' ? undefined : Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  await assert.rejects(ping(without, AbortSignal.timeout(5_000)), {
    name: 'UnsupportedProtocolError',
  })
})

test('a ping that is given up leaves the connection open when its answer comes after all', async (t) => {
  const { dialled } = await joined(t)
  await assert.rejects(ping(dialled, AbortSignal.timeout(20)), { name: 'TimeoutError' })
  await ping(dialled, AbortSignal.timeout(5_000)) // joins the one that is out
  assert.ok((await ping(dialled, AbortSignal.timeout(5_000))) >= 95)
  assert.equal(dialled.status, 'open')
})

test('a ping fails as soon as its connection ends', async (t) => {
  const { dialled, accepted } = await joined(t)
  const asked = ping(dialled, AbortSignal.timeout(5_000))
  accepted.abort(new Error('gone'))
  await assert.rejects(asked, { message: 'the connection ended before it answered' })
})
