/** Plays one cell of the matrix: A, behind one NAT, connects to B, behind another. */
import { setTimeout as after } from 'node:timers/promises'
import type { Path, PathMethod } from '../../src/types.ts'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import { ApiError, LabNode } from './node.ts'
import {
  download,
  exposing,
  hostsOf,
  relayBytes,
  SERVICE,
  startRelays,
  startWeb,
  usable,
  type PlaceKind,
  type Relays,
} from './world.ts'

/** One row of the matrix. */
export interface Cell {
  a: PlaceKind
  b: PlaceKind
  expected: 'direct' | 'relayed'
  /** Why it can be no better. */
  reason?: string
}

export const cellName = ({ a, b }: Cell): string => `${a}×${b}`

export interface CellOptions {
  tries: number
  rttMs: number
  lossPercent: number
  /** Frames towards A take this much longer than frames from A. */
  skewMs: number
}

/** What one try came to. */
export interface Try {
  ok: boolean
  /** From both being usable until A knows an address of B by peer exchange. */
  knownMs: number | null
  /** From the connect call to a direct path. */
  directMs: number | null
  /** From the connect call to the first relayed link. */
  relayedMs: number | null
  method: PathMethod | 'relayed' | null
  /** Why it failed. */
  failure: string | null
}

/** Longer than any aim in DESIGN section 4; what is not direct by then is a failure. */
const DIRECT_MS = 30_000
/** Peer exchange that takes longer than this is a failure of its own. */
const KNOWN_MS = 15_000
/** A relayed cell gets this long to become direct against expectation. */
const STAYS_RELAYED_MS = 6000
const DOWNLOAD_BYTES = 1_000_000
const DOWNLOAD_MS = 30_000
/** What relays may send and receive beside a direct download: their own keep-alives and peer exchange. */
const RELAY_TOLERANCE = 128 * 1024

interface Stage {
  lab: Lab
  relays: Relays
  a: Host
  b: Host
}

/** Plays a cell; `progress` is told every try. */
export async function playCell(
  cell: Cell,
  options: CellOptions,
  progress: (number: number, result: Try) => void,
): Promise<Try[]> {
  const ipv6 = cell.a === 'v6fw' || cell.b === 'v6fw'
  await using lab = await Lab.create({
    rttMs: options.rttMs,
    lossPercent: options.lossPercent,
    ipv6,
  })
  const relays = await startRelays(lab)
  const results: Try[] = []
  for (let number = 1; number <= options.tries; number++) {
    const result = await playTry(lab, relays, cell, options.skewMs, number)
    results.push(result)
    progress(number, result)
  }
  return results
}

/**
 * One try with new identities, on new hosts behind new routers: neither a mapping nor a TCP connection in TIME_WAIT
 * is left of the try before.
 */
async function playTry(
  lab: Lab,
  relays: Relays,
  cell: Cell,
  skewMs: number,
  number: number,
): Promise<Try> {
  const { a, b } = await hostsOf(lab, cell, String(number))
  if (skewMs > 0) await lab.setLag(a, skewMs)
  const web = await startWeb(b)
  const { folder } = lab
  const [nodeA, nodeB] = await Promise.all([
    LabNode.start(a, { name: a.name, folder, args: relays.join }),
    LabNode.start(b, { name: b.name, folder, args: [...relays.join, ...exposing(web.port)] }),
  ])
  const result: Try = {
    ok: false,
    knownMs: null,
    directMs: null,
    relayedMs: null,
    method: null,
    failure: null,
  }
  try {
    await Promise.all([usable(nodeA, a), usable(nodeB, b)])
    result.knownMs = await hearsOf(nodeA, await nodeB.peerId())
    const expect = cell.expected === 'direct' ? expectDirect : expectRelayed
    await expect({ lab, relays, a, b }, nodeA, nodeB, result)
    await Promise.all([nodeA.stop(), nodeB.stop()])
    result.ok = true
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const tails = [nodeA, nodeB].map((node) => node.tail()).filter((tail) => !reason.includes(tail))
    result.failure = [reason, ...tails].join('\n')
    await Promise.all([nodeA.kill(), nodeB.kill()])
  }
  await web.program.kill()
  return result
}

