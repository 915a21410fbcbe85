/**
 * Nodes on loopback that are left alone, in a network namespace of their own, where nothing else speaks. Its argument is
 * a `Plan`, what it prints a `Stage`. Each node has an address of its own in 127.0.0.0/8, and the kernel's firewall counts
 * the packets of each address: exactly, whichever sockets they belong to and however short these live.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as after } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { NodeOptions } from '../../src/index.ts'
import { Crew, untilOne, viewsOf } from '../support/crew.ts'
import type { Member, Usage, View } from '../support/crew.ts'

export interface Plan {
  nodes: number
  perProcess: number
  settle: number
  seconds: number
}

/** Packets and bytes of one address, IP headers included. */
export interface Traffic {
  packets: number
  bytes: number
}

/** Everything that can be read at one moment. */
export interface Reading {
  atMs: number
  sent: Record<string, Traffic>
  received: Record<string, Traffic>
  /** What passed the loopback device, which has no link header. */
  device: Traffic
  usage: Usage[]
}

export interface Stage {
  before: Reading
  after: Reading
  views: View[]
}

/** Processes that start at the same moment, and how often a node joins in each. */
const START_AT_A_TIME = 4
const JOIN_EVERY_MS = 200
/** The figures of nodes that are not one overlay would mean nothing. */
const TOGETHER_MS = 180_000

const run = promisify(execFile)
const addressOf = (number: number): string => `127.${number}.0.1`

/** One segment a packet, of a usual size: loopback would make packets of 64 kB, with one header for dozens. */
async function prepareNetwork(addresses: readonly string[]): Promise<void> {
  await run('ip', ['link', 'set', 'lo', 'mtu', '1500', 'gso_max_segs', '1', 'up'])
  const set = (name: string) =>
    `set ${name} {\ntype ipv4_addr\ncounter\nelements = { ${addresses.join(', ')} }\n}`
  const rules = [
    'table ip idle {',
    set('sent'),
    set('received'),
    'chain out {\ntype filter hook output priority 0\nip saddr @sent\n}',
    'chain in {\ntype filter hook input priority 0\nip daddr @received\n}',
    '}',
  ].join('\n')
  await run('nft', [rules])
}

interface Listing {
  nftables: { set?: { elem: { elem: { val: string; counter: Traffic } }[] } }[]
}

async function counted(set: 'sent' | 'received'): Promise<Record<string, Traffic>> {
  const { stdout } = await run('nft', ['--json', 'list', 'set', 'ip', 'idle', set], {
    maxBuffer: 10_000_000,
  })
  const { nftables } = JSON.parse(stdout) as Listing
  const elements = nftables.flatMap(({ set: one }) => one?.elem ?? [])
  return Object.fromEntries(elements.map(({ elem }) => [elem.val, elem.counter]))
}

async function deviceCounters(): Promise<Traffic> {
  const lines = (await readFile('/proc/self/net/dev', 'utf8')).split('\n')
  const loopback = lines.find((line) => line.trim().startsWith('lo:')) ?? ''
  const [bytes = 0, packets = 0] = loopback.trim().split(/\s+/).slice(1).map(Number)
  return { bytes, packets }
}

async function read(crews: readonly Crew[]): Promise<Reading> {
  const usage = await Promise.all(crews.map((crew) => crew.ask('usage')))
  const [sent, received, device] = await Promise.all([
    counted('sent'),
    counted('received'),
    deviceCounters(),
  ])
  return { atMs: performance.now(), sent, received, device, usage }
}

const options = (address: string, bootstraps: readonly Member[]): NodeOptions => ({
  listen: [`/ip4/${address}/tcp/0`],
  network: 'idle',
  bootstrap: bootstraps.map((member) => member.address),
})

/** All join through the first. */
async function startAll(
  { nodes, perProcess }: Plan,
  addresses: readonly string[],
): Promise<Crew[]> {
  const crews = Array.from(
    { length: Math.ceil(nodes / perProcess) },
    () => new Crew({ countStreams: true }),
  )
  const first = (await crews[0]?.start([options(addressOf(1), [])])) ?? []
  const queue = crews.entries()
  const worker = async (): Promise<void> => {
    for (const [i, crew] of queue) {
      const own = addresses.slice(Math.max(1, i * perProcess), (i + 1) * perProcess)
      const joining = own.map((address) => options(address, first))
      await crew.start(joining, JOIN_EVERY_MS)
    }
  }
  await Promise.all(Array.from({ length: START_AT_A_TIME }, worker))
  return crews
}

async function play(plan: Plan): Promise<Stage> {
  const addresses = Array.from({ length: plan.nodes }, (_, i) => addressOf(i + 1))
  await prepareNetwork(addresses)
  const crews = await startAll(plan, addresses)
  await untilOne(crews, TOGETHER_MS)
  await after(plan.settle * 1000)
  const before = await read(crews)
  await after(plan.seconds * 1000)
  const stage = { before, after: await read(crews) }
  const views = await viewsOf(crews)
  await Promise.all(crews.map((crew) => crew.kill()))
  return { ...stage, views }
}

console.log(JSON.stringify(await play(JSON.parse(process.argv[2] ?? '') as Plan)))
