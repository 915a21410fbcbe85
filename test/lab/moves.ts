/** Scenarios in which the path under a running download changes: not a byte may be lost or repeated. */
import { cut, mend, renumber, replug, unplug } from './changes.ts'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import { LabNode } from './node.ts'
import { seconds } from './report.ts'
import type { Note } from './scenarios.ts'
import { Transfer } from './transfer.ts'
import { exposing, hostsOf, relayBytes, SERVICE, startRelays, startWeb, usable } from './world.ts'
import type { Relays } from './world.ts'

const BYTES = 100_000_000
/** A hundred megabytes take twenty seconds, in which there is time for a path to die and come back. */
const BYTES_PER_SECOND = 5_000_000
/** Something is disturbed when this much has come. */
const DISTURBED_AT = BYTES / 10
/** A start takes less, on any machine. */
const SOON_MS = 30_000
/** The rest of the download at its own speed, and as long again for everything that may go wrong. */
const WHOLE_MS = 60_000
/** A download that stands still for longer has been given up, whatever comes after. */
const PATIENCE_MS = 45_000
/** How long a dead path may stay unnoticed; DESIGN section 4 allows a killed relay one second, a silent path has no such end. */
const PAUSE_LIMIT_MS = 15_000
/** Relays may say this much to others while the rest of a transfer passes directly. */
const QUIET_BYTES = 2_000_000

interface Scene extends AsyncDisposable {
  lab: Lab
  a: Host
  b: Host
  nodeA: LabNode
  nodeB: LabNode
  relays: Relays
  peer: string
  note: Note
}

async function sceneOf(rttMs: number, note: Note): Promise<Scene> {
  const lab = await Lab.create({ rttMs })
  const { a, b } = await hostsOf(lab, { a: 'port', b: 'port' })
  const web = await startWeb(b)
  const relays = await startRelays(lab)
  const { folder } = lab
  const args = [...relays.join, ...exposing(web.port)]
  const nodeA = await LabNode.start(a, { name: 'a', folder, args: relays.join })
  const nodeB = await LabNode.start(b, { name: 'b', folder, args })
  await Promise.all([usable(nodeA, a), usable(nodeB, b)])
  const peer = await nodeB.peerId()
  return {
    lab,
    a,
    b,
    nodeA,
    nodeB,
    relays,
    peer,
    note,
    [Symbol.asyncDispose]: () => lab.close(),
  }
}

async function download({ lab, a, nodeA, peer }: Scene): Promise<Transfer> {
  const forward = await nodeA.forward(peer, SERVICE)
  return new Transfer(a, {
    folder: lab.folder,
    forward,
    bytes: BYTES,
    bytesPerSecond: BYTES_PER_SECOND,
  })
}

/** Notes what a step came to; a step that throws is a finding too, and what follows is not played. */
async function step(note: Note, what: string, work: () => Promise<string>): Promise<void> {
  try {
    note({ what, found: await work(), ok: true })
  } catch (error) {
    note({ what, found: error instanceof Error ? error.message : String(error), ok: false })
    throw new Unplayed()
  }
}

/** The rest of a scenario makes no sense any more; what went wrong has been noted. */
class Unplayed extends Error {}

async function play(rttMs: number, note: Note, story: (scene: Scene) => Promise<void>) {
  await using scene = await sceneOf(rttMs, note)
  await story(scene).catch((error: unknown) => {
    if (!(error instanceof Unplayed)) throw error
  })
}

async function becomesDirect({ nodeA, peer, note }: Scene, what: string): Promise<void> {
  await step(note, what, async () => {
    const startedMs = performance.now()
    const { path } = await nodeA.connect(peer, 'direct', SOON_MS)
    if (path.kind !== 'direct') throw new Error(`the path is ${path.kind}`)
    return `${path.method} after ${seconds(performance.now() - startedMs)}, to ${path.address}`
  })
}

async function goesOn({ note }: Scene, transfer: Transfer, what: string): Promise<void> {
  await step(note, what, async () => {
    const pauseMs = await transfer.pause(PATIENCE_MS)
    if (pauseMs > PAUSE_LIMIT_MS) throw new Error(`only after ${seconds(pauseMs)}`)
    return `after ${seconds(pauseMs)} at most`
  })
}

