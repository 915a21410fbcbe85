/** Figures and tables of laboratory runs. */
import { cellName, type Cell, type Try } from './cell.ts'

/** What all tries of a cell came to. */
export interface CellReport {
  cell: string
  expected: Cell['expected']
  reason: string | null
  ok: number
  tries: number
  /** Time to direct, or to relayed where that is all there is. */
  p50Ms: number | null
  p95Ms: number | null
  /** Time until peer exchange had brought an address. */
  knownP50Ms: number | null
  /** Time to the first relayed link. */
  relayedP50Ms: number | null
  methods: Record<string, number>
  failures: string[]
}

/** The value that this share of the values does not exceed (nearest rank); null without values. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null
}

const present = (values: readonly (number | null)[]): number[] =>
  values.filter((value) => value !== null)

export function summarise(cell: Cell, tries: readonly Try[]): CellReport {
  const good = tries.filter(({ ok }) => ok)
  const times = present(
    good.map((one) => (cell.expected === 'direct' ? one.directMs : one.relayedMs)),
  )
  const methods: Record<string, number> = {}
  for (const { method } of good) if (method !== null) methods[method] = (methods[method] ?? 0) + 1
  return {
    cell: cellName(cell),
    expected: cell.expected,
    reason: cell.reason ?? null,
    ok: good.length,
    tries: tries.length,
    p50Ms: percentile(times, 0.5),
    p95Ms: percentile(times, 0.95),
    knownP50Ms: percentile(present(good.map(({ knownMs }) => knownMs)), 0.5),
    relayedP50Ms: percentile(present(good.map(({ relayedMs }) => relayedMs)), 0.5),
    methods,
    failures: tries.flatMap(({ failure }) => (failure === null ? [] : [failure])),
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

const ms = (value: number | null) => (value === null ? '-' : value.toFixed(0))
const rtts = (value: number | null, rttMs: number) =>
  value === null ? '-' : (value / rttMs).toFixed(1)

/** The table that a matrix run ends with. */
export function matrixTable(reports: readonly CellReport[], rttMs: number): string {
  const head = [
    'cell',
    'expected',
    'success',
    'p50 ms',
    'p95 ms',
    'p50 RTT',
    'p95 RTT',
    'relayed p50 ms',
    'known p50 ms',
    'method',
  ]
  return table([
    head,
    ...reports.map((report) => [
      report.cell,
      report.expected,
      `${report.ok}/${report.tries}`,
      ms(report.p50Ms),
      ms(report.p95Ms),
      rtts(report.p50Ms, rttMs),
      rtts(report.p95Ms, rttMs),
      ms(report.relayedP50Ms),
      ms(report.knownP50Ms),
      Object.entries(report.methods)
        .map(([method, count]) => `${method} ${count}`)
        .join(', ') || '-',
    ]),
  ])
}
