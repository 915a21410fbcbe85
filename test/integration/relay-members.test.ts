/** Whole nodes: who relays for whom without limits, and what status tells of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { generateKey } from '@libp2p/pnet'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import { createNode } from '../../src/index.ts'
import type { NodeOptions, PeerStream, WarrenNode } from '../../src/index.ts'
import { until } from './relay-nodes.ts'

const quick = { timeout: 60_000 }
const BYTES = 1_000_000

async function start(t: TestContext, options: NodeOptions): Promise<WarrenNode> {
  const node = await createNode({ network: 'test', ...options })
  t.after(() => node.stop())
  return node
}

const isServed = (node: WarrenNode): boolean => node.status().relays[0]?.forwards === true

/** A relay and two members that listen nowhere, so that they meet over it. */
async function threesome(t: TestContext, options: NodeOptions = {}) {
  const relay = await start(t, { ...options, listen: ['/ip4/127.0.0.1/tcp/0'] })
  const hidden = { ...options, listen: [], bootstrap: [relay.status().listening[0] as string] }
  const [a, b] = [await start(t, hidden), await start(t, hidden)]
  await until(() => isServed(a) && isServed(b), 'both hold the relay, and have tested it', 20_000)
  await until(() => (a.peer(b.peerId)?.addresses.length ?? 0) > 0, 'one has heard of the other')
  await until(() => relay.peers().length === 2, 'the relay knows both')
  return { relay, a, b }
}

/** Sends through the stream and returns how much the other side says has arrived. */
async function sent(stream: PeerStream, bytes: number): Promise<number> {
  const writer = stream.writable.getWriter()
  await writer.write(new Uint8Array(bytes))
  await writer.close()
  return Number(await new Response(stream.readable as ReadableStream).text())
}

async function megabyte(from: WarrenNode, to: WarrenNode): Promise<void> {
  to.handle('/count/1', async ({ readable, writable }) => {
    let count = 0
    for await (const chunk of readable) count += chunk.length
    const writer = writable.getWriter()
    await writer.write(Buffer.from(String(count)))
    await writer.close()
  })
  const link = await from.connect(to.peerId)
  assert.equal(link.path.kind, 'relayed')
  assert.equal(await sent(await link.open('/count/1'), BYTES), BYTES)
}

test('members behind a network key relay for each other without limits', quick, async (t) => {
  const networkKey = new Uint8Array(95)
  generateKey(networkKey)
  const { relay, a, b } = await threesome(t, { networkKey })
  await megabyte(a, b)
  const { budgets, bytesRelayed, circuits } = relay.status().serving
  assert.ok(bytesRelayed > BYTES)
  assert.ok(circuits > 0)
  assert.equal(budgets.circuits.used, circuits)
  assert.equal(budgets.bytes.left, budgets.bytes.limit, 'no budget was touched')
})

test('members of an open network get more than strangers, and it is charged', quick, async (t) => {
  const { relay, a, b } = await threesome(t)
  assert.ok(BYTES > SERVING_LIMITS.stranger.bytes)
  await megabyte(a, b)
  const { serving } = relay.status()
  assert.equal(serving.reservations, 2)
  assert.equal(serving.budgets.reservations.used, 2)
  assert.equal(serving.budgets.perAddress.reservations, SERVING_LIMITS.maxReservationsPerIp)
  assert.deepEqual(serving.budgets.refused, {})
  const text = await relay.metrics()
  assert.match(text, /^warren_serving_reservations_limit \d+$/m)
  assert.match(text, /^warren_serving_bytes_left \d+$/m)
  assert.match(text, /^warren_serving_busy 0$/m)
})
