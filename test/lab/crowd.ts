/** Scenario `crowd`: fifty nodes, seven in ten behind NATs, lose most of their relays at once. */
import { readFile } from 'node:fs/promises'
import { setTimeout as after } from 'node:timers/promises'
import type { NodeStatus } from '../../src/types.ts'
import { seededRng, shuffle } from '../../protocols/kernel/rng.ts'
import type { Host } from './host.ts'
import { spread } from '../support/overlay-views.ts'
import { Lab } from './lab.ts'
import type { BasicKind } from './nat-kinds.ts'
import { answers, inTurn, joinOptions, linksOf, startMembers, untilOne } from './overlay.ts'
import type { Member } from './overlay.ts'
import { seconds } from './report.ts'
import type { Note } from './scenarios.ts'

const PUBLIC = 15
const HIDDEN = 35
/** Endpoint-independent mappings and symmetric ones, in turn. */
const KINDS: readonly BasicKind[] = ['port', 'sym', 'addr', 'sym-seq', 'shift']
/** Public members that are left: whoever was hidden behind the others has to find these. */
const LEFT = 4
/** Row 28 of the acceptance table: everybody is ready within this, and nobody is alone this long after the blow. */
const READY_MS = 60_000
const WHOLE_MS = 60_000
/** Pairs that call each other afterwards, by id. */
const PAIRS = 100
const CALLS_AT_A_TIME = 4
const LOOK_EVERY_MS = 250

/** All namespaces of a machine share one table of neighbours, and everybody here is everybody's on the flat internet. */
const NEIGHBOURS = 16_384
const NEIGHBOUR_LIMIT = 'net.ipv4.neigh.default.gc_thresh3'

async function assertRoom(): Promise<void> {
  const limit = Number(await readFile(`/proc/sys/${NEIGHBOUR_LIMIT.replaceAll('.', '/')}`, 'utf8'))
  if (limit >= NEIGHBOURS) return
  throw new Error(
    `this kernel remembers ${limit} neighbours, and fifty hosts need more: sysctl -w ${NEIGHBOUR_LIMIT}=${NEIGHBOURS}`,
  )
}

/** Plays the scenario. */
export async function crowd(rttMs: number, note: Note, limits: boolean): Promise<void> {
  await assertRoom()
  await using lab = await Lab.create({ rttMs })
  const hosts: Host[] = []
  for (let i = 0; i < PUBLIC; i++) hosts.push(await lab.publicHost(`p${i}`))
  for (let i = 0; i < HIDDEN; i++) {
    hosts.push(await lab.natHost(`h${i}`, KINDS[i % KINDS.length] as BasicKind))
  }
  const startedMs = performance.now()
  const first = await startMembers(lab, hosts.slice(0, 2), [])
  const others = await startMembers(lab, hosts.slice(2), joinOptions(first))
  const readyMs = performance.now() - startedMs
  const members = [...first, ...others]
  note({
    what: `${PUBLIC} public and ${HIDDEN} hidden nodes are started and usable`,
    found: `after ${seconds(readyMs)}`,
    ok: !limits || readyMs <= READY_MS,
  })
  await untilOne(members, performance.now() + WHOLE_MS)
  note({ what: 'they are one overlay', found: await linksOf(members), ok: true })

  const { dead, left } = await relaysOf(members)
  const killedMs = performance.now()
  await Promise.all(dead.map(({ node }) => node.kill()))
  const lonely = left.filter(({ host }) => host.router !== null)
  const times = await untilServed(lonely, new Set(left.map(({ peer }) => peer)), killedMs)
  note({
    what: `${dead.length} of ${PUBLIC} relays are killed at once, all bootstraps among them: every hidden node holds another`,
    found: `after ${spread(times)} ms`,
    ok: true,
  })
  await untilOne(left, killedMs + WHOLE_MS)
  note({
    what: `the other ${left.length} are one overlay, nobody alone`,
    found: `after ${seconds(performance.now() - killedMs)}; ${await linksOf(left)}`,
    ok: true,
  })
  await callEachOther(left, note)
}

/** The bootstraps and the busiest relays, until few public members are left. */
async function relaysOf(members: readonly Member[]): Promise<{ dead: Member[]; left: Member[] }> {
  const open = members.filter(({ host }) => host.router === null)
  const load = new Map<string, number>()
  for (const { node } of members) {
    const { relays } = await node.api<NodeStatus>('GET', '/v1/status')
    for (const { peer } of relays) load.set(peer, (load.get(peer) ?? 0) + 1)
  }
  const [first, second, ...rest] = open as [Member, Member, ...Member[]]
  const busy = rest.toSorted((a, b) => (load.get(b.peer) ?? 0) - (load.get(a.peer) ?? 0))
  const dead = [first, second, ...busy.slice(0, PUBLIC - LEFT - 2)]
  return { dead, left: members.filter((one) => !dead.includes(one)) }
}

/** Until each holds a reservation at somebody who lives. */
async function untilServed(
  members: readonly Member[],
  living: ReadonlySet<string>,
  sinceMs: number,
): Promise<number[]> {
  const waiting = new Set(members)
  const times: number[] = []
  for (;;) {
    for (const member of waiting) {
      const { relays } = await member.node.api<NodeStatus>('GET', '/v1/status')
      if (relays.some(({ peer, state }) => state === 'held' && living.has(peer)))
        if (waiting.delete(member)) times.push(performance.now() - sinceMs)
    }
    if (waiting.size === 0) return times
    if (performance.now() > sinceMs + WHOLE_MS) {
      const names = [...waiting].map(({ name }) => name)
      throw new Error(`no relay is held by ${names.join(', ')}`)
    }
    await after(LOOK_EVERY_MS)
  }
}

async function callEachOther(members: readonly Member[], note: Note): Promise<void> {
  const rng = seededRng(28)
  const pairs = Array.from({ length: PAIRS }, () => shuffle([...members], rng).slice(0, 2))
  const began = performance.now()
  const untilMs = began + WHOLE_MS
  await inTurn(pairs, CALLS_AT_A_TIME, ([from, to]) =>
    answers(from as Member, to as Member, untilMs),
  )
  note({
    what: 'random ones answer each other by id',
    found: `${pairs.length} pairs in ${seconds(performance.now() - began)}`,
    ok: true,
  })
}
