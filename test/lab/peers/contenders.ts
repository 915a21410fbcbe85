/** Who is compared: each brings its own public part, and joins A to B in its own way. */
import { targetsOf } from '../packets.ts'
import type { Host } from '../host.ts'
import type { Lab } from '../lab.ts'
import { meet } from '../meeting.ts'
import { ApiError, type LabNode } from '../node.ts'
import { listening, startRelays } from '../world.ts'
import { Subject } from './subject.ts'

/** What one attempt came to. */
export interface Attempt {
  /** From the connect call to a direct path; null when there was none. */
  directMs: number | null
  /** The two were linking already when the call was made: the time does not count. */
  early: boolean
  /** Why not. */
  reason: string | null
}

/** The public part of a contender, started. */
export interface Ground {
  attempt(a: Host, b: Host, patienceMs: number): Promise<Attempt>
}

export interface Contender {
  name: string
  /** What its path is made of, and when it counts as direct. */
  how: string
  start(lab: Lab): Promise<Ground>
}

export const never = (reason: string): Attempt => ({ directMs: null, early: false, reason })

export const CONTENDERS: readonly Contender[] = [
  {
    name: 'Warren',
    how: 'TCP; knows the peer id only; connect call to direct path',
    start: startWarren,
  },
  {
    name: 'HyperDHT',
    how: 'UDP; knows the public key only; connect call to first echo',
    start: startHyperDHT,
  },
  {
    name: 'js-libp2p',
    how: 'TCP, stock dcutr; is told the relayed address; dial call to direct connection',
    start: startJsLibp2p,
  },
]

async function startWarren(lab: Lab): Promise<Ground> {
  const relays = await startRelays(lab)
  const { folder } = lab
  const entryOf = (host: Host) => ({ host, args: [...listening(host), ...relays.join] })
  return {
    async attempt(a, b, patienceMs) {
      const nodes: LabNode[] = []
      try {
        const meeting = await meet(folder, entryOf(a), entryOf(b), (node) => nodes.push(node))
        const { nodeA, peer } = meeting
        const early = meeting.early()
        const calledMs = performance.now()
        const { path } = await nodeA.connect(peer, 'direct', patienceMs)
        const directMs = performance.now() - calledMs
        return path.kind === 'direct' ? { directMs, early, reason: null } : never(path.kind)
      } catch (error) {
        if (error instanceof ApiError) return never(error.code)
        throw error
      } finally {
        await Promise.all(nodes.map((node) => node.kill()))
      }
    },
  }
}

const DHT_PORT = 49_737
/** Besides the bootstrap node: fewer, and HyperDHT has nobody to learn its NAT from. */
const DHT_MEMBERS = 3

async function startHyperDHT(lab: Lab): Promise<Ground> {
  const first = await lab.publicHost('dht0')
  const place = [first.address, String(DHT_PORT)]
  const { name } = await Subject.start(first, './hyperdht.ts', ['bootstrap', ...place])
  for (let n = 1; n <= DHT_MEMBERS; n++)
    await Subject.start(await lab.publicHost(`dht${n}`), './hyperdht.ts', ['member', name])
  return {
    attempt: (a, b, patienceMs) => joinPrograms('./hyperdht.ts', name, a, b, patienceMs),
  }
}

async function startJsLibp2p(lab: Lab): Promise<Ground> {
  const host = await lab.publicHost('js')
  const { name } = await Subject.start(host, './js-libp2p.ts', ['relay', host.address])
  return {
    attempt: (a, b, patienceMs) => joinPrograms('./js-libp2p.ts', name, a, b, patienceMs),
  }
}

/** Starts a program that serves on B and one that dials on A, and asks A for B. */
async function joinPrograms(
  file: string,
  through: string,
  a: Host,
  b: Host,
  patienceMs: number,
): Promise<Attempt> {
  const [dialing, serving] = await Promise.all([
    Subject.start(a, file, ['dial', through]),
    Subject.start(b, file, ['serve', through]),
  ])
  try {
    const said = await dialing.subject.connect(serving.name, patienceMs)
    if (said === null) return never(`not direct after ${patienceMs / 1000} s`)
    if (!said.direct) return never(said.reason)
    const leadsToB = targetsOf(a, b).some((target) => said.remote.includes(target))
    return leadsToB
      ? { directMs: said.ms, early: false, reason: null }
      : never(`the path leads to ${said.remote}, not to B`)
  } finally {
    await Promise.all([dialing.subject.stop(), serving.subject.stop()])
  }
}
