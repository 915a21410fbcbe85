/** Plays one try of a cell: A, behind one NAT, connects to B, behind another. */
import type { Path } from '../../src/types.ts'
import { untried, type Cell, type CellOptions, type TraceStep, type Try } from './cell.ts'
import type { Host } from './host.ts'
import type { Lab } from './lab.ts'
import { meet, type Meeting } from './meeting.ts'
import { ApiError, type LabNode } from './node.ts'
import { countPackets, targetsOf } from './packets.ts'
import {
  download,
  exposing,
  hostsOf,
  listening,
  relayBytes,
  SERVICE,
  startWeb,
  type Relays,
  type Web,
} from './world.ts'

/** Longer than any aim in DESIGN section 4; what is not direct by then is a failure. */
const DIRECT_MS = 30_000
const DOWNLOAD_BYTES = 4_000_000
const DOWNLOAD_MS = 30_000
/**
 * What relays may send and receive beside a direct download, for themselves: nodes that have just started ask them about much (up to
 * 0.4 MB was seen), while all of a relayed download passes them twice.
 */
const RELAY_TOLERANCE = DOWNLOAD_BYTES / 4

/** How long a relayed cell gets to become direct against expectation: a whole ladder of attempts. */
const staysRelayedMs = (rttMs: number): number => 4000 + 40 * rttMs

/** Where tries are played one after the other. */
export interface Field {
  lab: Lab
  relays: Relays
}

/** What one try is played on: new hosts behind new routers, and what runs there beside the nodes. */
interface Stage extends Field {
  cell: Cell
  a: Host
  b: Host
  web: Web
  /** Read how many packets A and B have sent to each other. */
  packets: (() => Promise<number>)[]
}

/**
 * One try with new identities, on new hosts behind new routers: neither a mapping nor a TCP connection in TIME_WAIT
 * is left of the try before.
 */
export async function playTry(
  field: Field,
  cell: Cell,
  number: number,
  options: CellOptions,
): Promise<Try> {
  const result = untried()
  const stage = await setUp(field, cell, number, options)
  const { a, b, relays, web } = stage
  const nodes: LabNode[] = []
  try {
    const joinA = options.relays === 'split' ? relays.joinSecond : relays.join
    const meeting = await meet(
      field.lab.folder,
      { host: a, args: [...listening(a), ...joinA] },
      { host: b, args: [...listening(b), ...relays.join, ...exposing(web.port)] },
      (node) => nodes.push(node),
    )
    result.knownMs = meeting.knownMs
    if (cell.expected === 'direct') await playDirect(stage, meeting, result)
    else await playRelayed(stage, meeting, result)
    result.trace = await traceOf(meeting.nodeA, meeting.peer)
    await Promise.all(nodes.map((node) => node.stop()))
    result.ok = true
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const tails = nodes.map((node) => node.tail()).filter((tail) => !reason.includes(tail))
    result.failure = [reason, ...tails].join('\n')
    await Promise.all(nodes.map((node) => node.kill()))
  }
  await web.program.kill()
  return result
}

async function setUp(
  field: Field,
  cell: Cell,
  number: number,
  { skewMs }: CellOptions,
): Promise<Stage> {
  const { a, b } = await hostsOf(field.lab, cell, String(number))
  if (skewMs > 0) await field.lab.setLag(a, skewMs)
  const packets = await Promise.all([countPackets(a, b), countPackets(b, a)])
  return { ...field, cell, a, b, packets, web: await startWeb(b) }
}

type DirectPath = Path & { kind: 'direct' }

async function playDirect(stage: Stage, meeting: Meeting, result: Try): Promise<void> {
  const { nodeA, peer, early } = meeting
  result.early = early()
  const calledMs = performance.now()
  const { path } = await nodeA.connect(peer, 'direct', DIRECT_MS)
  result.directMs = performance.now() - calledMs
  const [sentByA, sentByB] = await Promise.all(stage.packets.map((read) => read()))
  result.packets = { a: sentByA ?? 0, b: sentByB ?? 0 }
  result.relayedMs = firstRelayed(nodeA, peer, calledMs)
  if (path.kind !== 'direct')
    throw new Error(`connect said direct and gave ${JSON.stringify(path)}`)
  result.method = path.method
  await proveDirect(stage, meeting, path)
}

async function playRelayed(stage: Stage, meeting: Meeting, result: Try): Promise<void> {
  const { nodeA, peer, early } = meeting
  result.early = early()
  const calledMs = performance.now()
  await nodeA.connect(peer, 'any', DIRECT_MS)
  result.relayedMs = performance.now() - calledMs
  await proveRelayed(stage, meeting)
  result.method = 'relayed'
}

/** A direct path leads to B itself, by a method that fits the cell, and no relay carries what passes over it. */
async function proveDirect(
  { lab, relays, cell, a, b }: Stage,
  { nodeA, peer }: Meeting,
  path: DirectPath,
): Promise<void> {
  const expected = a.router !== null && a.router === b.router ? [b.address] : targetsOf(a, b)
  const host = path.address.split('/')[2] ?? ''
  if (!expected.includes(host))
    throw new Error(`the path leads to ${path.address}, not to ${expected.join(' or ')}`)
  if (!cell.methods.includes(path.method))
    throw new Error(`the method is ${path.method}, expected ${cell.methods.join(' or ')}`)
  const forward = await nodeA.forward(peer, SERVICE)
  const before = await relayBytes(relays)
  await download(a, lab.folder, forward, DOWNLOAD_BYTES, DOWNLOAD_MS)
  const carried = (await relayBytes(relays)) - before
  if (carried > RELAY_TOLERANCE)
    throw new Error(`relays carried ${carried} bytes during a direct download to ${b.name}`)
}

/** A relayed path carries a download, and stays relayed although a direct one is asked for. */
async function proveRelayed({ lab, cell, a }: Stage, { nodeA, peer }: Meeting): Promise<void> {
  const forward = await nodeA.forward(peer, SERVICE)
  await download(a, lab.folder, forward, DOWNLOAD_BYTES, DOWNLOAD_MS)
  const refusal = await nodeA.connect(peer, 'direct', staysRelayedMs(lab.wire.rttMs)).then(
    ({ path }) => (path.kind === 'direct' ? path.method : path.kind),
    (error: unknown) => (error instanceof ApiError ? error.code : String(error)),
  )
  if (refusal !== 'ERR_NO_DIRECT_PATH')
    throw new Error(
      `expected to stay relayed, because ${cell.reason}; got ${refusal}. If that is no accident, expectation.ts is out of date`,
    )
  const { path } = await nodeA.peer(peer)
  if (path?.kind !== 'relayed')
    throw new Error(`expected a relayed path, got ${JSON.stringify(path)}`)
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

/** The steps of the node's last attempt; null where it does not tell. */
async function traceOf(node: LabNode, peer: string): Promise<TraceStep[] | null> {
  const told = await node
    .api<{ attempts?: { steps?: TraceStep[] }[] }>('GET', `/v1/peers/${peer}/explain`)
    .catch((error: unknown) => {
      // A node without `explain` is played all the same.
      if (error instanceof ApiError && error.status === 404) return null
      throw error
    })
  return told?.attempts?.at(-1)?.steps ?? null
}