async function finishes({ a, note }: Scene, transfer: Transfer): Promise<void> {
  await step(note, `the download of ${BYTES / 1e6} MB ends, checksum compared`, async () => {
    await transfer.finish(a, WHOLE_MS)
    return 'no byte lost or repeated'
  })
}

async function mustBe({ nodeA, peer, note }: Scene, kind: 'direct' | 'relayed', when: string) {
  await step(note, `the path ${when}`, async () => {
    const { path } = await nodeA.peer(peer)
    if (path?.kind !== kind)
      throw new Error(`${path?.kind ?? 'there is none'}, expected ${kind}\n${nodeA.tail()}`)
    return kind
  })
}

/** A download that starts over a relay, and goes on over the direct path as soon as there is one. */
export function survive(rttMs: number, note: Note): Promise<void> {
  return play(rttMs, note, async (scene) => {
    const { a, b, nodeA, peer, relays } = scene
    await cut(a, b)
    await nodeA.connect(peer, 'any', SOON_MS)
    const transfer = await download(scene)
    await step(note, 'the download starts over the relay', async () => {
      await transfer.reaches(DISTURBED_AT, SOON_MS)
      return `${DISTURBED_AT / 1e6} MB`
    })
    await mustBe(scene, 'relayed', 'by then')
    await mend(a)
    await becomesDirect(scene, 'a direct path appears under the download')
    // What the relay holds already still comes over it.
    await goesOn(scene, transfer, 'the download goes on')
    const before = await relayBytes(relays)
    const left = BYTES - transfer.received
    await finishes(scene, transfer)
    const carried = (await relayBytes(relays)) - before
    note({
      what: `relayed of the last ${(left / 1e6).toFixed(0)} MB`,
      found: `${(carried / 1e6).toFixed(1)} MB`,
      ok: carried < QUIET_BYTES,
    })
  })
}

/** The direct path dies without a word under a download; the relay takes over, and later a new hole. */
export function fallback(rttMs: number, note: Note): Promise<void> {
  return play(rttMs, note, async (scene) => {
    await becomesDirect(scene, 'a direct path')
    const transfer = await download(scene)
    await transfer.reaches(DISTURBED_AT, SOON_MS)
    await cut(scene.a, scene.b)
    await goesOn(
      scene,
      transfer,
      'every packet between the routers is dropped: the download goes on',
    )
    await mustBe(scene, 'relayed', 'now')
    await mend(scene.a)
    await becomesDirect(scene, 'packets pass again: a direct path')
    await finishes(scene, transfer)
  })
}

/** B's provider gives B another address under a download. */
export function rehome(rttMs: number, note: Note): Promise<void> {
  return play(rttMs, note, async (scene) => {
    await becomesDirect(scene, 'a direct path')
    const transfer = await download(scene)
    await transfer.reaches(DISTURBED_AT, SOON_MS)
    const fresh = await renumber(scene.lab, scene.b, 'port')
    await goesOn(scene, transfer, `B's router becomes ${fresh}: the download goes on`)
    await finishes(scene, transfer)
    await leadsTo(scene, fresh)
  })
}

/** Afterwards the direct path leads to the new address. */
async function leadsTo({ nodeA, peer, note }: Scene, address: string): Promise<void> {
  await step(note, 'a direct path to the new address', async () => {
    const { path } = await nodeA.connect(peer, 'direct', SOON_MS)
    const found = path.kind === 'direct' ? path.address : path.kind
    if (!found.includes(`/${address}/`)) throw new Error(found)
    return found
  })
}

/** A's interface goes away and comes back with another LAN address, as a laptop that changes its network. */
export function interfaceChange(rttMs: number, note: Note): Promise<void> {
  return play(rttMs, note, async (scene) => {
    const { a, nodeA } = scene
    await becomesDirect(scene, 'a direct path')
    const transfer = await download(scene)
    await transfer.reaches(DISTURBED_AT, SOON_MS)
    const atMs = performance.now()
    await unplug(a)
    const fresh = await replug(a)
    await goesOn(scene, transfer, `A's interface comes back as ${fresh}: the download goes on`)
    await step(note, 'A holds a relay again', async () => {
      const { atMs: heldMs } = await nodeA.waitFor('relay:held', () => true, SOON_MS, atMs)
      return `after ${seconds(heldMs - atMs)}`
    })
    await finishes(scene, transfer)
    await becomesDirect(scene, 'a direct path afterwards')
  })
}
