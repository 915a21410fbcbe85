import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { createNode, WarrenError } from '../../src/index.ts'
import type { NodeEvent, NodeOptions, WarrenNode } from '../../src/index.ts'

const LOOPBACK = ['/ip4/127.0.0.1/tcp/0']

/** Longer than anything here takes on a busy machine; nothing waits for it to pass. */
const PATIENCE_MS = 20_000

async function start(t: TestContext, options: NodeOptions = {}): Promise<WarrenNode> {
  const node = await createNode({ listen: LOOPBACK, network: 'test', ...options })
  t.after(() => node.stop())
  return node
}

const addressOf = (node: WarrenNode): string => node.status().listening[0] as string

/** The first event of the type that fits. Ask before making it happen. */
async function event<T extends NodeEvent['type']>(
  node: WarrenNode,
  type: T,
  fits: (event: Extract<NodeEvent, { type: T }>) => boolean = () => true,
): Promise<Extract<NodeEvent, { type: T }>> {
  for await (const one of node.events({ signal: AbortSignal.timeout(PATIENCE_MS) })) {
    if (one.type === type && fits(one as Extract<NodeEvent, { type: T }>)) {
      return one as Extract<NodeEvent, { type: T }>
    }
  }
  throw new Error(`no ${type} in ${PATIENCE_MS} ms`)
}

/** Waits for a state that no single event announces. */
async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'the state was not reached in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const text = async (readable: ReadableStream<Uint8Array>): Promise<string> =>
  await new Response(readable as ReadableStream).text()

test('nodes that know only a bootstrap find each other and connect by peer id', async (t) => {
  const first = await start(t)
  const bootstrap = [addressOf(first)]
  const second = await start(t, { bootstrap })
  const found = event(second, 'peer:found', ({ peer }) => peer !== first.peerId)
  const third = await start(t, { bootstrap })
  assert.equal((await found).peer, third.peerId)

  third.handle('/shout/1', async (stream, from) => {
    assert.equal(from.peer, second.peerId)
    const writer = stream.writable.getWriter()
    await writer.write(Buffer.from((await text(stream.readable)).toUpperCase()))
    await writer.close()
  })
  const link = await second.connect(third.peerId)
  assert.equal(link.path.kind, 'direct')
  const stream = await link.open('/shout/1')
  const writer = stream.writable.getWriter()
  await writer.write(Buffer.from('hello'))
  await writer.close()
  assert.equal(await text(stream.readable), 'HELLO')
  const { rttMs, path } = await second.ping(third.peerId)
  assert.ok(rttMs > 0 && path.kind === 'direct')
})

test('the overlay outlives its bootstrap', async (t) => {
  const first = await start(t)
  const bootstrap = [addressOf(first)]
  const second = await start(t, { bootstrap })
  const third = await start(t, { bootstrap })
  await until(() => (second.peer(third.peerId)?.addresses.length ?? 0) > 0)
  const gone = event(second, 'peer:gone', ({ peer }) => peer === first.peerId)
  await first.stop()
  await gone
  assert.equal((await second.connect(third.peerId)).path.kind, 'direct')
})

test('a restarted node rejoins from its own peer book, without bootstraps', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'warren-node-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const other = await start(t)
  const before = await createNode({
    listen: LOOPBACK,
    network: 'test',
    dataDir,
    bootstrap: [addressOf(other)],
  })
  await until(() =>
    before.peers().some((one) => one.knownFrom === 'config' && one.addresses.length > 0),
  )
  await before.stop()
  const after = await start(t, { dataDir })
  assert.equal(after.peerId, before.peerId)
  await until(() => after.peers().some(({ state }) => state === 'linked'))
})

test('nodes of different networks do not learn of each other', async (t) => {
  const one = await start(t, { network: 'one' })
  const linked = event(one, 'peer:linked')
  const two = await start(t, { network: 'two', bootstrap: [addressOf(one)] })
  await linked
  await one.ping(two.peerId)
  assert.equal(one.status().peersKnown, 0)
  assert.equal(two.status().peersKnown, 0)
})

test('a bootstrap that does not answer is a condition, and is joined when it comes', async (t) => {
  const port = await freePort()
  const later = await createNode({ listen: [`/ip4/127.0.0.1/tcp/${port}`], network: 'test' })
  const { peerId } = later
  await later.stop()
  const node = await start(t, { bootstrap: [`/ip4/127.0.0.1/tcp/${port}/p2p/${peerId}`] })
  const raised = await event(
    node,
    'condition:raised',
    ({ condition }) => condition.code === 'bootstrap.unreachable',
  )
  assert.match(raised.condition.text, new RegExp(peerId))
  assert.ok(raised.condition.remedy)
  assert.deepEqual(node.ready().ready, false)
})

async function refused(options: NodeOptions, code: string): Promise<void> {
  await assert.rejects(createNode({ listen: LOOPBACK, ...options }), (err) => {
    assert.ok(err instanceof WarrenError, String(err))
    assert.equal(err.code, code)
    assert.ok(err.remedy)
    return true
  })
}

test('a port in use, a bad address and a second node on a data directory are refused with a remedy', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'warren-node-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const node = await start(t, { dataDir })
  const port = addressOf(node).split('/')[4] as string
  await refused({ listen: [`/ip4/127.0.0.1/tcp/${port}`] }, 'ERR_PORT_IN_USE')
  await refused({ listen: ['/ip4/127.0.0.1'] }, 'ERR_ADDRESS_INVALID')
  await refused({ bootstrap: ['/ip4/127.0.0.1/tcp/1'] }, 'ERR_ADDRESS_INVALID')
  await refused({ dataDir }, 'ERR_DATA_DIR_IN_USE')
  // What failed has let go of what it held.
  assert.equal(node.status().phase, 'running')
})

test('connecting to nobody, to oneself and to an unknown peer says why', async (t) => {
  const node = await start(t)
  const rejects = (target: string, code: string): Promise<void> =>
    assert.rejects(node.connect(target, { timeoutMs: 2_000 }), { code })
  await rejects('nonsense', 'ERR_PEER_INVALID')
  await rejects('/ip4/127.0.0.1/tcp/1', 'ERR_ADDRESS_INVALID')
  await rejects(node.peerId, 'ERR_PEER_INVALID')
  await rejects('12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf', 'ERR_PEER_UNKNOWN')
  const nobody = `/ip4/127.0.0.1/tcp/${await freePort()}/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf`
  await rejects(nobody, 'ERR_PEER_UNREACHABLE')
})

test('an aborted connect rejects with the reason of its signal', async (t) => {
  const node = await start(t)
  const reason = new Error('changed my mind')
  await assert.rejects(
    node.connect('12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf', {
      signal: AbortSignal.abort(reason),
    }),
    reason,
  )
})

test('stopping tells the others, ends events, and refuses further work', async (t) => {
  const first = await start(t)
  const second = await start(t, { bootstrap: [addressOf(first)] })
  await until(() => first.peers().some(({ state }) => state === 'linked'))
  const gone = event(first, 'peer:gone')
  const stopping = event(second, 'node:stopping')
  await Promise.all([second.stop(), second.stop()])
  await Promise.all([gone, stopping])
  assert.equal(second.status().phase, 'stopped')
  await assert.rejects(second.connect(first.peerId), { code: 'ERR_NODE_STOPPED' })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
