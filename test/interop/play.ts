/** Plays a cell of the interop laboratory. */
import type { Host } from '../lab/host.ts'
import { Lab } from '../lab/lab.ts'
import { hostsOf } from '../lab/world.ts'
import type { InteropCell } from './cells.ts'
import { startPeer, startRelay, type Peer, type Relay } from './ends.ts'

export interface InteropOptions {
  tries: number
  rttMs: number
  lossPercent: number
  /** Frames towards A take this much longer than frames from A. */
  skewMs: number
}

/** What one try came to. */
export interface InteropTry {
  /** From A's connect call to a direct connection; null when there was none. */
  directMs: number | null
  failure: string | null
}

/** Three attempts of go-libp2p, of 10 s each. */
const DIRECT_MS = 35_000
/** B has the connection that A has, or is about to have it. */
const OTHER_SIDE_MS = 5000

/** Plays a cell; `progress` is told every try. */
export async function playCell(
  cell: InteropCell,
  options: InteropOptions,
  progress: (number: number, result: InteropTry) => void,
): Promise<InteropTry[]> {
  await using lab = await Lab.create(options)
  const relay = await startRelay(lab, cell.relay)
  const results: InteropTry[] = []
  for (let number = 1; number <= options.tries; number++) {
    const result = await playTry(lab, relay, { cell, number, skewMs: options.skewMs })
    results.push(result)
    progress(number, result)
  }
  return results
}

/** One try with new identities on new hosts behind new routers. */
async function playTry(
  lab: Lab,
  relay: Relay,
  { cell, number, skewMs }: { cell: InteropCell; number: number; skewMs: number },
): Promise<InteropTry> {
  const hosts = await hostsOf(lab, { a: cell.a.place, b: cell.b.place }, String(number))
  if (skewMs > 0) await lab.setLag(hosts.a, skewMs)
  const a = await startPeer(lab, hosts.a, cell.a.maker, relay)
  const b = await startPeer(lab, hosts.b, cell.b.maker, relay)
  const result: InteropTry = { directMs: null, failure: null }
  try {
    await Promise.all([a.usable(), b.usable()])
    const address = `${relay.address}/p2p-circuit/p2p/${await b.peerId()}`
    const calledMs = performance.now()
    const leadsTo = await a.connectDirectly(address, DIRECT_MS)
    const directMs = performance.now() - calledMs
    mustLeadTo('A', leadsTo, hosts.b)
    await mustAgree({ a, b, hosts })
    await Promise.all([a.stop(), b.stop()])
    result.directMs = directMs
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const tails = [a, b].map((peer) => peer.tail()).filter((tail) => !reason.includes(tail))
    result.failure = [reason, ...tails].join('\n')
    await Promise.all([a.kill(), b.kill()])
  }
  return result
}

/** The connection is direct on both sides, and both use it. */
async function mustAgree(stage: { a: Peer; b: Peer; hosts: { a: Host; b: Host } }): Promise<void> {
  const { a, b, hosts } = stage
  const [idA, idB] = [await a.peerId(), await b.peerId()]
  mustLeadTo('B', await b.directTo(idA, OTHER_SIDE_MS), hosts.a)
  mustLeadTo('a ping by A', await a.ping(idB), hosts.b)
  mustLeadTo('a ping by B', await b.ping(idA), hosts.a)
}

/** A direct path leads to the outside of the other's router. */
function mustLeadTo(whose: string, address: string, other: Host): void {
  const host = address.split('/')[2]
  if (address.includes('/p2p-circuit') || host !== other.externalAddress)
    throw new Error(`the path of ${whose} leads to ${address}, not to ${other.externalAddress}`)
}
