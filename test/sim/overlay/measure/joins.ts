import type { Picture } from '../picture.ts'
import type { Joins } from '../results.ts'
import { percentile, share } from './spread.ts'

export interface Joiners {
  /** Only nodes that started in [from, to). */
  fromMs?: number
  toMs?: number
  hidden?: boolean
}

/** How long honest nodes took to three neighbours of their own; one that died before that is left out. */
export function joins(picture: Picture, { fromMs = 0, toMs = Infinity, hidden }: Joiners): Joins {
  const times: number[] = []
  for (let v = 0; v < picture.size; v++) {
    const startedAt = picture.startedAt[v] as number
    if (picture.hostile[v] === 1 || !(startedAt >= fromMs && startedAt < toMs)) continue
    if (hidden !== undefined && (picture.hidden[v] === 1) !== hidden) continue
    const joinedAt = picture.joinedAt[v] as number
    if (!Number.isNaN(joinedAt)) times.push(joinedAt - startedAt)
    else if (picture.alive[v] === 1) times.push(Infinity)
  }
  const sorted = Float64Array.from(times).sort()
  return {
    started: times.length,
    joined: share(times.filter(Number.isFinite).length, times.length),
    p50Ms: percentile(sorted, 0.5),
    p95Ms: percentile(sorted, 0.95),
    p99Ms: percentile(sorted, 0.99),
  }
}
