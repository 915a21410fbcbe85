/** Scenario `overlay`: a dozen nodes behind NATs of many kinds, of which more than half are killed and others take their places. */
import { setTimeout as after } from 'node:timers/promises'
import type { Path, PeerStatus } from '../../src/types.ts'
import { partsOf, spread } from '../support/overlay-views.ts'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import type { NatKind } from './nat-kinds.ts'
import { LabNode } from './node.ts'
import { seconds } from './report.ts'
import type { Note } from './scenarios.ts'
import { hearsOf, joinThrough, usable } from './world.ts'

const BOOTSTRAPS = ['r1', 'r2']
const PUBLIC = [...BOOTSTRAPS, 'r3', 'r4']
/** Two symmetric NATs, so that there is a pair that only a relay joins. */
const HIDDEN: readonly [name: string, kind: Exclude<NatKind, 'v6fw'>][] = [
  ['full', 'full'],
  ['addr', 'addr'],
  ['port', 'port'],
  ['rst', 'port-rst'],
  ['shift', 'shift'],
  ['cgn', 'cgn'],
  ['sym', 'sym'],
  ['sym2', 'sym'],
]
/** Both bootstraps and half of the rest are killed; these are left. */
const SURVIVORS = ['r3', 'addr', 'port', 'cgn', 'sym']

/** Programs that start at the same moment; more of them wait for two cores instead of each other. */
const START_AT_A_TIME = 4
/** The same for pairs that connect: a birthday search opens hundreds of sockets. */
const CONNECT_AT_A_TIME = 4
/** As long as `connect` waits by default. */
const CONNECT_MS = 15_000
/** The survivors are one overlay again, and each answers each, within this. */
const HEALED_MS = 30_000
/** After this a path that can become direct has. */
const BETTER_MS = 5_000
const LOOK_EVERY_MS = 200

/** A node in its place. */
export interface Member {
  name: string
  host: Host
  node: LabNode
  peer: string
}

/** Where all of them are to be. */
export async function overlayHosts(lab: Lab): Promise<Host[]> {
  const hosts: Host[] = []
  for (const name of PUBLIC) hosts.push(await lab.publicHost(name))
  for (const [name, kind] of HIDDEN) hosts.push(await lab.natHost(name, kind))
  return hosts
}

/** Starts a node on each host, a few at a time, and waits until all are usable. */
export async function startMembers(
  lab: Lab,
  hosts: readonly Host[],
  join: readonly string[],
  generation = '',
): Promise<Member[]> {
  const start = async (host: Host): Promise<Member> => {
    const name = `${host.name}${generation}`
    const node = await LabNode.start(host, { name, folder: lab.folder, args: join })
    const peer = await node.peerId()
    await usable(node, host)
    return { name: host.name, host, node, peer }
  }
  return await inTurn(hosts, START_AT_A_TIME, start)
}

/** The whole overlay, joined through its two bootstraps. */
export async function startOverlay(lab: Lab): Promise<Member[]> {
  const hosts = await overlayHosts(lab)
  const [first, second] = hosts.filter(isFirst) as [Host, Host]
  const firsts = await startMembers(lab, [first], [])
  const seconds = await startMembers(lab, [second], joinOptions(firsts))
  const bootstraps = [...firsts, ...seconds]
  const others = hosts.filter((host) => !isFirst(host))
  return [...bootstraps, ...(await startMembers(lab, others, joinOptions(bootstraps)))]
}

const isFirst = ({ name }: Host): boolean => BOOTSTRAPS.includes(name)

export const joinOptions = (bootstraps: readonly Member[]): string[] =>
  bootstraps.flatMap(({ host, peer }) => joinThrough(host, peer))

/** Plays the scenario. */
export async function overlay(rttMs: number, note: Note): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const startedMs = performance.now()
  const members = await startOverlay(lab)
  note({
    what: `${PUBLIC.length} public and ${HIDDEN.length} hidden nodes are usable`,
    found: `after ${seconds(performance.now() - startedMs)}`,
    ok: true,
  })
  await findEachOther(members, note)
  note({ what: 'links that they have made by themselves', found: await linksOf(members), ok: true })

  const survivors = await outlive(members, note)

  const through = survivors.filter(({ host }) => host.router === null)
  const left = new Set(survivors.map(({ host }) => host))
  const places = members.flatMap(({ host }) => (left.has(host) ? [] : [host]))
  const again = await startMembers(lab, places, joinOptions(through), '-again')
  const all = [...survivors, ...again]
  note({
    what: `${again.length} new nodes take the places of the dead, joining through a survivor`,
    found: `${all.length} nodes`,
    ok: true,
  })
  await findEachOther(all, note)
  await connectAll(all, note)
}

/** Every node hears of every other by itself. */
async function findEachOther(members: readonly Member[], note: Note): Promise<void> {
  const began = performance.now()
  const pairs = orderedPairs(members)
  await Promise.all(pairs.map(({ from, to }) => hearsOf(from.node, to.peer)))
  const found = `${pairs.length} pairs, the last ${seconds(performance.now() - began)} after all were usable`
  note({ what: 'each knows an address of each', found, ok: true })
}

