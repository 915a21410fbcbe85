/** The little world in which a cell plays: two public relays, A and B behind their routers, a web server beside B. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Host, Place, Program } from './host.ts'
import type { Lab } from './lab.ts'
import { NAT_KINDS, type NatKind } from './nat-kinds.ts'
import { ApiError, LabNode } from './node.ts'
import { contentHash } from './web.ts'

const WEB = fileURLToPath(new URL('./web.ts', import.meta.url))
const WEB_PORT = 8080
/** Where `warren up` listens unless it is told otherwise. */
const DEFAULT_PORT = 4001
export const SERVICE = 'web'
/** What the web server answers with at `/`. */
export const GREETING = 'hello from bob'

/** Where a peer is: behind a NAT of a kind, on the internet, or (B only) behind A's router. */
export type PlaceKind = NatKind | 'public' | 'same' | 'same-hairpin'
export const PLACE_KINDS: readonly PlaceKind[] = ['public', ...NAT_KINDS, 'same', 'same-hairpin']

/** Public nodes reach readiness and hidden ones hold a relay well within this. */
const USABLE_MS = 20_000
/** Peer exchange that takes longer than this is a failure of its own. */
const KNOWN_MS = 15_000

/** Options of `warren up` that join through a node on the internet. */
export function joinThrough(host: Host, peerId: string): string[] {
  const ipv4 = `/ip4/${host.address}/tcp/${host.listenPort}/p2p/${peerId}`
  const ipv6 =
    host.ipv6Address === null
      ? []
      : ['--bootstrap', `/ip6/${host.ipv6Address}/tcp/${host.listenPort}/p2p/${peerId}`]
  return ['--bootstrap', ipv4, ...ipv6]
}

/** Options of `warren up` that listen on a host's port; none where it is Warren's own default. */
export function listening({ listenPort }: Host): string[] {
  if (listenPort === DEFAULT_PORT) return []
  return ['--listen', `/ip4/0.0.0.0/tcp/${listenPort}`, '--listen', `/ip6/::/tcp/${listenPort}`]
}

/** Two public nodes, the second of which joins through the first. */
export interface Relays {
  hosts: readonly [Host, Host]
  nodes: readonly [LabNode, LabNode]
  /** Options of `warren up` that join through the first one. */
  join: string[]
  /** The same through the second one. */
  joinSecond: string[]
}

export async function startRelays(lab: Lab): Promise<Relays> {
  const hosts = [await lab.publicHost('r1'), await lab.publicHost('r2')] as const
  const { folder } = lab
  const first = await LabNode.start(hosts[0], { name: 'r1', folder, args: listening(hosts[0]) })
  const firstId = await first.peerId()
  const join = joinThrough(hosts[0], firstId)
  const args = [...listening(hosts[1]), ...join]
  const second = await LabNode.start(hosts[1], { name: 'r2', folder, args })
  await second.waitFor('peer:linked', ({ peer }) => peer === firstId, USABLE_MS)
  const joinSecond = joinThrough(hosts[1], await second.peerId())
  return { hosts, nodes: [first, second], join, joinSecond }
}

/** Hosts A and B of a cell, with routers of their own; `mark` tells them from those of other tries. */
export async function hostsOf(
  lab: Lab,
  kinds: { a: PlaceKind; b: PlaceKind },
  mark = '',
): Promise<{ a: Host; b: Host }> {
  const neighbours = kinds.b === 'same' || kinds.b === 'same-hairpin'
  const a = await placeHost(lab, `a${mark}`, kinds.a, kinds.b === 'same-hairpin')
  if (!neighbours) return { a, b: await placeHost(lab, `b${mark}`, kinds.b, false) }
  if (a.router === null) throw new Error('only a host behind a router has a neighbour behind it')
  return { a, b: await lab.natHost(`b${mark}`, 'port', { behind: a.router }) }
}

function placeHost(lab: Lab, name: string, kind: PlaceKind, hairpin: boolean): Promise<Host> {
  if (kind === 'public') return lab.publicHost(name)
  if (kind === 'same' || kind === 'same-hairpin') throw new Error(`${kind} is a place for B only`)
  return lab.natHost(name, kind, { hairpin })
}

/** A running web server. */
export interface Web {
  program: Program
  port: number
}

/** Starts the web server and waits until it listens; port 0 lets the system choose. */
export async function startWeb(place: Place, port = WEB_PORT): Promise<Web> {
  const program = place.spawn([process.execPath, WEB, String(port), GREETING])
  const [line] = (await once(program.lines, 'line')) as [string]
  return { program, port: Number(line) }
}

/** Options of `warren up` that share the web server beside the node with every member. */
export const exposing = (port: number): string[] => [
  '--expose',
  `${SERVICE}=127.0.0.1:${port},allow=all`,
]

/** Waits until a node is of use: ready and, behind a NAT, with a relay by which others reach it. */
export async function usable(node: LabNode, host: Host): Promise<void> {
  await node.ready()
  if (host.router !== null) await node.waitFor('relay:held', () => true, USABLE_MS)
}

/** Waits until a node knows an address of a peer; its API has no event for that, so it is asked. Returns how long it took. */
export async function hearsOf(node: LabNode, peer: string): Promise<number> {
  const startedMs = performance.now()
  for (;;) {
    const { addresses } = await node.peer(peer).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return { addresses: [] }
      throw error
    })
    const passedMs = performance.now() - startedMs
    if (addresses.length > 0) return passedMs
    if (passedMs > KNOWN_MS)
      throw new Error(`${node.name} heard of no address of ${peer} within ${KNOWN_MS} ms`)
    await after(10)
  }
}

/** Members link to each other by themselves, too: what has begun before the call says nothing about its time. */
export const isUnderWay = (node: LabNode, peer: string): boolean =>
  node.find('peer:linked', (event) => event.peer === peer) !== undefined ||
  node.find('punch:started', (event) => event.peer === peer) !== undefined

/** What came of a download. */
export interface Download {
  ms: number
  megabitsPerSecond: number
}

/** Fetches bytes from the web server through a forward, with curl, and compares the checksum. */
export async function download(
  place: Place,
  folder: string,
  forward: string,
  bytes: number,
  deadlineMs: number,
): Promise<Download> {
  const file = join(folder, `download-${place.name}`)
  const started = performance.now()
  const seconds = Math.ceil(deadlineMs / 1000)
  const { code, stderr } = await place.exec(
    [
      'curl',
      '-sS',
      '--fail',
      '--max-time',
      String(seconds),
      '-o',
      file,
      `http://${forward}/bytes/${bytes}`,
    ],
    { deadlineMs: deadlineMs + 5000 },
  )
  const ms = performance.now() - started
  if (code !== 0) throw new Error(`curl ended with ${code}: ${stderr.trim()}`)
  const { stdout } = await place.exec(['sha256sum', file])
  if (!stdout.startsWith(contentHash(bytes))) throw new Error(`${bytes} bytes arrived changed`)
  return { ms, megabitsPerSecond: (bytes * 8) / ms / 1000 }
}

/** Bytes that all relays have sent and received so far. */
export async function relayBytes({ hosts }: Relays): Promise<number> {
  const counters = await Promise.all(hosts.map((host) => host.counters()))
  return counters.reduce((sum, { rxBytes, txBytes }) => sum + rxBytes + txBytes, 0)
}
