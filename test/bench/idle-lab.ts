/** The same in the NAT laboratory: what a hidden node costs that nobody uses, beside a public one. */
import { readFile } from 'node:fs/promises'
import { setTimeout as after } from 'node:timers/promises'
import type { NodeStatus } from '../../src/types.ts'
import type { Counters } from '../lab/host.ts'
import { Lab } from '../lab/lab.ts'
import { startOverlay, type Member } from '../lab/overlay.ts'
import { table } from '../lab/report.ts'
import type { Measured } from './main.ts'

const RTT_MS = 50

interface Row {
  name: string
  hidden: boolean
  /** Bytes a second through the host's device, link headers included. */
  sent: number
  received: number
  direct: number
  relayed: number
  relays: number
  reservations: number
  /** MB resident. */
  memory: number
}

/** Starts the dozen nodes of the scenario `overlay`, leaves them alone, and measures. */
export async function idleInLab(
  { settle, seconds }: { settle: number; seconds: number },
  say: (text: string) => void,
): Promise<Measured> {
  await using lab = await Lab.create({ rttMs: RTT_MS })
  const members = await startOverlay(lab)
  say(`${members.length} nodes are usable; ${settle} s to settle, ${seconds} s measured`)
  await after(settle * 1000)
  const startedMs = performance.now()
  const before = await Promise.all(members.map(({ host }) => host.counters()))
  await after(seconds * 1000)
  const now = await Promise.all(members.map(({ host }) => host.counters()))
  const passed = (performance.now() - startedMs) / 1000
  const rows = await Promise.all(
    members.map((member, i) => rowOf(member, before[i] as Counters, now[i] as Counters, passed)),
  )
  return report(rows, passed, settle)
}

async function rowOf(
  { name, host, node }: Member,
  before: Counters,
  now: Counters,
  seconds: number,
): Promise<Row> {
  const { links, relays, serving } = await node.api<NodeStatus>('GET', '/v1/status')
  return {
    name,
    hidden: host.router !== null,
    sent: (now.txBytes - before.txBytes) / seconds,
    received: (now.rxBytes - before.rxBytes) / seconds,
    ...links,
    relays: relays.length,
    reservations: serving.reservations,
    memory: await memoryOf(node.program.child.pid ?? 0),
  }
}

/** MB resident of a process of this machine. */
async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6
}

function report(rows: readonly Row[], seconds: number, settle: number): Measured {
  const means = [false, true].map((hidden) =>
    meanOf(
      hidden ? 'hidden, mean' : 'public, mean',
      rows.filter((row) => row.hidden === hidden),
    ),
  )
  const text = [
    `${rows.length} idle nodes in the laboratory (round trips of ${RTT_MS} ms) for ${seconds.toFixed(0)} s, after ${settle} s to settle`,
    '',
    table([
      ['node', 'sent B/s', 'received B/s', 'direct', 'relayed', 'relays', 'serves', 'MB'],
      ...[...rows, ...means].map((row) => [
        row.name,
        ...[row.sent, row.received].map((value) => value.toFixed(1)),
        ...[row.direct, row.relayed, row.relays, row.reservations].map((value) =>
          Number.isInteger(value) ? String(value) : value.toFixed(1),
        ),
        row.memory.toFixed(0),
      ]),
    ]),
    '',
    "counted by the kernel at each host's device, link headers of 14 bytes included; links and reservations as at the end",
  ].join('\n')
  return { text, data: { seconds, rows } }
}

function meanOf(name: string, rows: readonly Row[]): Row {
  const mean = (of: (row: Row) => number): number =>
    rows.reduce((sum, row) => sum + of(row), 0) / rows.length
  return {
    name,
    hidden: rows.every(({ hidden }) => hidden),
    sent: mean(({ sent }) => sent),
    received: mean(({ received }) => received),
    direct: mean(({ direct }) => direct),
    relayed: mean(({ relayed }) => relayed),
    relays: mean(({ relays }) => relays),
    reservations: mean(({ reservations }) => reservations),
    memory: mean(({ memory }) => memory),
  }
}
