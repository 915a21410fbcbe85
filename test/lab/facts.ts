/** What a node finds out about its own NAT with few and many peers to ask, and after how long. */
import { setTimeout as after } from 'node:timers/promises'
import type { NodeStatus } from '../../src/types.ts'
import { Lab } from './lab.ts'
import type { Host } from './host.ts'
import { NAT_KINDS, traitsOf, type NatKind } from './nat-kinds.ts'
import { LabNode } from './node.ts'
import type { Note } from './scenarios.ts'
import { joinThrough } from './world.ts'

/** Public members beside the node that asks; the first is its bootstrap. */
const HELPERS = (process.env.H ?? '1,2,4').split(',').map(Number)

/** Until all facts are right, counted from the node's readiness. */
const LIMIT_MS = (helpers: number): number => (helpers === 1 ? 20_000 : 10_000)

/** How long a node is given, and how long the facts must stay once they are right. */
const PATIENCE_MS = 30_000
const STAYS_MS = 1_500

const LINKED_MS = 20_000

type Place = NatKind | 'public'

/** What a node behind such a router must find. */
interface Facts {
  verdict: string
  mapping: string
  filtering: string
  ports: string
}

function factsOf(place: Place): Facts {
  const traits = place === 'public' ? null : traitsOf(place)
  if (place === 'public') {
    return { verdict: 'public', mapping: 'none', filtering: 'none', ports: 'preserved' }
  }
  if (traits === null) {
    const filtering = 'address-and-port-dependent'
    return { verdict: 'private', mapping: 'none', filtering, ports: 'preserved' }
  }
  const { mapping, filtering, ports } = traits
  const verdict = filtering === 'endpoint-independent' ? 'public' : 'private'
  return { verdict, mapping, filtering, ports }
}

const inWords = ({ verdict, mapping, filtering, ports }: Facts): string =>
  `${verdict}, mapping ${mapping}, filtering ${filtering}, ports ${ports}`

/** Every kind of router with one, two and four helpers. */
export async function facts(rttMs: number, note: Note, limits: boolean): Promise<void> {
  for (const helpers of HELPERS) {
    for (const ipv6 of [false, true]) await withHelpers(rttMs, helpers, ipv6, note, limits)
  }
}

async function withHelpers(
  rttMs: number,
  helpers: number,
  ipv6: boolean,
  note: Note,
  limits: boolean,
): Promise<void> {
  await using lab = await Lab.create({ rttMs, ipv6 })
  const join = await startHelpers(lab, helpers)
  const places: Place[] = ipv6
    ? ['v6fw']
    : ['public', ...NAT_KINDS.filter((kind) => kind !== 'v6fw')]
  for (const place of places) {
    const { ms, found } = await examine(lab, `${place}-${helpers}`, place, join)
    const limit = LIMIT_MS(helpers)
    const time = ms === undefined ? 'never' : `${(ms / 1000).toFixed(1)} s`
    note({
      what: `${place} with ${helpers} helper${helpers === 1 ? '' : 's'}`,
      found: `${inWords(found)}: ${ms === undefined ? `WRONG, expected ${inWords(factsOf(place))}` : `right after ${time}`}`,
      ok: ms !== undefined && (!limits || ms <= limit),
    })
  }
}

/** Public members, all linked to each other; the options by which others join through the first. */
async function startHelpers(lab: Lab, count: number): Promise<string[]> {
  const hosts: Host[] = []
  for (let i = 1; i <= count; i++) hosts.push(await lab.publicHost(`h${i}`))
  let join: string[] = []
  const nodes: LabNode[] = []
  for (const host of hosts) {
    const node = await LabNode.start(host, { name: host.name, folder: lab.folder, args: join })
    const id = await node.peerId()
    if (join.length === 0) join = joinThrough(host, id)
    nodes.push(node)
  }
  for (const node of nodes) {
    for (const other of nodes) {
      if (other === node) continue
      const id = await other.peerId()
      await node.waitFor('peer:linked', ({ peer }) => peer === id, LINKED_MS)
    }
  }
  return join
}

/** Starts a node in that place and waits until it knows the place for what it is. */
async function examine(
  lab: Lab,
  name: string,
  place: Place,
  join: string[],
): Promise<{ ms: number | undefined; found: Facts }> {
  const host = place === 'public' ? await lab.publicHost(name) : await lab.natHost(name, place)
  const node = await LabNode.start(host, { name, folder: lab.folder, args: join })
  const { atMs } = await node.ready()
  const expected = inWords(factsOf(place))
  let rightSince: number | undefined
  for (;;) {
    const { reachability, nat } = await node.api<NodeStatus>('GET', '/v1/status')
    const found = { verdict: reachability.verdict, ...nat }
    const now = performance.now()
    if (inWords(found) !== expected) rightSince = undefined
    else rightSince ??= now
    const stayed = rightSince !== undefined && now >= rightSince + STAYS_MS
    if (stayed || now > atMs + PATIENCE_MS) {
      await node.stop()
      return { ms: rightSince === undefined ? undefined : rightSince - atMs, found }
    }
    // The API has no event for all of it.
    await after(50)
  }
}
