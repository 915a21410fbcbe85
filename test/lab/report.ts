/** Figures and tables of laboratory runs. */
import { cellName, type Cell, type Try } from './cell.ts'

/** What all tries of a cell came to. */
export interface CellReport {
  cell: string
  a: string
  b: string
  expected: Cell['expected']
  reason: string | null
  ok: number
  tries: number
  /** Of the successes, those in which the two had begun to link before the call; their times count only if all are. */
  early: number
  /** Time to direct, or to relayed where that is all there is. */
  p50Ms: number | null
  p95Ms: number | null
  /** Time until peer exchange had brought an address. */
  knownP50Ms: number | null
  /** Time to the first relayed link. */
  relayedP50Ms: number | null
  /** Packets that A and B sent to each other until direct, the middle of all tries. */
  packetsP50: { a: number | null; b: number | null }
  methods: Record<string, number>
  failures: string[]
  /** Every try, for figures that are not here. */
  all: Try[]
}

/** A time as it is told. */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

/** The value that this share of the values does not exceed (nearest rank); null without values. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null
}

const present = (values: readonly (number | null | undefined)[]): number[] =>
  values.filter((value) => value !== null && value !== undefined)

const middle = (values: readonly (number | null | undefined)[]): number | null =>
  percentile(present(values), 0.5)

/** Sums up the tries of a cell; times are those of successes that began with the call. */
export function summarise(cell: Cell, tries: readonly Try[]): CellReport {
  const good = tries.filter(({ ok }) => ok)
  const called = good.filter(({ early }) => !early)
  // Where the two always begin by themselves, as a hidden node with a public one, those times are all there is.
  const timed = called.length > 0 ? called : good
  const times = present(
    timed.map((one) => (cell.expected === 'direct' ? one.directMs : one.relayedMs)),
  )
  const methods: Record<string, number> = {}
  for (const { method } of good) if (method !== null) methods[method] = (methods[method] ?? 0) + 1
  return {
    cell: cellName(cell),
    a: cell.a,
    b: cell.b,
    expected: cell.expected,
    reason: cell.reason ?? null,
    ok: good.length,
    tries: tries.length,
    early: good.length - called.length,
    p50Ms: percentile(times, 0.5),
    p95Ms: percentile(times, 0.95),
    knownP50Ms: middle(good.map(({ knownMs }) => knownMs)),
    relayedP50Ms: middle(timed.map(({ relayedMs }) => relayedMs)),
    packetsP50: {
      a: middle(timed.map(({ packets }) => packets?.a)),
      b: middle(timed.map(({ packets }) => packets?.b)),
    },
    methods,
    failures: tries.flatMap(({ failure }) => (failure === null ? [] : [failure])),
    all: [...tries],
  }
}

/** Columns as wide as their widest value. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]) =>
    row.map((value, column) => value.padEnd(widths[column] ?? 0)).join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}

/** A time or a count without decimals; a dash where there is none. */
export const whole = (value: number | null): string => (value === null ? '-' : value.toFixed(0))
const rtts = (value: number | null, rttMs: number) =>
  value === null || rttMs === 0 ? '-' : (value / rttMs).toFixed(1)

const HEAD = [
  'cell',
  'expected',
  'success',
  'p50 ms',
  'p95 ms',
  'p50 RTT',
  'p95 RTT',
  'relayed p50 ms',
  'known p50 ms',
  'packets A+B',
  'method',
]

/** The table that a matrix run ends with, and why cells are relayed. */
export function matrixTable(reports: readonly CellReport[], rttMs: number): string {
  const reasons = new Map<string, string[]>()
  for (const { reason, cell } of reports)
    if (reason !== null) reasons.set(reason, [...(reasons.get(reason) ?? []), cell])
  const rows = reports.map((report) => [
    report.cell,
    report.expected,
    successIn(report),
    whole(report.p50Ms),
    whole(report.p95Ms),
    rtts(report.p50Ms, rttMs),
    rtts(report.p95Ms, rttMs),
    whole(report.relayedP50Ms),
    whole(report.knownP50Ms),
    `${whole(report.packetsP50.a)}+${whole(report.packetsP50.b)}`,
    methodsIn(report),
  ])
  return [
    table([HEAD, ...rows]),
    ...[...reasons].map(([reason, cells]) => `relayed: ${cells.join(', ')}, because ${reason}`),
    totals(reports),
  ].join('\n')
}

const successIn = ({ ok, tries, early }: CellReport): string =>
  `${ok}/${tries}${early > 0 ? ` (${early} early)` : ''}`

const methodsIn = ({ methods }: CellReport): string =>
  Object.entries(methods)
    .map(([method, count]) => `${method} ${count}`)
    .join(', ') || '-'

function totals(reports: readonly CellReport[]): string {
  const sum = (figure: (report: CellReport) => number) =>
    reports.reduce((total, report) => total + figure(report), 0)
  const whole = reports.filter(({ ok, tries }) => ok === tries)
  return `${whole.length} of ${reports.length} cells as expected in every try; ${sum(({ ok }) => ok)} of ${sum(({ tries }) => tries)} tries`
}
