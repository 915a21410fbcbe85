import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { wallClock } from '../../src/drivers/clock.ts'
import type { Clock } from '../../src/drivers/clock.ts'
import { OverlayDriver } from '../../src/drivers/overlay.ts'
import type { OverlayDeps, OverlayReport } from '../../src/drivers/overlay.ts'

interface Node {
  libp2p: Libp2p
  id: string
  key: PrivateKey
  address: string
  exchange: OverlayDriver
  reports: OverlayReport[]
  observed: string[]
  stop(): Promise<void>
}

interface Options {
  key?: PrivateKey
  bootstraps?: string[]
  snapshot?: Uint8Array
  network?: string
  /** How far its clock is ahead. */
  aheadMs?: number
}

function clockAhead(ms: number): Clock {
  return {
    now: () => wallClock.now() + ms,
    alarm: (at, ring) => wallClock.alarm(at - ms, ring),
  }
}

/** A real libp2p node on loopback with the overlay. */
async function node(t: TestContext, options: Options = {}): Promise<Node> {
  const key = options.key ?? (await generateKeyPair('Ed25519'))
  let seam:
    | Pick<
        OverlayDeps,
        'connectionManager' | 'events' | 'registrar' | 'peerId' | 'privateKey' | 'logger'
      >
    | undefined
  const libp2p = await createLibp2p({
    start: false,
    privateKey: key,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), tap: (components) => void (seam = components as never) },
  })
  assert.ok(seam)
  const { connectionManager, events, registrar, peerId, privateKey, logger } = seam
  const parts = { connectionManager, events, registrar, peerId, privateKey, logger }
  const scope = { loopback: true, subnets: [] }
  const observed: string[] = []
  const reports: OverlayReport[] = []
  const exchange = new OverlayDriver({
    ...parts,
    scope,
    network: options.network ?? 'test',
    trusted: false,
    bootstraps: options.bootstraps ?? [],
    ...(options.aheadMs !== undefined && { clock: clockAhead(options.aheadMs) }),
    observed: (address) => observed.push(address),
    report: (report) => reports.push(report),
    dial: async (_peer, addresses, _purpose, signal) => {
      await libp2p.dial(
        addresses.map((one) => multiaddr(one)),
        { signal },
      )
    },
    wantDirect: () => {},
    release: (peer) => void libp2p.hangUp(peerIdFromString(peer)),
  })
  await exchange.start()
  await libp2p.start()
  const address = libp2p.getMultiaddrs()[0]?.toString() ?? assert.fail('no address')
  exchange.setSelf({
    addresses: [{ address, kind: 'direct' }],
    reachability: 'public',
    mapping: 'none',
    filtering: 'none',
    services: ['web'],
    relay: { slotsTotal: 128, slotsFree: 100, unlimited: false },
  })
  if (options.snapshot !== undefined) assert.ok(await exchange.restore(options.snapshot))
  exchange.join()
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    await exchange.stop()
    await libp2p.stop()
  }
  t.after(stop)
  return {
    libp2p,
    id: peerId.toString(),
    key,
    address,
    exchange,
    reports,
    observed,
    stop,
  }
}

/** Waits until it is so, or says what is not so after `ms`. */
async function until(what: string, ms: number, isSo: () => boolean): Promise<number> {
  const began = performance.now()
  while (!isSo()) {
    if (performance.now() - began > ms) assert.fail(`not within ${ms} ms: ${what}`)
    await sleep(10)
  }
  return performance.now() - began
}

async function overlay(t: TestContext, size: number): Promise<[Node, ...Node[]]> {
  const first = await node(t)
  const others = Array.from({ length: size - 1 }, () => node(t, { bootstraps: [first.address] }))
  return [first, ...(await Promise.all(others))]
}

const knowsAll = (nodes: Node[]) =>
  nodes.every(({ exchange }) => exchange.known().length === nodes.length - 1)

const linkedTo = (from: Node, to: string) =>
  from.libp2p.getConnections(peerIdFromString(to)).length > 0

test('five nodes that know one of them know and link to all within 3 s', async (t) => {
  const nodes = await overlay(t, 5)
  const ms = await until('everybody knows everybody', 3_000, () => knowsAll(nodes))
  t.diagnostic(`everybody knew everybody after ${Math.round(ms)} ms`)
  const all = () => nodes.every((a) => nodes.every((b) => a === b || linkedTo(a, b.id)))
  const linked = await until('everybody is linked to everybody', 5_000, all)
  t.diagnostic(`everybody was linked to everybody ${Math.round(linked)} ms later`)

  const [first, second] = nodes as [Node, Node]
  const known = first.exchange.get(second.id)
  assert.ok(second.observed.every((one) => /^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/.test(one)))
  assert.ok(second.observed.length > 0)
  assert.deepEqual(known?.addresses, [{ address: second.address, kind: 'direct' }])
  assert.deepEqual(known.services, ['web'])
  assert.equal(known.reachability, 'public')
  assert.equal(known.mapping, 'none')
  assert.deepEqual(known.relay, { slotsTotal: 128, slotsFree: 100, unlimited: false })
})

