/** Scenario: routers that open a port on demand, one that forgets, one behind another NAT, and some that lie. */
import { once } from 'node:events'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { NodeStatus } from '../../src/types.ts'
import type { Host, Router } from './host.ts'
import { Lab } from './lab.ts'
import { Miniupnpd } from './miniupnpd.ts'
import { byKind, LabNode } from './node.ts'
import type { BasicKind } from './nat-kinds.ts'
import { countPackets } from './packets.ts'
import { seconds } from './report.ts'
import type { Note } from './scenarios.ts'
import { startRelays, usable } from './world.ts'
import type { Relays } from './world.ts'

const FAKE_ROUTER = fileURLToPath(new URL('./fake-router.ts', import.meta.url))

/** From ready to public: questions on the LAN, one dial-back, five seconds in which the verdict must hold. */
const PUBLIC_LIMIT_MS = 10_000
/** The router is asked every five seconds (by UPnP every fifteen), and believed to be gone after four. */
const HIDDEN_LIMIT_MS = 10_000
/** The pause after a loss, and then as at the start. */
const AGAIN_LIMIT_MS = 20_000
const CONNECT_MS = 15_000
/** A lie has this long to be believed: twice what the truth takes. */
const LIES_MS = 12_000

interface Scene {
  lab: Lab
  relays: Relays
  note: Note
}

/** Plays everything on one internet. */
export async function mapped(rttMs: number, note: Note): Promise<void> {
  await using lab = await Lab.create({ rttMs, ipv6: true })
  const scene = { lab, relays: await startRelays(lab), note }
  await opensAndForgets(scene)
  for (const speaks of ['nat-pmp', 'upnp'] as const) await opensBy(scene, speaks)
  await opensFirewall(scene)
  // Most of what follows is waiting for what must not happen.
  const others = (['garbage', 'liar', 'upnp-liar'] as const).map((play) => playsFoul(scene, play))
  await Promise.all([behindCareful(scene), behindCareless(scene), ...others])
}

const isPublic = ({ verdict }: { verdict: string }): boolean => verdict === 'public'
const isPrivate = ({ verdict }: { verdict: string }): boolean => verdict === 'private'

/** Becoming public takes less than the limit, and what is announced is the mapped port of the router's outside. */
async function becomesPublic(
  { note }: Scene,
  what: string,
  node: LabNode,
  sinceMs: number,
  limitMs: number,
): Promise<void> {
  const { atMs, event } = await node.waitFor('reachability:changed', isPublic, 2 * limitMs, sinceMs)
  const found = `${seconds(atMs - sinceMs)} by ${event.nat.portMapping}`
  note({ what, found, ok: atMs - sinceMs < limitMs && event.nat.portMapping !== 'none' })
}

async function start({ lab, relays }: Scene, host: Host): Promise<LabNode> {
  const { folder } = lab
  return LabNode.start(host, { name: host.name, folder, args: relays.join })
}

const routerOf = ({ router, name }: Host): Router => {
  if (router === null) throw new Error(`${name} is behind no router`)
  return router
}

/** How a newcomer reaches a peer. A symmetric NAT could be joined by a punch only after a search; a public peer is just dialled. */
async function isReached(
  scene: Scene,
  name: string,
  kind: BasicKind,
  peer: string,
  wanted: 'dial' | 'punch',
): Promise<void> {
  const host = await scene.lab.natHost(name, kind)
  const node = await start(scene, host)
  await usable(node, host)
  const { path, ms } = await node.connect(peer, 'direct', CONNECT_MS)
  const method = path.kind === 'direct' ? path.method : path.kind
  const what = `a peer behind a NAT of the kind ${kind} reaches it`
  scene.note({ what, found: `${method} after ${seconds(ms)}`, ok: method === wanted })
  await node.stop()
}

/** The whole life of a mapping, by whatever the router speaks best. */
async function opensAndForgets(scene: Scene): Promise<void> {
  const { lab, note } = scene
  const host = await lab.natHost('a', 'port')
  const daemon = await Miniupnpd.on(routerOf(host), lab.folder)
  const node = await start(scene, host)
  const { atMs: readyMs, event } = await node.ready()
  await becomesPublic(scene, 'a hidden node becomes public', node, readyMs, PUBLIC_LIMIT_MS)
  const [mapping = 'none'] = await daemon.mappings()
  const { direct, relayed } = await node.announced()
  const port = mapping.split(' ')[0]
  note({
    what: 'what it announces beside its relays',
    found: direct.join(', '),
    ok: direct.join() === `/ip4/${host.externalAddress}/tcp/${port}/p2p/${event.peerId}`,
  })
  note({ what: 'relays kept', found: `${relayed.length}`, ok: relayed.length > 0 })
  await isReached(scene, 'b', 'sym', event.peerId, 'dial')

  const droppedMs = performance.now()
  await daemon.drop()
  const hidden = await node.waitFor('reachability:changed', isPrivate, CONNECT_MS, droppedMs)
  note({
    what: 'the router forgets it: hidden again',
    found: seconds(hidden.atMs - droppedMs),
    ok: hidden.atMs - droppedMs < HIDDEN_LIMIT_MS,
  })
  const left = await node.announced()
  note({
    what: 'then it announces relays only',
    found: `${left.relayed.length} relayed addresses, ${left.direct.length} direct`,
    ok: left.relayed.length > 0 && left.direct.length === 0,
  })
  await isReached(scene, 'c', 'port', event.peerId, 'punch')

  const startedMs = performance.now()
  await daemon.start()
  await becomesPublic(scene, 'the router is back: public again', node, startedMs, AGAIN_LIMIT_MS)
  await node.stop()
  const rest = await daemon.mappings()
  note({
    what: 'mappings left after the node stopped',
    found: `${rest.length}`,
    ok: rest.length === 0,
  })
}

