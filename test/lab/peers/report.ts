/** The table of a comparison. */
import { percentile, table, whole } from '../report.ts'
import { CONTENDERS, type Attempt } from './contenders.ts'

/** All attempts of one contender in one cell. */
export interface PeerReport {
  cell: string
  name: string
  attempts: Attempt[]
}

/** Median, range and success of a contender in a cell. */
export function figuresOf(attempts: readonly Attempt[], patienceMs: number): string {
  const direct = attempts.filter(({ directMs }) => directMs !== null)
  if (direct.length === 0) return `never direct (${patienceMs / 1000} s)`
  const success = `${direct.length} of ${attempts.length}`
  const times = direct.flatMap(({ directMs, early }) => (early ? [] : [directMs ?? 0]))
  if (times.length === 0) return `${success}, all before the call`
  const range = `${whole(Math.min(...times))}-${whole(Math.max(...times))}`
  return `${whole(percentile(times, 0.5))} ms (${range}), ${success}`
}

/** A row a cell, a column a contender. */
export function comparisonTable(reports: readonly PeerReport[], patienceMs: number): string {
  const cells = [...new Set(reports.map(({ cell }) => cell))]
  const names = CONTENDERS.map(({ name }) => name)
  const rows = cells.map((cell) => [
    cell,
    ...names.map((name) => {
      const report = reports.find((one) => one.cell === cell && one.name === name)
      return report === undefined ? '-' : figuresOf(report.attempts, patienceMs)
    }),
  ])
  const notes = CONTENDERS.map(({ name, how }) => `${name}: ${how}`)
  return [table([['cell', ...names], ...rows]), ...notes].join('\n')
}
