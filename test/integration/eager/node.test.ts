import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { createNode } from '../../../src/index.ts'
import type { Link, NodeOptions, WarrenNode } from '../../../src/index.ts'
import { assertRoundTrips, ONE_WAY_MS, roundTrips, wireTo } from './wire.ts'
import type { WireOptions } from './wire.ts'

const SHOUT = '/test/shout/1'

// More than the ten that stock libp2p allows with the end of a handshake.
const AT_ONCE = 40

async function start(t: TestContext, options: NodeOptions = {}): Promise<WarrenNode> {
  const node = await createNode({ listen: ['/ip4/127.0.0.1/tcp/0'], network: 'eager', ...options })
  t.after(() => node.stop())
  return node
}

/** A link, over a wire made for this purpose, to a node that speaks SHOUT. */
async function linkOver(t: TestContext, options: WireOptions = {}): Promise<Link> {
  const server = await start(t)
  server.handle(SHOUT, async (stream) => {
    const said = await new Response(stream.readable as ReadableStream).text()
    const writer = stream.writable.getWriter()
    await writer.write(new TextEncoder().encode(said.toUpperCase()))
    await writer.close()
  })
  const [, , , , port, , id] = (server.status().listening[0] as string).split('/')
  const wire = await wireTo(Number(port), options)
  t.after(async () => await wire[Symbol.asyncDispose]())
  const caller = await start(t)
  return await caller.connect(`/ip4/127.0.0.1/tcp/${wire.port}/p2p/${id}`)
}

async function shout(link: Link, text: string): Promise<string> {
  const stream = await link.open(SHOUT)
  const writer = stream.writable.getWriter()
  await writer.write(new TextEncoder().encode(text))
  await writer.close()
  return await new Response(stream.readable as ReadableStream).text()
}

test('a protocol that the peer does not speak is an error of open(), however often it is asked for', async (t) => {
  const link = await linkOver(t)
  for (let i = 0; i < 3; i++) {
    await assert.rejects(link.open('/test/unknown/1'), { code: 'ERR_PROTOCOL_UNSUPPORTED' })
    assert.equal(await shout(link, 'hello'), 'HELLO')
  }
})

test('a protocol that the peer is known to speak is opened and answered in one round trip', async (t) => {
  const link = await linkOver(t, { oneWayMs: ONE_WAY_MS })
  await shout(link, 'the first time makes it known')
  await assertRoundTrips(1, async () => await roundTrips(() => shout(link, 'hello')))
})

test('a caller may open many streams as soon as it is connected', async (t) => {
  const link = await linkOver(t, { burstMs: 50 })
  const answers = await Promise.all(
    Array.from({ length: AT_ONCE }, async (_, i) => await shout(link, `s${i}`)),
  )
  assert.deepEqual(
    answers,
    Array.from({ length: AT_ONCE }, (_, i) => `S${i}`),
  )
})
