import assert from 'node:assert/strict'
import { platform } from 'node:os'
import { test } from 'node:test'
import type { NodeOptions } from '../../src/index.ts'
import { Crew, lookUntil, untilOne } from '../support/crew.ts'
import type { Member, Reached, View } from '../support/crew.ts'
import {
  everyTwo,
  pairsAround,
  pairsBeside,
  spread,
  unknownPairs,
} from '../support/overlay-views.ts'
import type { Pair } from '../support/overlay-views.ts'

/** Processes that hold many nodes: some live on, the others are killed as a whole. */
const LIVING = [24, 24]
const DYING = [25, 25]
/** Nodes that have a process to themselves, and are killed too; the first of them is the first bootstrap. */
const ALONE = 2
const ALL = [...LIVING, ...DYING].reduce((sum, size) => sum + size, ALONE)

/** In each process a node joins every so often: 25 of them take five seconds at least. */
const JOIN_EVERY_MS = 200

/** A machine that does nothing else needs a third of this to bring a hundred nodes up and together. */
const TOGETHER_MS = 75_000
/** News of a hundred that have just joined travels for a while; it has arrived when nobody has learnt of anybody for so long. */
const QUIET_MS = 4_000
const SETTLED_MS = 30_000
/** The survivors are one overlay again by then, and have reached each other. */
const HEALED_MS = 60_000
/** `connect` waits as long by default. */
const CONNECT_MS = 15_000

/**
 * All 9,900 ordered pairs would need 9,900 handshakes, which keep two cores busy for minutes. So every node connects to
 * this many others, and before that to a few of those of which it knows no address yet.
 */
const TRIED_BY_EACH = 10
/** Others answer a peer only so many questions at a time: 16 at once. */
const UNKNOWN_BY_EACH = 5
/** On a machine that has much else to do no try begins after this; what must have been tried by then comes first. */
const TRYING_MS = 25_000
const LEAST_TRIED = 200
/** Share of the tries that may have to be made twice: six processes on too few cores let a handshake wait for seconds. */
const SECOND_TRIES = 0.02
/** Tries of a process at a time; all processes share the cores of this machine. */
const AT_A_TIME = 2

/** Only Linux answers on all of 127.0.0.0/8 without being told to. */
const SKIP = platform() === 'linux' ? false : 'a hundred loopback addresses need Linux'

let hosts = 0

/**
 * Nodes at addresses of their own, in different /16 networks: a hundred at one address would be a strange overlay. They do
 * not relay, since nobody here is hidden: a hundred that find out one after the other that they can be relays have three
 * times as much to say to each other, which is the laboratory's to test and not for two cores.
 */
function nodes(count: number, bootstraps: readonly Member[]): NodeOptions[] {
  const bootstrap = bootstraps.map(({ address }) => address)
  return Array.from({ length: count }, () => {
    hosts++
    return { listen: [`/ip4/127.${hosts}.0.1/tcp/0`], network: 'hundred', relay: 'off', bootstrap }
  })
}

const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

interface Swarm {
  all: Crew[]
  living: Crew[]
  doomed: Crew[]
}

/** The first member of each process that is doomed is a bootstrap, except one that is an ordinary node. */
async function startSwarm(make: () => Crew): Promise<Swarm> {
  const alone = Array.from({ length: ALONE }, make)
  const living = LIVING.map(make)
  const dying = DYING.map(make)
  const [lonely, ...ordinary] = alone
  const first = (await lonely?.start(nodes(1, []))) ?? []
  const others = await Promise.all(dying.map((crew) => crew.start(nodes(1, first))))
  const bootstraps = [...first, ...others.flat()]
  const join = (crew: Crew, count: number) => crew.start(nodes(count, bootstraps), JOIN_EVERY_MS)
  await Promise.all([
    ...ordinary.map((crew) => join(crew, 1)),
    ...living.map((crew, i) => join(crew, LIVING[i] ?? 0)),
    ...dying.map((crew, i) => join(crew, (DYING[i] ?? 0) - 1)),
  ])
  return { all: [...alone, ...living, ...dying], living, doomed: [...alone, ...dying] }
}

const namesOf = (views: readonly View[]): string[] => views.map(({ peer }) => peer)

const linksOf = (views: readonly View[]): string =>
  `${spread(views.map(({ links }) => links.length))} links a node`

/** Looks until nobody learns of anybody any more; what is not known by then has to be asked for. */
async function untilQuiet(crews: readonly Crew[]): Promise<View[]> {
  let least = Infinity
  let learntMs = performance.now()
  return await lookUntil(crews, SETTLED_MS, (views) => {
    const unknown = unknownPairs(views).length
    if (unknown < least) learntMs = performance.now()
    least = Math.min(least, unknown)
    return unknown === 0 || performance.now() - learntMs > QUIET_MS
  })
}

