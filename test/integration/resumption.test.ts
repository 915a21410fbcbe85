import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { Connection, Libp2p, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { encodeFrame } from '../../protocols/resumption/codec.ts'
import {
  MEMORY,
  RESUMPTION_LIMITS,
  RESUMPTION_PROTOCOL,
} from '../../protocols/resumption/limits.ts'
import { systemClock } from '../../src/drivers/clock.ts'
import type { Clock } from '../../src/drivers/clock.ts'
import { createResumption } from '../../src/drivers/resumption.ts'
import type { Resumption } from '../../src/drivers/resumption.ts'
import { createTunnels } from '../../src/drivers/tunnel.ts'
import { createNode } from '../../src/index.ts'
import type { WarrenNode } from '../../src/index.ts'
import { toPeerStream, type WebStream } from '../../src/net/web-stream.ts'
import { cableTo, loopbackPeer } from '../support/loopback.ts'

const PROTOCOL = '/bulk/1.0.0'
const MIB = 1024 * 1024

interface Party extends AsyncDisposable {
  node: Libp2p
  id: string
  resumption: Resumption
  /** Where the other one is found next time; empty if nowhere. */
  ways: Multiaddr[]
}

interface Settings {
  /** Whether it answers resumable streams. */
  speaks?: boolean
  /** How much faster its clock runs than ours. */
  speed?: number
}

/** A clock that makes a wait of half a minute bearable. */
function fastClock(speed: number): Clock {
  const now = (): number => systemClock.now() * speed
  return { now, alarm: (at, ring) => systemClock.alarm(at / speed, ring) }
}

async function party({ speaks = true, speed = 1 }: Settings = {}): Promise<Party> {
  const node = await loopbackPeer()
  const ways: Multiaddr[] = []
  const connections = (peer: string): Connection[] =>
    node.getConnections(peerIdFromString(peer)).filter(({ status }) => status === 'open')
  const resumption = createResumption({
    handle: (protocol, handler, options) =>
      speaks ? node.handle(protocol, handler, options) : undefined,
    unhandle: (protocol) => node.unhandle(protocol),
    // The newest is the best.
    best: (peer, avoid) => connections(peer).findLast(({ id }) => id !== avoid),
    connect: async (_peer, { signal }) => {
      const at = ways.at(-1)
      if (at === undefined) throw new Error('the peer is nowhere')
      await node.dial(at, { signal })
    },
    suspect: () => {},
    openStream: (connection, protocol, { signal }) => connection.newStream(protocol, { signal }),
    onConnection(listener) {
      const onOpen = ({ detail }: CustomEvent<Connection>): void =>
        listener(detail.remotePeer.toString())
      node.addEventListener('connection:open', onOpen)
      return () => node.removeEventListener('connection:open', onOpen)
    },
    logger: { warn() {} },
    clock: fastClock(speed),
  })
  return {
    node,
    id: node.peerId.toString(),
    resumption,
    ways,
    async [Symbol.asyncDispose]() {
      await resumption.stop()
      await node.stop()
    },
  }
}

/** Answers on both kinds of streams, as a node does. */
async function answer(at: Party, handler: StreamHandler, protocol = PROTOCOL): Promise<void> {
  at.resumption.answer(protocol, handler)
  await at.node.handle(protocol, handler, { maxInboundStreams: 1_000 })
}

/** The next stream that somebody opens to `at`. */
async function arrival(at: Party): Promise<{ stream: Promise<WebStream>; count: () => number }> {
  const { promise, resolve } = Promise.withResolvers<WebStream>()
  let count = 0
  await answer(at, (stream) => {
    count += 1
    resolve(toPeerStream(stream, PROTOCOL))
  })
  return { stream: promise, count: () => count }
}

const block = randomBytes(MIB)

/** Writes `mib` blocks, each different, and returns their checksum. */
async function send(stream: WebStream, mib: number): Promise<string> {
  const hash = createHash('sha256')
  const writer = stream.writable.getWriter()
  const chunk = new Uint8Array(MIB)
  for (let i = 0; i < mib; i++) {
    chunk.set(block)
    chunk.fill(i, 0, 100)
    hash.update(chunk)
    // The same memory every time: once written, it is the writer's again.
    await writer.write(chunk)
  }
  await writer.close()
  return hash.digest('hex')
}

async function receive(
  stream: WebStream,
  progress: (bytes: number) => unknown = () => undefined,
): Promise<{ hash: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of stream.readable) {
    hash.update(chunk)
    bytes += chunk.byteLength
    await progress(bytes)
  }
  return { hash: hash.digest('hex'), bytes }
}

