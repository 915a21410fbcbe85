/** Scenarios about relays: one dies, one restarts, one swallows, and all bootstraps are gone. */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setTimeout as after } from 'node:timers/promises'
import type { NodeStatus } from '../../src/types.ts'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import { LabNode } from './node.ts'
import type { Note } from './scenarios.ts'
import { Transfer } from './transfer.ts'
import { exposing, joinThrough, listening, SERVICE, startWeb, usable } from './world.ts'

const BLACK_HOLE = fileURLToPath(new URL('./black-hole.ts', import.meta.url))

/** A start takes less, on any machine. */
const SOON_MS = 30_000
/** DESIGN section 4: killing a relay loses no more than this. */
const LOSS_LIMIT_MS = 1_000
/** Both relays held are gone at once: others have to be asked, and peer exchange has to tell of them. */
const BOTH_LIMIT_MS = 2_000
/** The longest pause between two tries, and what a handshake and a reservation take at 50 ms. */
const RETURN_LIMIT_MS = 1_600
/** Two tests that fail, of five seconds at most, and a second between them. */
const FOUND_OUT_MS = 12_000
/** Usable, as a small swarm is, and time for the dead bootstraps to be tried. */
const BACK_LIMIT_MS = 5_000
const BYTES = 40_000_000
const BYTES_PER_SECOND = 4_000_000
/** How precisely an outage is measured. */
const LOOK_MS = 20

const milliseconds = (ms: number): string => `${ms.toFixed(0)} ms`

/** A public member on a host of its own, and how others join through it. */
interface Member {
  host: Host
  node: LabNode
  join: string[]
}

async function publicMember(lab: Lab, name: string, join: string[] = []): Promise<Member> {
  const host = await lab.publicHost(name)
  const args = [...listening(host), ...join]
  const node = await LabNode.start(host, { name, folder: lab.folder, args })
  return { host, node, join: joinThrough(host, await node.peerId()) }
}

async function hiddenMember(lab: Lab, name: string, args: string[]) {
  // Symmetric on both sides: they have nothing but relays.
  const host = await lab.natHost(name, 'sym')
  return { host, start: () => LabNode.start(host, { name, folder: lab.folder, args }) }
}

const relaysOf = async (node: LabNode, state: 'held' | 'warm'): Promise<string[]> =>
  (await node.api<NodeStatus>('GET', '/v1/status')).relays
    .filter((relay) => relay.state === state)
    .map(({ peer }) => peer)

/** Waits for a state that no event announces. */
async function until(holds: () => Promise<boolean>, what: string, ms = SOON_MS): Promise<number> {
  const startedMs = performance.now()
  while (!(await holds().catch(() => false))) {
    if (performance.now() - startedMs > ms) throw new Error(`not within ${ms} ms: ${what}`)
    await after(LOOK_MS)
  }
  return performance.now() - startedMs
}

const isWhole = async (node: LabNode): Promise<boolean> =>
  (await relaysOf(node, 'held')).length === 2 && (await relaysOf(node, 'warm')).length === 1

const answers = async (node: LabNode, peer: string): Promise<boolean> => {
  await node.ping(peer)
  return true
}

/** One after the other, each in a laboratory of its own. */
export async function relayLoss(rttMs: number, note: Note, limits: boolean): Promise<void> {
  const timed: Timed = (what, ms, limitMs) => {
    const limit = limits ? ` (limit ${milliseconds(limitMs)})` : ''
    note({ what: `${what}${limit}`, found: milliseconds(ms), ok: !limits || ms <= limitMs })
  }
  await killedRelay(rttMs, note, timed)
  await restartedRelay(rttMs, timed)
  await blackHole(rttMs, note, timed)
  await deadBootstraps(rttMs, timed)
}

/** Notes how long something took. */
type Timed = (what: string, ms: number, limitMs: number) => void

/** A and B have nothing but relays; the one that carries a download is killed under it. */
async function killedRelay(rttMs: number, note: Note, timed: Timed): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const first = await publicMember(lab, 'r1')
  const members = [first, await publicMember(lab, 'r2', first.join)]
  members.push(await publicMember(lab, 'r3', first.join))
  const hostA = await hiddenMember(lab, 'a', first.join)
  const hostB = await hiddenMember(lab, 'b', first.join)
  const web = await startWeb(hostB.host)
  const a = await hostA.start()
  const b = await LabNode.start(hostB.host, {
    name: 'b',
    folder: lab.folder,
    args: [...first.join, ...exposing(web.port)],
  })
  await Promise.all([usable(a, hostA.host), usable(b, hostB.host)])
  await until(() => isWhole(a), 'A holds two relays and keeps a third warm')
  await until(() => isWhole(b), 'B holds two relays and keeps a third warm')
  note({ what: 'A and B each hold two of three relays, the third is warm', found: 'yes', ok: true })

  const peer = await b.peerId()
  await a.connect(peer, 'any', SOON_MS)
  const forward = await a.forward(peer, SERVICE)
  const transfer = new Transfer(hostA.host, {
    folder: lab.folder,
    forward,
    bytes: BYTES,
    bytesPerSecond: BYTES_PER_SECOND,
  })
  await transfer.reaches(BYTES / 10, SOON_MS)
  for (const again of ['the relay in use', 'the next one in use'] as const) {
    const { path } = await a.peer(peer)
    const carrier = await memberOf(members, path?.kind === 'relayed' ? path.via : 'nobody')
    const pausing = transfer.pause(SOON_MS)
    await carrier.node.kill()
    const reachableMs = await until(() => answers(a, peer), 'A reaches B again')
    const pauseMs = await pausing
    timed(`${again} is killed: B answers A again after`, reachableMs, LOSS_LIMIT_MS)
    timed('the download stands still for', pauseMs, LOSS_LIMIT_MS)
  }
  await transfer.finish(hostA.host, SOON_MS)
  note({ what: `the ${BYTES / 1e6} MB are complete`, found: 'checksum right', ok: true })
}

