/** What a node finds out about its own NAT with few and many peers to ask, and after how long. */
import { setTimeout as after } from 'node:timers/promises'
import type { NodeStatus } from '../../src/types.ts'
import { Lab } from './lab.ts'
import type { Host } from './host.ts'
import { Judge, type Judgement } from './judge.ts'
import { NAT_KINDS, traitsOf, type NatKind } from './nat-kinds.ts'
import { LabNode } from './node.ts'
import { table } from './report.ts'
import type { Finding, Note } from './scenarios.ts'
import { joinThrough } from './world.ts'

/** Public members beside the node that asks; the first is its bootstrap. */
const HELPERS = [1, 2, 4]

/** With how many of them the independent judge is asked as well: it does not depend on their number. */
const JUDGED_WITH = 4

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

/** Every kind of router with one, two and four helpers, and what an independent judge says of it. */
export async function facts(rttMs: number, note: Note, limits: boolean): Promise<void> {
  const seconds = new Map<Place, string[]>()
  const judgements = new Map<Place, Judgement>()
  for (const helpers of HELPERS) {
    for (const ipv6 of [false, true]) {
      for await (const { place, ms, found, judgement } of examinations(rttMs, helpers, ipv6)) {
        const time = ms === undefined ? 'never' : (ms / 1000).toFixed(1)
        seconds.set(place, [...(seconds.get(place) ?? []), time])
        if (judgement !== undefined) judgements.set(place, judgement)
        const expected = inWords(factsOf(place))
        note({
          what: `${place} with ${helpers} helper${helpers === 1 ? '' : 's'}`,
          found:
            ms === undefined
              ? `${inWords(found)}, not ${expected}`
              : `${expected}, after ${time} s`,
          ok: ms !== undefined && (!limits || ms <= LIMIT_MS(helpers)),
        })
      }
    }
  }
  for (const [place, judgement] of judgements) note(compare(place, judgement))
  note({ what: 'seconds until all facts are right', found: `\n${summary(seconds)}`, ok: true })
}

/** What the judge says of UDP must be what is expected, and thus found, of TCP. */
function compare(place: Place, judgement: Judgement): Finding {
  const { mapping, filtering } = factsOf(place)
  return {
    what: `${place} by RFC 5780 over UDP`,
    found: `mapping ${judgement.mapping}, filtering ${judgement.filtering}`,
    ok: judgement.mapping === overUdp(mapping) && judgement.filtering === overUdp(filtering),
  }
}

/** Where nothing is translated or filtered a STUN client sees what an endpoint-independent NAT would show it. */
const overUdp = (word: string): string => (word === 'none' ? 'endpoint-independent' : word)

function summary(seconds: ReadonlyMap<Place, string[]>): string {
  const head = ['', ...HELPERS.map((count) => `${count} helper${count === 1 ? '' : 's'}`)]
  return table([head, ...[...seconds].map(([place, times]) => [place, ...times])])
}

interface Examined {
  place: Place
  ms: number | undefined
  found: Facts
  judgement: Judgement | undefined
}

async function* examinations(
  rttMs: number,
  helpers: number,
  ipv6: boolean,
): AsyncGenerator<Examined> {
  await using lab = await Lab.create({ rttMs, ipv6 })
  const join = await startHelpers(lab, helpers)
  const judge = helpers === JUDGED_WITH ? await Judge.start(lab) : undefined
  const places: Place[] = ipv6
    ? ['v6fw']
    : ['public', ...NAT_KINDS.filter((kind) => kind !== 'v6fw')]
  for (const place of places) {
    const name = `${place}-${helpers}`
    const host = place === 'public' ? await lab.publicHost(name) : await lab.natHost(name, place)
    const [examined, judgement] = await Promise.all([
      examine(lab, host, factsOf(place), join),
      judge?.of(host),
    ])
    yield { place, ...examined, judgement }
  }
  await judge?.stop()
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

/** Starts a node on the host and waits until it knows the place for what it is. */
async function examine(
  lab: Lab,
  host: Host,
  facts: Facts,
  join: string[],
): Promise<{ ms: number | undefined; found: Facts }> {
  const node = await LabNode.start(host, { name: host.name, folder: lab.folder, args: join })
  const { atMs } = await node.ready()
  const expected = inWords(facts)
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