test('50 MB both ways survive connections that are cut, closed and replaced', async () => {
  await using near = await party()
  await using far = await party()
  const { stream: arrived, count } = await arrival(far)
  await using stack = new AsyncDisposableStack()
  const cables = await Promise.all([0, 1, 2, 3, 4].map(() => cableTo(far.node)))
  for (const one of cables) stack.use(one)
  let cable = 0
  near.ways.push(...cables.slice(0, 1).map(({ address }) => address))
  const here = toPeerStream(await near.resumption.open(far.id, PROTOCOL), PROTOCOL)
  const there = await arrived

  const moves = (): number => near.resumption.stats().moves
  /** The path goes wrong in another way as soon as the session has got over the last one. */
  const disturb = async (bytes: number): Promise<void> => {
    if (cable >= 4 || bytes < (cable + 1) * 8 * MIB || moves() < cable) return
    cable += 1
    const next = cables[cable]?.address as Multiaddr
    near.ways.push(next)
    const old = near.node.getConnections(far.node.peerId)
    if (cable === 1) cables[0]?.cut()
    else if (cable === 2) for (const one of old) one.abort(new Error('aborted'))
    else if (cable === 3) await near.node.dial(next, { force: true })
    else await Promise.all(far.node.getConnections(near.node.peerId).map((one) => one.close()))
  }
  const started = performance.now()
  const [up, down, atFar, atNear] = await Promise.all([
    send(here, 50),
    send(there, 50),
    receive(there, disturb),
    receive(here),
  ])
  const seconds = (performance.now() - started) / 1000
  assert.deepEqual([atFar.bytes, atNear.bytes], [50 * MIB, 50 * MIB])
  assert.deepEqual([atFar.hash, atNear.hash], [up, down])
  assert.equal(count(), 1, 'the handler saw one stream')
  assert.equal(cable, 4)
  assert.ok(moves() >= 4, `${moves()} moves`)
  const again = near.resumption.stats().resumedBytes + far.resumption.stats().resumedBytes
  console.log(
    `# 100 MB in ${seconds.toFixed(1)} s with ${moves()} moves; ${again} bytes sent again`,
  )
})

/** Megabytes a second, by the clock and by the processor time that both ends, which are in this process, take. */
interface Speed {
  clock: number
  processor: number
}

async function speed(open: (near: Party, far: Party) => Promise<Stream>): Promise<Speed> {
  await using near = await party()
  await using far = await party()
  near.ways.push(...far.node.getMultiaddrs())
  const { stream: arrived } = await arrival(far)
  const here = toPeerStream(await open(near, far), PROTOCOL)
  const there = await arrived
  const [started, before] = [performance.now(), process.cpuUsage()]
  const [, { bytes }] = await Promise.all([send(here, 200), receive(there)])
  const { user, system } = process.cpuUsage(before)
  assert.equal(bytes, 200 * MIB)
  return {
    clock: bytes / 1_000 / (performance.now() - started),
    processor: bytes / (user + system),
  }
}

const plain = (): Promise<Speed> =>
  speed((near, far) => near.node.dialProtocol(far.node.getMultiaddrs(), PROTOCOL))

const resumable = (): Promise<Speed> => speed((near, far) => near.resumption.open(far.id, PROTOCOL))

test('a resumable stream carries as much as a plain one; the speed of both is printed', async () => {
  // The first of each compiles its code.
  await plain()
  await resumable()
  const [a, b] = [await plain(), await resumable()]
  const percent = (of: keyof Speed): string => `${((100 * b[of]) / a[of]).toFixed(0)} %`
  console.log(
    `# plain ${a.clock.toFixed(0)} MB/s, resumable ${b.clock.toFixed(0)} MB/s (${percent('clock')}); for the same processor time ${percent('processor')}`,
  )
})

/** Two parties that know each other, and a stream from one to the other. */
async function pair(
  settings: Settings = {},
): Promise<AsyncDisposable & { near: Party; far: Party; here: WebStream; there: WebStream }> {
  const [near, far] = await Promise.all([party(settings), party(settings)])
  near.ways.push(...far.node.getMultiaddrs())
  const { stream: arrived } = await arrival(far)
  const here = toPeerStream(await near.resumption.open(far.id, PROTOCOL), PROTOCOL)
  return {
    near,
    far,
    here,
    there: await arrived,
    async [Symbol.asyncDispose]() {
      await Promise.all([near[Symbol.asyncDispose](), far[Symbol.asyncDispose]()])
    },
  }
}

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

