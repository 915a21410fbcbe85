/** What nodes cost that nobody uses, on loopback: their traffic, and what it consists of; memory and processor time. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { percentile, table } from '../lab/report.ts'
import { NAMESPACES } from '../support/namespace.ts'
import { partsOf, spread } from '../support/overlay-views.ts'
import type { StreamBytes } from '../support/stream-bytes.ts'
import type { Plan, Reading, Stage, Traffic } from './idle-stage.ts'
import type { Measured } from './main.ts'

const STAGE = fileURLToPath(new URL('./idle-stage.ts', import.meta.url))

/** What starting a hundred nodes on a busy machine may take on top of what the plan says. */
const STARTING_MS = 300_000

/** Of an IPv4 packet of TCP with timestamps, which all of them but the first two of a connection are. */
const HEADERS = 52

/** Starts the nodes in a network of their own, leaves them alone, and measures. */
export async function idleOnLoopback(plan: Plan, say: (text: string) => void): Promise<Measured> {
  const { nodes, perProcess, settle, seconds } = plan
  say(`${nodes} nodes, ${perProcess} in a process; ${settle} s to settle, ${seconds} s measured`)
  const { stdout } = await promisify(execFile)(
    'unshare',
    [
      ...NAMESPACES,
      process.execPath,
      STAGE,
      JSON.stringify({ nodes, perProcess, settle, seconds }),
    ],
    { timeout: STARTING_MS + (settle + seconds) * 1000, maxBuffer: 50_000_000 },
  )
  return report(plan, JSON.parse(stdout) as Stage)
}

function report({ nodes, perProcess, settle }: Plan, stage: Stage): Measured {
  const { before, after, views } = stage
  const seconds = (after.atMs - before.atMs) / 1000
  const sent = rates(before.sent, after.sent, seconds)
  const received = rates(before.received, after.received, seconds)
  const { parts } = partsOf(views)
  const memory = after.usage.map(({ rss }) => rss / 1e6)
  const busy = after.usage.map(
    ({ cpuMicros }, i) => (cpuMicros - (before.usage[i]?.cpuMicros ?? 0)) / 1000 / seconds,
  )
  const busyEach = busy.reduce((sum, one) => sum + one, 0) / nodes
  const shares = sharesOf(stage, seconds, nodes)
  const uncounted = 1 - total(sent, 'bytes') / deviceRate(before, after, seconds)
  const text = [
    `${nodes} idle nodes on loopback for ${seconds.toFixed(0)} s, after ${settle} s to settle; ${parts === 1 ? 'one overlay' : `${parts} overlays`}, ${spread(views.map(({ links }) => links.length))} links a node`,
    '',
    table([
      ['IP traffic of a node', 'mean', 'least', 'middle', '95 %', 'greatest'],
      row('bytes sent a second', sent, 'bytes'),
      row('bytes received a second', received, 'bytes'),
      row('packets sent a second', sent, 'packets'),
    ]),
    '',
    table([
      ['of what a node sends', 'bytes/s', 'share', 'streams/min'],
      ...shares.map(({ what, bytes, share, streams }) => [
        what,
        bytes.toFixed(1),
        `${(share * 100).toFixed(0)} %`,
        streams === undefined ? '' : streams.toFixed(1),
      ]),
    ]),
    '',
    `a process of ${perProcess === 1 ? 'one node' : `${perProcess} nodes`}: ${spread(memory)} MB resident; a node takes ${busyEach.toFixed(1)} ms of processor time a second`,
    `counted by the kernel's firewall for the address of each node; ${(uncounted * 100).toFixed(1)} % of what passed the device was of no node`,
  ].join('\n')
  return { text, data: { seconds, sent, received, shares, memory, busyEach, views } }
}

/** Per second, for every address. */
function rates(
  before: Reading['sent'],
  after: Reading['sent'],
  seconds: number,
): Record<string, Traffic> {
  return Object.fromEntries(
    Object.entries(after).map(([address, { packets, bytes }]) => {
      const was = before[address] ?? { packets: 0, bytes: 0 }
      const rate = {
        packets: (packets - was.packets) / seconds,
        bytes: (bytes - was.bytes) / seconds,
      }
      return [address, rate]
    }),
  )
}

const total = (all: Record<string, Traffic>, what: keyof Traffic): number =>
  Object.values(all).reduce((sum, one) => sum + one[what], 0)

function deviceRate({ device: a }: Reading, { device: b }: Reading, seconds: number): number {
  return (b.bytes - a.bytes) / seconds
}

function row(title: string, all: Record<string, Traffic>, what: keyof Traffic): string[] {
  const values = Object.values(all).map((one) => one[what])
  const figures = [
    values.reduce((sum, one) => sum + one, 0) / values.length,
    Math.min(...values),
    percentile(values, 0.5),
    percentile(values, 0.95),
    Math.max(...values),
  ]
  return [title, ...figures.map((value) => (value ?? NaN).toFixed(1))]
}

/** Part of what a node sends, on the average of all. */
interface Share {
  what: string
  /** A second. */
  bytes: number
  share: number
  /** Opened or accepted a minute; only where it is a protocol. */
  streams?: number
}

/** What the bytes are: what streams carry, by protocol, and what is around them. */
function sharesOf({ before, after }: Stage, seconds: number, nodes: number): Share[] {
  const sent = rates(before.sent, after.sent, seconds)
  const all = total(sent, 'bytes') / nodes
  const headers = (total(sent, 'packets') * HEADERS) / nodes
  const streams = Object.entries(streamTotals(after)).map(([what, now]) => {
    const was = streamTotals(before)[what]
    return {
      what,
      bytes: (now.bytesOut - (was?.bytesOut ?? 0)) / seconds / nodes,
      streams: ((now.streams - (was?.streams ?? 0)) / seconds / nodes) * 60,
    }
  })
  const carried = streams.reduce((sum, { bytes }) => sum + bytes, 0)
  const shares: Omit<Share, 'share'>[] = [
    ...streams,
    { what: 'TCP and IP headers', bytes: headers },
    { what: 'noise and yamux around the streams', bytes: all - headers - carried },
  ]
  return shares
    .filter(({ bytes, streams }) => bytes > 0 || (streams ?? 0) > 0)
    .map((one) => ({ ...one, share: one.bytes / all }))
    .sort((a, b) => b.bytes - a.bytes)
}

function streamTotals({ usage }: Reading): Record<string, StreamBytes> {
  const totals: Record<string, StreamBytes> = {}
  for (const { streams } of usage) {
    for (const [protocol, one] of Object.entries(streams)) {
      const sum = (totals[protocol] ??= { streams: 0, bytesIn: 0, bytesOut: 0 })
      sum.streams += one.streams
      sum.bytesIn += one.bytesIn
      sum.bytesOut += one.bytesOut
    }
  }
  return totals
}