/** The older two protocols, each alone. */
async function opensBy(scene: Scene, speaks: 'nat-pmp' | 'upnp'): Promise<void> {
  const { lab, note } = scene
  const host = await lab.natHost(speaks, 'port')
  const daemon = await Miniupnpd.on(routerOf(host), lab.folder, { speaks })
  const node = await start(scene, host)
  const { atMs } = await node.ready()
  await becomesPublic(scene, `a router that speaks ${speaks} only`, node, atMs, PUBLIC_LIMIT_MS)
  await node.stop()
  const rest = await daemon.mappings()
  note({
    what: 'mappings left after the node stopped',
    found: `${rest.length}`,
    ok: rest.length === 0,
  })
}

/** Over IPv6 there is no NAT, but a firewall; PCP makes a hole into it. */
async function opensFirewall(scene: Scene): Promise<void> {
  const { lab, note } = scene
  const host = await lab.natHost('v6', 'v6fw')
  const daemon = await Miniupnpd.on(routerOf(host), lab.folder, { firewall: true })
  const node = await start(scene, host)
  const { atMs } = await node.ready()
  await becomesPublic(scene, 'behind an IPv6 firewall', node, atMs, PUBLIC_LIMIT_MS)
  const droppedMs = performance.now()
  await daemon.drop()
  const { atMs: hiddenMs } = await node.waitFor(
    'reachability:changed',
    isPrivate,
    CONNECT_MS,
    droppedMs,
  )
  const { direct, relayed } = await node.announced()
  note({
    what: 'the hole is closed: hidden, with relays',
    found: `${seconds(hiddenMs - droppedMs)}, ${relayed.length} relayed addresses`,
    ok: hiddenMs - droppedMs < HIDDEN_LIMIT_MS && relayed.length > 0 && direct.length === 0,
  })
  const startedMs = performance.now()
  await daemon.start()
  await becomesPublic(scene, 'open again: public', node, startedMs, AGAIN_LIMIT_MS)
  await node.stop()
  const rest = await daemon.pinholes()
  note({ what: 'holes left after the node stopped', found: `${rest}`, ok: rest === 0 })
}

/** A router behind a provider's, which knows that the port that it would open leads nowhere. */
async function behindCareful(scene: Scene): Promise<void> {
  const { lab } = scene
  const careful = await lab.natHost('careful', 'cgn')
  await Miniupnpd.on(routerOf(careful), lab.folder)
  await staysHidden(scene, careful, 'a router that sees its own address is shared', 'nat.double')
}

/** A router behind another one, which opens a port all the same. */
async function behindCareless(scene: Scene): Promise<void> {
  const { lab } = scene
  const careless = await lab.natHost('careless', 'double')
  await playAs(routerOf(careless), careless, 'liar', routerOf(careless).address)
  await staysHidden(scene, careless, 'a router that opens a port behind another one', 'nat.double')
}

/** Bytes that make no sense, and answers that would send everybody to somebody else. */
async function playsFoul(scene: Scene, play: 'garbage' | 'liar' | 'upnp-liar'): Promise<void> {
  const { lab, note, relays } = scene
  const victim = await lab.publicHost(`victim-${play}`)
  const host = await lab.natHost(play, 'port')
  const counters = await Promise.all(
    [host, ...relays.hosts].map((from) =>
      countPackets(from, victim, `victim_${play.replace('-', '_')}`),
    ),
  )
  await playAs(routerOf(host), host, play, victim.address)
  const condition = play === 'garbage' ? undefined : 'nat.double'
  await staysHidden(scene, host, `a router that plays ${play}`, condition)
  const packets = await Promise.all(counters.map((count) => count()))
  const sent = packets.reduce((sum, one) => sum + one, 0)
  note({ what: 'packets sent to whom it named', found: `${sent}`, ok: sent === 0 })
}

async function playAs(router: Router, host: Host, play: string, claimed: string): Promise<void> {
  const open = 'insert rule ip filter itself iifname "lan" accept\n'
  const { code } = await router.exec(['nft', '-f', '-'], { input: open })
  if (code !== 0) throw new Error(`${router.name} could not be opened to its hosts`)
  const lan = host.address.replace(/\d+$/, '1')
  const program = router.spawn([process.execPath, FAKE_ROUTER, play, lan, claimed])
  await once(program.lines, 'line')
}

/** Nothing that such a router says makes a node public; it is of use by its relays, and says what is wrong. */
async function staysHidden(
  scene: Scene,
  host: Host,
  what: string,
  condition: string | undefined,
): Promise<void> {
  const node = await start(scene, host)
  await usable(node, host)
  // What must not happen has no event to wait for.
  await after(LIES_MS)
  const status = await node.api<NodeStatus>('GET', '/v1/status')
  const codes = status.conditions.map(({ code }) => code)
  const { direct } = byKind(status.addresses)
  const said = condition === undefined ? codes.length === 0 : codes.includes(condition)
  scene.note({
    what: `${what}: hidden, and says`,
    found: `${status.reachability.verdict}, ${codes.join(', ') || 'nothing'}, ${direct.length} direct addresses`,
    ok: status.reachability.verdict === 'private' && direct.length === 0 && said,
  })
  await node.stop()
}