async function memberOf(members: Member[], peer: string): Promise<Member> {
  for (const member of members) if ((await member.node.peerId()) === peer) return member
  throw new Error(`the path leads over ${peer}, which is none of the relays`)
}

/** The only relay restarts with its address and key: when is it held again? */
async function restartedRelay(rttMs: number, timed: Timed): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const relay = await publicMember(lab, 'r1')
  const hidden = await hiddenMember(lab, 'a', relay.join)
  const a = await hidden.start()
  await usable(a, hidden.host)
  const { folder } = lab
  for (const end of ['killed', 'stopped'] as const) {
    const endedMs = performance.now()
    await (end === 'killed' ? relay.node.kill() : relay.node.stop())
    await a.waitFor('relay:lost', () => true, SOON_MS, endedMs)
    relay.node = await LabNode.start(relay.host, {
      name: 'r1',
      folder,
      args: listening(relay.host),
    })
    const { atMs: readyMs } = await relay.node.ready()
    const { atMs: heldMs } = await a.waitFor('relay:held', () => true, SOON_MS, endedMs)
    const ms = Math.max(0, heldMs - readyMs)
    timed(`the only relay is ${end} and starts again: held after`, ms, RETURN_LIMIT_MS)
  }
}

/** A relay that grants and swallows is found out, and another one takes its place. */
async function blackHole(rttMs: number, note: Note, timed: Timed): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const good = await publicMember(lab, 'r1')
  const bad = await lab.publicHost('x')
  const program = bad.spawn([process.execPath, BLACK_HOLE, String(bad.listenPort), 'swallows'])
  const [badId] = (await once(program.lines, 'line')) as [string]
  const hidden = await hiddenMember(lab, 'a', [...good.join, ...joinThrough(bad, badId)])
  const a = await hidden.start()
  const ofBad = ({ peer }: { peer: string }) => peer === badId
  const { atMs: heldMs } = await a.waitFor('relay:held', ofBad, SOON_MS)
  const { atMs: lostMs, event } = await a.waitFor('relay:lost', ofBad, SOON_MS)
  timed(
    'a relay that grants and passes nothing on is given up after',
    lostMs - heldMs,
    FOUND_OUT_MS,
  )
  const told = event.reason
  note({ what: 'and the reason given is', found: told, ok: told === 'it passes nothing on' })
  const other = await publicMember(lab, 'r2', good.join)
  const otherId = await other.node.peerId()
  const joinedMs = performance.now()
  await a.waitFor('relay:held', ({ peer }) => peer === otherId, SOON_MS)
  const replacedMs = performance.now() - joinedMs
  note({
    what: 'another takes its place, learnt from peer exchange',
    found: `${milliseconds(replacedMs)} after it had joined`,
    ok: !(await relaysOf(a, 'held')).includes(badId),
  })
}

/** Every bootstrap dies; what is left are relays that nobody was told of, and the book. */
async function deadBootstraps(rttMs: number, timed: Timed): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const bootstraps = [await publicMember(lab, 'r1')]
  const [first] = bootstraps as [Member]
  bootstraps.push(await publicMember(lab, 'r2', first.join))
  const join = bootstraps.flatMap((one) => one.join)
  const others = [await publicMember(lab, 'r3', join), await publicMember(lab, 'r4', join)]
  const hostA = await hiddenMember(lab, 'a', join)
  const hostB = await hiddenMember(lab, 'b', join)
  let a = await hostA.start()
  const b = await hostB.start()
  await Promise.all([usable(a, hostA.host), usable(b, hostB.host)])
  const peer = await b.peerId()
  await until(() => answers(a, peer), 'A reaches B')
  const ids = await Promise.all(others.map(({ node }) => node.peerId()))

  await Promise.all(bootstraps.map(({ node }) => node.kill()))
  const onlyOthers = async (node: LabNode) => {
    const held = await relaysOf(node, 'held')
    return held.length === 2 && held.every((each) => ids.includes(each))
  }
  const reachableMs = await until(() => answers(a, peer), 'A reaches B again')
  timed('both bootstraps are killed at once: B answers A again after', reachableMs, BOTH_LIMIT_MS)
  const heldMs = await until(
    async () => (await onlyOthers(a)) && (await onlyOthers(b)),
    'A and B hold two relays that are no bootstraps',
  )
  timed('A and B hold two relays known from peer exchange only after', heldMs, LOSS_LIMIT_MS)
  await a.stop()
  const startedMs = performance.now()
  a = await hostA.start()
  await a.ready()
  const readyMs = performance.now() - startedMs
  await until(() => onlyOthers(a), 'A holds two relays again')
  await until(() => answers(a, peer), 'A reaches B after its restart')
  const ms = performance.now() - startedMs - readyMs
  timed('A restarts, all bootstraps dead: two relays held and B answers after', ms, BACK_LIMIT_MS)
}