/** The bootstraps and half of the rest are killed at once. */
async function outlive(members: readonly Member[], note: Note): Promise<Member[]> {
  const survivors = members.filter(({ name }) => SURVIVORS.includes(name))
  const dead = members.filter(({ name }) => !SURVIVORS.includes(name))
  const killedMs = performance.now()
  await Promise.all(dead.map(({ node }) => node.kill()))
  const since = () => performance.now() - killedMs

  await untilOne(survivors, killedMs + HEALED_MS)
  note({
    what: `${dead.length} are killed at once, both bootstraps among them; the other ${survivors.length} are one overlay`,
    found: `after ${seconds(since())}; ${await linksOf(survivors)}`,
    ok: true,
  })
  const pings = orderedPairs(survivors).map(async ({ from, to }) => {
    await answers(from, to, killedMs + HEALED_MS)
    return since()
  })
  const times = await Promise.all(pings)
  note({
    what: `each of them answers each by its id (limit ${HEALED_MS / 1000} s after the kill)`,
    found: `${times.length} pairs, the last after ${seconds(Math.max(...times))}`,
    ok: Math.max(...times) <= HEALED_MS,
  })
  return survivors
}

/** Pings until there is an answer: a path that has just died may still be the one in use. */
export async function answers(from: Member, to: Member, untilMs: number): Promise<void> {
  for (;;) {
    try {
      await from.node.ping(to.peer)
      return
    } catch (cause) {
      if (performance.now() > untilMs)
        throw new Error(`${to.name} does not answer ${from.name}: ${String(cause)}`, { cause })
      await after(LOOK_EVERY_MS)
    }
  }
}

/** Every one connects to every other by its id alone. */
async function connectAll(members: readonly Member[], note: Note): Promise<void> {
  const pairs = orderedPairs(members)
  const began = performance.now()
  const problems: string[] = []
  const times = await inTurn(pairs, CONNECT_AT_A_TIME, async ({ from, to }) => {
    const startedMs = performance.now()
    try {
      await from.node.connect(to.peer, 'any', CONNECT_MS)
      await from.node.ping(to.peer)
    } catch (error) {
      problems.push(`${from.name} to ${to.name}: ${String(error)}`)
    }
    return performance.now() - startedMs
  })
  note({
    what: 'each connects to each by its id, and is answered',
    found: `${pairs.length - problems.length} of ${pairs.length} ordered pairs in ${seconds(performance.now() - began)}; ${spread(times)} ms${problems.map((text) => `\n    ${text}`).join('')}`,
    ok: problems.length === 0,
  })
  await after(BETTER_MS)
  note({ what: 'their paths', found: await pathsOf(members), ok: true })
}

/** How many paths are direct, how they came about, and who is reached over a relay. */
async function pathsOf(members: readonly Member[]): Promise<string> {
  const paths = await Promise.all(
    orderedPairs(members).map(async ({ from, to }) => {
      const { path } = await from.node.peer(to.peer)
      return { pair: `${from.name}>${to.name}`, kind: kindOf(path) }
    }),
  )
  const kinds = [...new Set(paths.map(({ kind }) => kind))].sort()
  const counts = kinds.map((kind) => `${paths.filter((one) => one.kind === kind).length} ${kind}`)
  const direct = paths.filter(({ kind }) => kind !== 'relayed' && kind !== 'none').length
  const others = paths.flatMap(({ pair, kind }) =>
    kind === 'relayed' || kind === 'none' ? [`${pair} ${kind}`] : [],
  )
  return [`${direct} of ${paths.length} direct (${counts.join(', ')})`, ...others].join('; ')
}

const kindOf = (path: Path | undefined): string =>
  path === undefined ? 'none' : path.kind === 'direct' ? path.method : path.kind

interface OrderedPair {
  from: Member
  to: Member
}

const orderedPairs = (members: readonly Member[]): OrderedPair[] =>
  members.flatMap((from) => members.flatMap((to) => (from === to ? [] : [{ from, to }])))

async function viewsOf(members: readonly Member[]) {
  return await Promise.all(
    members.map(async ({ node, peer }) => {
      const peers = await node.api<PeerStatus[]>('GET', '/v1/peers')
      return {
        peer,
        links: peers.filter(({ state }) => state === 'linked').map((one) => one.peer),
      }
    }),
  )
}

export async function linksOf(members: readonly Member[]): Promise<string> {
  const views = await viewsOf(members)
  return `${spread(views.map(({ links }) => links.length))} links a node`
}

/** There is no event for several nodes being one overlay: they are asked for their links. */
export async function untilOne(members: readonly Member[], untilMs: number): Promise<void> {
  for (;;) {
    const { parts } = partsOf(await viewsOf(members))
    if (parts === 1) return
    if (performance.now() > untilMs) throw new Error(`the survivors are ${parts} overlays`)
    await after(LOOK_EVERY_MS)
  }
}

/** Does the work for all, so many at a time; results in the order of what they are for. */
export async function inTurn<T, R>(
  all: readonly T[],
  atATime: number,
  work: (one: T) => Promise<R>,
) {
  const results: R[] = []
  const queue = all.entries()
  const worker = async (): Promise<void> => {
    for (const [i, one] of queue) results[i] = await work(one)
  }
  await Promise.all(Array.from({ length: atATime }, worker))
  return results
}