/** Lets every node try its pairs, in its own process. */
async function tryEach(crews: readonly Crew[], pairs: readonly Pair[]): Promise<Reached[]> {
  const how = { timeoutMs: CONNECT_MS, atATime: AT_A_TIME, beginWithinMs: TRYING_MS }
  const tried = crews.map(async (crew) => {
    const own = new Set(crew.members.map(({ peer }) => peer))
    const mine = pairs.filter(({ from }) => own.has(from))
    return await crew.ask('reach', mine, how)
  })
  return (await Promise.all(tried)).flat()
}

/** Tries all, and once more what failed; tells what came of it. */
async function reachAll(crews: readonly Crew[], pairs: readonly Pair[]): Promise<string> {
  const first = await tryEach(crews, pairs)
  assert.ok(first.length >= LEAST_TRIED, `only ${first.length} tries in ${inSeconds(TRYING_MS)}`)
  const failed = first.filter(({ ok }) => !ok)
  const reasons = failed.slice(0, 5).map(({ from, to, problem }) => `${from} to ${to}: ${problem}`)
  const most = first.length * SECOND_TRIES
  assert.ok(failed.length <= most, `${failed.length} of ${first.length}:\n${reasons.join('\n')}`)
  const second = failed.length === 0 ? [] : await tryEach(crews, failed)
  const lost = second.filter(({ ok }) => !ok)
  assert.equal(lost.length, 0, lost.map(({ problem }) => problem).join('\n'))
  const reached = [...first.filter(({ ok }) => ok), ...second]
  return `${reached.length} of ${pairs.length} pairs tried, all connect by peer id, ${second.length} at the second try; ${inWords(reached)}`
}

function inWords(results: readonly Reached[]): string {
  const fresh = results.filter(({ linked }) => !linked)
  const unknown = results.filter(({ known }) => !known).length
  const relayed = results.filter(({ path }) => path === 'relayed').length
  const took = `${spread(fresh.map(({ ms }) => ms))} ms where there was no link before (${fresh.length})`
  return `${unknown} without a known address, ${relayed} over a relay; ${took}`
}

test(
  'a hundred nodes are one overlay, reach each other by id, and outlive bootstraps and half of all',
  { skip: SKIP },
  async (t) => {
    const startedMs = performance.now()
    await using crews = new AsyncDisposableStack()
    const swarm = await startSwarm(() => crews.use(new Crew()))
    const tell = (what: string) =>
      t.diagnostic(`${inSeconds(performance.now() - startedMs)}: ${what}`)
    tell(`${ALL} nodes in ${swarm.all.length} processes are started`)
    await come(swarm, startedMs + TOGETHER_MS, tell)
    await go(swarm, tell)
    const usage = await Promise.all(swarm.living.map((crew) => crew.ask('usage')))
    const memory = spread(usage.map(({ rss }) => rss / 1e6))
    const busy = spread(usage.map(({ cpuMicros }) => cpuMicros / 1e6))
    tell(`a process of ${LIVING[0]} nodes: ${memory} MB; ${busy} s of processor time`)
  },
)

function fewOfEach(pairs: readonly Pair[]): Pair[] {
  const byCaller = Map.groupBy(pairs, ({ from }) => from)
  return [...byCaller.values()].flatMap((own) => own.slice(0, UNKNOWN_BY_EACH))
}

/** All join, and every node reaches others by their ids. */
async function come({ all }: Swarm, deadline: number, tell: Tell): Promise<void> {
  const joined = await untilOne(all, deadline - performance.now())
  assert.equal(joined.length, ALL)
  tell(`they are one overlay; ${linksOf(joined)}`)
  const views = await untilQuiet(all)
  const unknown = unknownPairs(views)
  tell(
    `an address is known in ${ALL * (ALL - 1) - unknown.length} of ${ALL * (ALL - 1)} ordered pairs`,
  )
  const around = pairsAround(namesOf(views), TRIED_BY_EACH)
  const rest = pairsBeside(unknown, around)
  tell(await reachAll(all, [...fewOfEach(rest), ...around]))
}

/** The bootstraps and half of all are killed at once; the others are one overlay again, and every two of them meet. */
async function go({ living, doomed }: Swarm, tell: Tell): Promise<void> {
  const killedMs = performance.now()
  await Promise.all(doomed.map((crew) => crew.kill()))
  const views = await untilOne(living, HEALED_MS)
  const healedMs = performance.now() - killedMs
  tell(
    `${ALL - views.length} are killed, all bootstraps among them; the other ${views.length} are one overlay after ${inSeconds(healedMs)}; ${linksOf(views)}`,
  )
  const results = await reachAll(living, everyTwo(namesOf(views)))
  const pastMs = performance.now() - killedMs
  tell(`${results}; all that within ${inSeconds(pastMs)} of the kill`)
  assert.ok(pastMs < HEALED_MS, `it took ${inSeconds(pastMs)}`)
}

type Tell = (what: string) => void