test('a stream whose peer is gone for good is lost, on both sides, when the time to resume is over', async () => {
  await using both = await pair({ speed: 30 })
  const { near, far, here, there } = both
  const reading = [text(here.readable), text(there.readable)]
  near.ways.length = 0
  for (const one of near.node.getConnections()) one.abort(new Error('cut'))
  const started = performance.now()
  for (const end of reading) await assert.rejects(end, { code: 'ERR_STREAM_LOST' })
  assert.ok(performance.now() - started < 10_000)
  for (const { resumption } of [near, far]) {
    assert.deepEqual([resumption.stats().sessions, resumption.stats().memoryBytes], [0, 0])
  }
})

test('a direction ends by itself, and the session ends with the second', async () => {
  await using both = await pair()
  const { near, far, here, there } = both
  const asking = here.writable.getWriter()
  await asking.write(bytes('question'))
  await asking.close()
  assert.equal(await text(there.readable), 'question')
  const answering = there.writable.getWriter()
  await answering.write(bytes('answer'))
  await answering.close()
  assert.equal(await text(here.readable), 'answer')
  while (near.resumption.stats().sessions + far.resumption.stats().sessions > 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
})

test('a reset is an error for the other side', async () => {
  await using both = await pair()
  const { here, there } = both
  const reading = text(there.readable)
  here.abort(new Error('changed my mind'))
  await assert.rejects(reading)
})

test('whoever leaves does not come back, and what had arrived is still read', async () => {
  await using both = await pair()
  const { near, far, here, there } = both
  const writer = here.writable.getWriter()
  await writer.write(bytes('farewell'))
  await writer.close()
  near.resumption.leave(far.id)
  await assert.rejects(text(here.readable), { code: 'ERR_STREAM_LOST' })
  assert.equal(await text(there.readable), 'farewell')
  assert.equal(near.resumption.stats().sessions, 0)
})

test('a peer that knows no resumable streams gets a plain one', async () => {
  await using near = await party()
  await using far = await party({ speaks: false })
  near.ways.push(...far.node.getMultiaddrs())
  const { stream: arrived } = await arrival(far)
  const here = toPeerStream(await near.resumption.open(far.id, PROTOCOL), PROTOCOL)
  const there = await arrived
  const writer = here.writable.getWriter()
  await writer.write(bytes('plain'))
  await writer.close()
  assert.equal(await text(there.readable), 'plain')
  assert.equal(near.resumption.stats().sessions, 0)
})

test('a protocol that nobody answers is refused as such', async () => {
  await using both = await pair()
  const { near, far } = both
  await assert.rejects(near.resumption.open(far.id, '/nobody/1.0.0'))
  assert.equal(near.resumption.stats().sessions, 1)
})

test('a peer cannot resume a session of another, nor have more than its share', async () => {
  await using both = await pair()
  const { near, far } = both
  const opened: Promise<Stream>[] = []
  for (let i = 1; i < RESUMPTION_LIMITS.sessionsPerPeer; i++) {
    opened.push(near.resumption.open(far.id, PROTOCOL))
  }
  await Promise.all(opened)
  await assert.rejects(near.resumption.open(far.id, PROTOCOL), { code: 'ERR_LIMIT_REACHED' })

  await using stranger = await party()
  const connection = await stranger.node.dial(far.node.getMultiaddrs())
  const carrier = await connection.newStream(RESUMPTION_PROTOCOL)
  const refused = once(carrier, 'message')
  const session = new Uint8Array(16)
  for (const part of encodeFrame({ type: 'resume', session, carrier: 2, received: 0, limit: 1 })) {
    carrier.send(part)
  }
  const [{ data }] = (await refused) as [{ data: { subarray(): Uint8Array } }]
  assert.deepEqual([...data.subarray()], [4, 0, 0, 1, 1], 'refuse: unknown session')
})

test('200 streams that nobody reads stay within the memory of the node, and all arrive in the end', async () => {
  await using both = await pair()
  const { near, far } = both
  const arrived: WebStream[] = []
  const many = '/many/1.0.0'
  await answer(far, (stream) => void arrived.push(toPeerStream(stream, many)), many)
  const here = await Promise.all(
    Array.from({ length: 200 }, async () =>
      toPeerStream(await near.resumption.open(far.id, many), many),
    ),
  )
  const size = MIB
  const writing = here.map(async ({ writable }) => {
    const writer = writable.getWriter()
    await writer.write(new Uint8Array(size))
    await writer.close()
  })
  const within = (): void => {
    for (const { resumption } of [near, far]) {
      const { memoryBytes } = resumption.stats()
      assert.ok(memoryBytes <= MEMORY.sharedBytes + 400 * MEMORY.floorBytes, `${memoryBytes} bytes`)
    }
  }
  // As far as windows go with nobody reading.
  for (let last = -1; near.resumption.stats().memoryBytes !== last;) {
    last = near.resumption.stats().memoryBytes
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
    within()
  }
  let total = 0
  const reading = arrived.map(async ({ readable }) => {
    for await (const chunk of readable) {
      total += chunk.byteLength
      within()
    }
  })
  await Promise.all([...writing, ...reading])
  assert.equal(total, 200 * size)
})

const tunnelsOf = (at: Party): ReturnType<typeof createTunnels> =>
  createTunnels({
    handle: (protocol, handler) => answer(at, handler, protocol),
    unhandle: (protocol) => at.node.unhandle(protocol),
    open: (peer, protocol, options) => at.resumption.open(peer, protocol, options),
    publish: () => undefined,
    logger: { debug() {}, info() {}, warn() {} },
  })

test('a tunnel carries on while its connection is cut', async () => {
  await using near = await party()
  await using far = await party()
  await using cable = await cableTo(far.node)
  near.ways.push(...far.node.getMultiaddrs(), cable.address)
  const [ours, theirs] = [tunnelsOf(near), tunnelsOf(far)]
  const sent = createHash('sha256')
  const server = createServer((socket) => {
    for (let i = 0; i < 16; i++) {
      sent.update(block)
      socket.write(block)
    }
    socket.end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`
  theirs.expose({ name: 'blob', target, allow: [near.id] })
  const { listen } = await ours.forward({ listen: '0', peer: far.id, service: 'blob' })
  const socket = connect(Number(listen.split(':')[1]), '127.0.0.1')
  const received = createHash('sha256')
  let length = 0
  for await (const chunk of socket) {
    received.update(chunk)
    length += chunk.length
    if (length > 4 * MIB && near.ways.length > 1) {
      near.ways.pop()
      cable.cut()
    }
  }
  assert.equal(length, 16 * MIB)
  assert.equal(received.digest('hex'), sent.digest('hex'))
  assert.ok(near.resumption.stats().moves >= 1)
  server.close()
  // They end by themselves: the last acknowledgement is still on its way.
  await Promise.all([ours, theirs].map((one) => one.stop({ drainMs: 5_000 })))
})

/** Waits for the next loss of a link; ask before bringing it about. */
async function nextGone(node: WarrenNode): Promise<() => Promise<unknown>> {
  const events = node.events({ signal: AbortSignal.timeout(20_000) })[Symbol.asyncIterator]()
  const gone = (async () => {
    for (;;) {
      const { value, done } = await events.next()
      if (done === true || value.type === 'peer:gone') return value
    }
  })()
  return () => gone
}

test('a link of a node opens streams that outlive its connection', async () => {
  const options = { listen: ['/ip4/127.0.0.1/tcp/0'], network: 'test' }
  // What it announces leads nowhere: the one way to it is the cable.
  await using far = await createNode({ ...options, announce: ['/ip4/127.0.0.1/tcp/1'] })
  const address = far.status().listening[0] as string
  await using cable = await cableTo({
    peerId: peerIdFromString(far.peerId),
    getMultiaddrs: () => [multiaddr(address)],
  })
  await using near = await createNode({ ...options, bootstrap: [cable.address.toString()] })
  let calls = 0
  far.handle('/echo/1.0.0', async (stream, from) => {
    calls += 1
    assert.equal(from.peer, near.peerId)
    await stream.readable.pipeTo(stream.writable)
  })
  const link = await near.connect(far.peerId)
  const stream = await link.open('/echo/1.0.0', { resumable: true })
  const writer = stream.writable.getWriter()
  const reader = stream.readable.getReader()
  for (const word of ['one', 'two', 'three']) {
    await writer.write(bytes(word))
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), word)
    const gone = await nextGone(near)
    cable.cut()
    await gone()
  }
  await writer.close()
  assert.deepEqual(await reader.read(), { done: true, value: undefined })
  assert.equal(calls, 1)
})