/** Waits until a node knows an address of a peer; its API has no event for that, so it is asked. */
async function hearsOf(node: LabNode, peer: string): Promise<number> {
  const startedMs = performance.now()
  for (;;) {
    const { addresses } = await node.peer(peer).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return { addresses: [] }
      throw error
    })
    const passedMs = performance.now() - startedMs
    if (addresses.length > 0) return passedMs
    if (passedMs > KNOWN_MS)
      throw new Error(`${node.name} heard of no address of ${peer} within ${KNOWN_MS} ms`)
    await after(20)
  }
}

async function expectDirect(
  stage: Stage,
  nodeA: LabNode,
  nodeB: LabNode,
  result: Try,
): Promise<void> {
  const { lab, relays, a, b } = stage
  const peer = await nodeB.peerId()
  const calledMs = performance.now()
  const { path } = await nodeA.connect(peer, 'direct', DIRECT_MS)
  result.directMs = performance.now() - calledMs
  result.relayedMs = firstRelayed(nodeA, peer, calledMs)
  if (path.kind !== 'direct')
    throw new Error(`connect said direct and gave ${JSON.stringify(path)}`)
  result.method = path.method
  mustBeDirect(path, stage)
  const forward = await nodeA.forward(peer, SERVICE)
  const before = await relayBytes(relays)
  await download(a, lab.folder, forward, DOWNLOAD_BYTES, DOWNLOAD_MS)
  const carried = (await relayBytes(relays)) - before
  if (carried > RELAY_TOLERANCE)
    throw new Error(`relays carried ${carried} bytes during a direct download to ${b.name}`)
}

/** A direct path leads to B's own address on its LAN, or to the outside of B's router. */
function mustBeDirect(path: Path & { kind: 'direct' }, { a, b }: Stage): void {
  const neighbours = a.router !== null && a.router === b.router
  const expected = neighbours
    ? [b.address]
    : [b.externalAddress, b.ipv6Address ?? b.externalAddress]
  const host = path.address.split('/')[2] ?? ''
  if (!expected.includes(host))
    throw new Error(`the path leads to ${path.address}, not to ${expected.join(' or ')}`)
}

async function expectRelayed(
  stage: Stage,
  nodeA: LabNode,
  nodeB: LabNode,
  result: Try,
): Promise<void> {
  const { lab, a } = stage
  const peer = await nodeB.peerId()
  const calledMs = performance.now()
  await nodeA.connect(peer, 'any', DIRECT_MS)
  result.relayedMs = performance.now() - calledMs
  const forward = await nodeA.forward(peer, SERVICE)
  await download(a, lab.folder, forward, DOWNLOAD_BYTES, DOWNLOAD_MS)
  const refusal = await nodeA.connect(peer, 'direct', STAYS_RELAYED_MS).then(
    () => 'a direct path',
    (error: unknown) => (error instanceof ApiError ? error.code : String(error)),
  )
  if (refusal !== 'ERR_NO_DIRECT_PATH') throw new Error(`expected to stay relayed, got ${refusal}`)
  const { path } = await nodeA.peer(peer)
  if (path?.kind !== 'relayed')
    throw new Error(`expected a relayed path, got ${JSON.stringify(path)}`)
  result.method = 'relayed'
}

/** When the first relayed link to the peer appeared, counted from the call. */
function firstRelayed(node: LabNode, peer: string, calledMs: number): number | null {
  const linked = node.find(
    'peer:linked',
    (event) => event.peer === peer && event.path.kind === 'relayed',
    calledMs,
  )
  return linked === undefined ? null : linked.atMs - calledMs
}
