import type { Counts, Spread } from '../results.ts'

/** Nearest rank: the smallest value that at least `share` of all values do not exceed. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** Mean and percentiles; all NaN of nothing. */
export function spread(values: Float64Array): Spread {
  const sorted = values.toSorted()
  const at = (share: number) => percentile(sorted, share)
  return {
    mean: mean(values),
    p1: at(0.01),
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1),
  }
}

export function mean(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/** Standard deviation over mean. */
export function relativeDeviation(values: Float64Array): number {
  const middle = mean(values)
  let squares = 0
  for (const value of values) squares += (value - middle) ** 2
  return Math.sqrt(squares / values.length) / middle
}

/** How many values fall into each step of `step`, from 0 on. */
export function countsOf(values: Float64Array, step = 1): Counts {
  const counts: Counts = []
  for (const value of values) {
    const place = Math.floor(value / step)
    while (counts.length <= place) counts.push(0)
    counts[place] = (counts[place] as number) + 1
  }
  return counts
}

/** `part / whole`, and 0 of nothing: there is no hostile share among no neighbours. */
export const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