test('a changed record reaches everybody within a second', async (t) => {
  const nodes = await overlay(t, 4)
  await until('everybody knows everybody', 3_000, () => knowsAll(nodes))
  const [subject, ...others] = nodes
  subject.exchange.setSelf({
    addresses: [{ address: subject.address, kind: 'direct' }],
    services: ['new'],
    reachability: 'private',
    mapping: 'endpoint-independent',
    filtering: 'unknown',
  })
  const seen = () => others.every(({ exchange }) => exchange.get(subject.id)?.services[0] === 'new')
  await until('everybody has the new record', 1_000, seen)
})

test('a peer that leaves is forgotten at once, and is known again when it returns', async (t) => {
  const nodes = await overlay(t, 4)
  await until('everybody knows everybody', 3_000, () => knowsAll(nodes))
  const [first, , , last] = nodes as [Node, Node, Node, Node]
  await last.stop()
  const rest = nodes.slice(0, 3)
  const forgotten = () => rest.every(({ exchange }) => exchange.get(last.id) === undefined)
  await until('the others have forgotten it', 1_000, forgotten)
  const again = await node(t, { key: last.key, bootstraps: [first.address] })
  const known = () => rest.every(({ exchange }) => exchange.get(again.id) !== undefined)
  await until('the others know it again', 3_000, known)
})

test('a peer nobody told us about is resolved by asking the connected ones', async (t) => {
  const hub = await node(t)
  const wanted = await node(t, { bootstraps: [hub.address] })
  await until('the hub knows the wanted one', 3_000, () => hub.exchange.known().length === 1)
  const asker = await node(t)
  await asker.libp2p.dial(multiaddr(hub.address))
  await until('the asker is a contact', 2_000, () => asker.exchange.get(hub.id) !== undefined)
  const found = await asker.exchange.resolve(wanted.id, { signal: AbortSignal.timeout(3_000) })
  assert.equal(found?.addresses[0]?.address, wanted.address)

  const nobody = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
  assert.equal(await asker.exchange.resolve(nobody), undefined)
  await assert.rejects(asker.exchange.resolve(nobody, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
})

test('a node restarts from its book without any bootstrap', async (t) => {
  const nodes = await overlay(t, 4)
  await until('everybody knows everybody', 3_000, () => knowsAll(nodes))
  const [first, second, third, last] = nodes as [Node, Node, Node, Node]
  const snapshot = last.exchange.snapshot()
  await last.stop()
  await first.stop()
  const again = await node(t, { key: last.key, snapshot })
  const linked = () => linkedTo(again, second.id) && linkedTo(again, third.id)
  await until('it is linked to the two that are left', 3_000, linked)
  const known = () => [second, third].every(({ exchange }) => exchange.get(again.id) !== undefined)
  await until('they know it', 2_000, known)
  assert.equal(await again.exchange.restore(Uint8Array.of(1, 2, 3)), false)
})

test('nodes of another network are not taken into the book', async (t) => {
  const ours = await node(t, { network: 'ours' })
  const theirs = await node(t, { network: 'theirs', bootstraps: [ours.address] })
  const friend = await node(t, { network: 'ours', bootstraps: [ours.address] })
  await until('the friend is known', 3_000, () => ours.exchange.get(friend.id) !== undefined)
  assert.ok(linkedTo(theirs, ours.id))
  assert.equal(ours.exchange.get(theirs.id), undefined)
  assert.deepEqual(theirs.exchange.known(), [])
})

test('an unreachable bootstrap is reported, and no more once it answers', async (t) => {
  const hidden = await node(t)
  const { key, address } = hidden
  await hidden.stop()
  const asker = await node(t, { bootstraps: [address] })
  const named = () => asker.reports.some((one) => 'peers' in one && one.peers[0] === hidden.id)
  await until('the bootstrap is reported as unreachable', 5_000, named)
  const again = await node(t, { key })
  await asker.libp2p.dial(multiaddr(again.address))
  const cleared = () => {
    const last = asker.reports.findLast((one) => 'peers' in one)
    return last !== undefined && 'peers' in last && last.peers.length === 0
  }
  await until('the report is taken back', 5_000, cleared)
})

const sees = ({ exchange }: Node, ahead: number): boolean =>
  exchange.clocks().some((ms) => Math.abs(ms - ahead) < 10_000)

test('peers whose clocks differ by hours see by how much, though they do not believe records', async (t) => {
  const hours = 2 * 3_600_000
  const right = await node(t)
  const fast = await node(t, { bootstraps: [right.address], aheadMs: hours })
  await until('both see it', 10_000, () => sees(right, hours) && sees(fast, -hours))
  assert.deepEqual(right.exchange.known(), [], 'a record from the future')
})
