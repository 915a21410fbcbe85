/** Brings A and B to the moment at which the connect call is made: both usable, A has heard of B, nobody has begun. */
import { join } from 'node:path'
import { loadOrCreateIdentity } from '../../src/storage/identity.ts'
import type { Host } from './host.ts'
import { LabNode } from './node.ts'
import { hearsOf, isUnderWay, usable } from './world.ts'

/** A node that is to be started: where, and with which options of `warren up`. */
export interface Entry {
  host: Host
  args: string[]
}

/** A and B, met. */
export interface Meeting {
  nodeA: LabNode
  nodeB: LabNode
  /** B's peer id. */
  peer: string
  /** From both being usable until A knew an address of B. */
  knownMs: number
  /** Whether the two have begun to link by themselves. */
  early: () => boolean
}

/**
 * Members of a small overlay link by themselves, and of two that hear of each other one goes first while the other waits
 * two seconds for it. What is to be timed is the call, not that. So the one that goes first is started first: it hears
 * of the other when that one is usable, and not earlier, and the call comes with it. `started` is told of each node
 * as soon as it runs.
 */
export async function meet(
  folder: string,
  a: Entry,
  b: Entry,
  started: (node: LabNode) => void,
): Promise<Meeting> {
  const [idA, idB] = await Promise.all([a, b].map((entry) => identityOf(folder, entry.host)))
  if (idA === undefined || idB === undefined) throw new Error('two identities were made')
  const start = async ({ host, args }: Entry): Promise<LabNode> => {
    const node = await LabNode.start(host, { name: host.name, folder, args })
    started(node)
    await usable(node, host)
    return node
  }
  const aFirst = goesFirst({ host: a.host, id: idA }, { host: b.host, id: idB })
  const first = await start(aFirst ? a : b)
  const second = await start(aFirst ? b : a)
  const [nodeA, nodeB] = aFirst ? [first, second] : [second, first]
  const knownMs = await hearsOf(nodeA, idB)
  const early = () => isUnderWay(nodeA, idB) || isUnderWay(nodeB, idA)
  return { nodeA, nodeB, peer: idB, knownMs, early }
}

interface Named {
  host: Host
  id: string
}

/** As `protocols/membership` has it: hidden ones call public ones, and among equals the lower name calls. */
function goesFirst(one: Named, other: Named): boolean {
  const isPublic = ({ host }: Named) => host.router === null
  return isPublic(one) === isPublic(other) ? one.id < other.id : !isPublic(one)
}

/** Makes the identity of a node before it starts. */
async function identityOf(folder: string, host: Host): Promise<string> {
  return (await loadOrCreateIdentity(join(folder, host.name))).peerId
}
