/** Scenarios beyond the matrix: a large transfer that outlives a relay, and a small swarm that starts all at once. */
import { setTimeout as after } from 'node:timers/promises'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import { ApiError, LabNode } from './node.ts'
import {
  download,
  exposing,
  hostsOf,
  joinThrough,
  relayBytes,
  SERVICE,
  startRelays,
  startWeb,
  usable,
  type Download,
} from './world.ts'

/** One thing that a scenario looked at. */
export interface Finding {
  what: string
  found: string
  ok: boolean
}

export type Note = (finding: Finding) => void

const BIG_BYTES = 100_000_000
/** 100 MB on two busy cores; one tenth of what is usual. */
const BIG_MS = 120_000
/** Share of the transfer after which the relay is killed. */
const KILL_AT = 0.3
/** Relays may say this much to others while a large direct transfer runs: 0.5 % of it. */
const BIG_TOLERANCE = BIG_BYTES / 200
const CONNECT_MS = 30_000

const speed = ({ ms, megabitsPerSecond }: Download): string =>
  `${(ms / 1000).toFixed(1)} s, ${megabitsPerSecond.toFixed(0)} Mbit/s, checksum right`

/** 100 MB over the direct link, with checksum; then again while R1 is killed on the way. */
export async function bigTransfer(rttMs: number, note: Note): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const { a, b } = await hostsOf(lab, { a: 'port', b: 'port' })
  const web = await startWeb(b)
  const relays = await startRelays(lab)
  const nodeA = await LabNode.start(a, { name: 'a', folder: lab.folder, args: relays.join })
  const nodeB = await LabNode.start(b, {
    name: 'b',
    folder: lab.folder,
    args: [...relays.join, ...exposing(web.port)],
  })
  await Promise.all([usable(nodeA, a), usable(nodeB, b)])
  const peer = await nodeB.peerId()
  await nodeA.connect(peer, 'direct', CONNECT_MS)
  const forward = await nodeA.forward(peer, SERVICE)

  const before = await relayBytes(relays)
  const quiet = await download(a, lab.folder, forward, BIG_BYTES, BIG_MS)
  const carried = (await relayBytes(relays)) - before
  note({ what: '100 MB over the direct link', found: speed(quiet), ok: true })
  note({
    what: 'bytes through the relays meanwhile',
    found: `${carried}`,
    ok: carried < BIG_TOLERANCE,
  })

  const start = (await a.counters()).rxBytes
  const killing = killAt(a, start + KILL_AT * BIG_BYTES, relays.nodes[0])
  const disturbed = await download(a, lab.folder, forward, BIG_BYTES, BIG_MS)
  note({
    what: `100 MB with R1 killed after ${await killing} MB`,
    found: speed(disturbed),
    ok: true,
  })
  const { path } = await nodeA.peer(peer)
  note({ what: 'the path afterwards', found: path?.kind ?? 'none', ok: path?.kind === 'direct' })
}

/** Kills a node when a host has received this much, and tells after how many MB it did. */
async function killAt(host: Host, rxBytes: number, node: LabNode): Promise<string> {
  const deadline = performance.now() + BIG_MS
  for (;;) {
    const now = (await host.counters()).rxBytes
    if (now >= rxBytes) {
      await node.kill()
      return ((now - rxBytes + KILL_AT * BIG_BYTES) / 1e6).toFixed(0)
    }
    if (performance.now() > deadline)
      throw new Error('the transfer never came far enough to kill a relay')
    // Counters have no event to wait for.
    await after(50)
  }
}

/** DESIGN section 4: a small swarm is fully usable within 3 s of starting; direct within 5 s is this laboratory's limit. */
const USABLE_LIMIT_MS = 3000
const DIRECT_LIMIT_MS = 5000
const PATIENCE_MS = 20_000

/** Starts timed, of which the middle one counts: three processes that start on two cores are no stopwatch. */
const STARTS = 3

/** One public bootstrap and two hidden nodes start at the same moment, several times over. */
export async function smallSwarm(rttMs: number, note: Note, limits: boolean): Promise<void> {
  const timed: { usableMs: number; directMs: number }[] = []
  for (let number = 1; number <= STARTS; number++) timed.push(await startOnce(rttMs))
  const judge = (what: string, all: number[], limitMs: number): void => {
    const middle = all.toSorted((x, y) => x - y)[Math.floor(all.length / 2)] ?? Infinity
    const found = `${all.map((ms) => ms.toFixed(0)).join(', ')} ms`
    const limit = limits ? ` (limit ${limitMs} ms for the middle one)` : ''
    note({ what: `${what}${limit}`, found, ok: !limits || middle <= limitMs })
  }
  judge(
    'usable after',
    timed.map(({ usableMs }) => usableMs),
    USABLE_LIMIT_MS,
  )
  judge(
    'direct after',
    timed.map(({ directMs }) => directMs),
    DIRECT_LIMIT_MS,
  )
}

async function startOnce(rttMs: number): Promise<{ usableMs: number; directMs: number }> {
  await using lab = await Lab.create({ rttMs })
  const { a, b } = await hostsOf(lab, { a: 'port', b: 'port' })
  const r = await lab.publicHost('r')
  const [idR, , idB] = await Promise.all(
    [r, a, b].map((host) => LabNode.identity(host, { name: host.name, folder: lab.folder })),
  )
  if (idR === undefined || idB === undefined) throw new Error('three identities were asked for')
  const join = joinThrough(r, idR)
  const startedMs = performance.now()
  const [, nodeA] = await Promise.all([
    LabNode.start(r, { name: 'r', folder: lab.folder }),
    LabNode.start(a, { name: 'a', folder: lab.folder, args: join }),
    LabNode.start(b, { name: 'b', folder: lab.folder, args: join }),
  ])
  await nodeA.ready()
  await connectSoon(nodeA, idB, startedMs + PATIENCE_MS)
  const usableMs = performance.now() - startedMs
  await nodeA.connect(idB, 'direct', PATIENCE_MS)
  return { usableMs, directMs: performance.now() - startedMs }
}

/** Asks again while nobody knows the peer yet: it is starting at this very moment. */
async function connectSoon(node: LabNode, peer: string, untilMs: number): Promise<void> {
  for (;;) {
    try {
      await node.connect(peer, 'any', PATIENCE_MS)
      return
    } catch (error) {
      if (!(error instanceof ApiError) || performance.now() > untilMs) throw error
      // The refusal comes at once; a tenth of a second is the precision of the answer.
      await after(100)
    }
  }
}
