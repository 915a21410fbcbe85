/** Scenario: ports that an operator publishes by hand, and says where; and others of which he only thinks that he did. */
import type { NodeStatus } from '../../src/types.ts'
import { run } from './command.ts'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import { byKind, LabNode } from './node.ts'
import { seconds } from './report.ts'
import type { Note } from './scenarios.ts'
import { listening, startRelays, usable } from './world.ts'
import type { Relays } from './world.ts'

/** The host's listening port under another number, as container runtimes publish ports. */
const PUBLISHED = 14_001
/** Published by nobody. */
const WRONG = 14_002
/** An examination by a helper takes five seconds; without one the operator is believed after twenty. */
const CONFIRMED_LIMIT_MS = 10_000
const REFUTED_LIMIT_MS = 15_000
const CONNECT_MS = 15_000

interface Scene {
  lab: Lab
  relays: Relays
  note: Note
}

/** Plays everything on one internet. */
export async function published(rttMs: number, note: Note): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const scene = { lab, relays: await startRelays(lab), note }
  await confirmedByPeers(scene)
  await Promise.all([firstOfItsOverlay(scene), publishedNowhere(scene)])
}

const outside = (host: Host, port: number): string => `/ip4/${host.externalAddress}/tcp/${port}`

/** A host behind a router that forwards a port to it, for good. */
async function forwarding(lab: Lab, name: string): Promise<Host> {
  const host = await lab.natHost(name, 'port')
  if (host.router === null) throw new Error(`${name} is behind no router`)
  const input = `table ip published {
  chain inward {
    type nat hook prerouting priority dstnat - 1;
    iifname "wan" tcp dport ${PUBLISHED} dnat to ${host.address}:${host.listenPort}
  }
}
`
  await run(host.router.argv(['nft', '-f', '-']), { input })
  return host
}

const isUnreachable = ({ condition }: { condition: { code: string } }): boolean =>
  condition.code === 'announce.unreachable'

const start = ({ lab }: Scene, host: Host, args: string[]): Promise<LabNode> =>
  LabNode.start(host, { name: host.name, folder: lab.folder, args: [...listening(host), ...args] })

const announcing = (...addresses: string[]): string[] =>
  addresses.flatMap((address) => ['--announce', address])

/** Of two addresses one leads here: peers find out which. */
async function confirmedByPeers(scene: Scene): Promise<void> {
  const { lab, note, relays } = scene
  const host = await forwarding(lab, 'p')
  const [right, wrong] = [outside(host, PUBLISHED), outside(host, WRONG)]
  const node = await start(scene, host, [...announcing(right, wrong), ...relays.join])
  const { atMs: readyMs, event } = await node.ready()
  const isRight = ({ addresses }: { addresses: string[] }): boolean =>
    addresses.some((address) => address.startsWith(right))
  const { atMs } = await node.waitFor('addresses:changed', isRight, CONNECT_MS, readyMs)
  note({
    what: 'a published port is announced once a peer got in',
    found: seconds(atMs - readyMs),
    ok: atMs - readyMs < CONFIRMED_LIMIT_MS,
  })
  const refuted = await node.waitFor(
    'condition:raised',
    isUnreachable,
    2 * REFUTED_LIMIT_MS,
    readyMs,
  )
  const { direct } = await node.announced()
  const heard = (await relays.nodes[1].peer(event.peerId)).addresses
  note({
    what: 'another member has heard of the one and never of the other',
    found: byKind(heard).direct.join(', '),
    ok: heard.some((one) => one.startsWith(right)) && !heard.some((one) => one.startsWith(wrong)),
  })
  note({
    what: 'one that leads nowhere is told and not announced',
    found: `${seconds(refuted.atMs - readyMs)}: ${direct.join(', ')}`,
    ok: refuted.atMs - readyMs < REFUTED_LIMIT_MS && direct.join().startsWith(right),
  })
  const other = await lab.natHost('q', 'sym')
  const visitor = await start(scene, other, relays.join)
  await usable(visitor, other)
  const { path } = await visitor.connect(event.peerId, 'direct', CONNECT_MS)
  const method = path.kind === 'direct' ? path.method : path.kind
  note({ what: 'a peer behind a symmetric NAT', found: method, ok: method === 'dial' })
  await Promise.all([node.stop(), visitor.stop()])
}

/** Nobody can confirm anything to the first node; whoever joins it does. */
async function firstOfItsOverlay(scene: Scene): Promise<void> {
  const { lab, note } = scene
  const host = await forwarding(lab, 'first')
  const node = await start(scene, host, announcing(outside(host, PUBLISHED)))
  const { event } = await node.ready()
  const [address = 'none'] = event.addresses
  const joining = await lab.natHost('second', 'port')
  const second = await start(scene, joining, ['--bootstrap', address])
  await usable(second, joining)
  const { direct } = await node.announced()
  note({
    what: 'a first node tells where to join it, and announces it when somebody did',
    found: direct.join(', '),
    ok: direct.join() === address,
  })
  await Promise.all([node.stop(), second.stop()])
}

/** The port was never published: a hidden node like any other, that says so. */
async function publishedNowhere(scene: Scene): Promise<void> {
  const { lab, note, relays } = scene
  const host = await lab.natHost('nowhere', 'port')
  const args = [...announcing(outside(host, PUBLISHED)), ...relays.join]
  const node = await start(scene, host, args)
  const { atMs } = await node.ready()
  await node.waitFor('condition:raised', isUnreachable, 2 * REFUTED_LIMIT_MS, atMs)
  await usable(node, host)
  const status = await node.api<NodeStatus>('GET', '/v1/status')
  note({
    what: 'a port that was never published: hidden, reached by relays',
    found: `${status.reachability.verdict}, ${status.addresses.join(', ')}`,
    ok:
      status.reachability.verdict === 'private' &&
      status.addresses.length > 0 &&
      byKind(status.addresses).direct.length === 0,
  })
  await node.stop()
}
