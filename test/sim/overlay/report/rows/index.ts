/** The 28 rows that an overlay is accepted by: what each asks, what others reached, and which figures feed it. */
import type { PlayName } from '../plays.ts'
import { ATTACKS } from './attacks.ts'
import { LOSSES } from './losses.ts'
import type { Row } from './row.ts'
import { RUNNING } from './running.ts'
import { SHAPE } from './shape.ts'

export type { Figure, Row, Source } from './row.ts'

export const ROWS: readonly Row[] = [...SHAPE, ...LOSSES, ...ATTACKS, ...RUNNING]

/** The plays that feed these rows, each once; what only stands in for another is not among them. */
export const playsFor = (rows: readonly Row[]): PlayName[] => [
  ...new Set(
    rows.flatMap(({ figures }) => figures.flatMap(({ sources }) => sources[0]?.play ?? [])),
  ),
]

/** The hours that the longest of these rows needs of a play; undefined where none says. */
export function hoursFor(rows: readonly Row[], play: PlayName): number | undefined {
  const hours = rows
    .flatMap(({ figures }) => figures)
    .filter(({ sources }) => sources[0]?.play === play)
    .flatMap((figure) => figure.hours ?? [])
  return hours.length === 0 ? undefined : Math.max(...hours)
}
