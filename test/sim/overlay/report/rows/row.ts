/** What a row of the acceptance table is made of. */
import type { Format, Goal } from '../goals.ts'
import type { AnyResult, PlayName, ResultOf } from '../plays.ts'

/** Where a figure is found; undefined where the run did not get that far. */
export interface Source {
  play: PlayName
  value(result: AnyResult): number | undefined
}

export interface Figure {
  /** What it is called within its row; empty where the row is about nothing else. */
  name: string
  /** The first play that was run is taken. */
  sources: readonly Source[]
  format: Format
  /** None: it is only reported. */
  goal?: Goal
  /** What others reach, and what the prototype of this design did. */
  anchor?: string
  prototype?: string
  /** The row is met in full only by runs of so many hours (the usual ones, unless given), and with so many seeds. */
  hours?: number
  seeds?: number
  /** Its goal is for 10,000 nodes and says nothing about fewer. */
  sized?: true
}

export interface Row {
  number: number
  title: string
  figures: readonly Figure[]
  /** Known not to be solved: its goals are shown, and a missed one fails nothing. */
  weakness?: true
  /** Measured elsewhere, by this command. */
  elsewhere?: string
}

/** A source whose figure is read from the result of the play that it names. */
export const from = <Name extends PlayName>(
  play: Name,
  value: (result: ResultOf<Name>) => number | undefined,
): Source => ({ play, value: (result) => value(result as ResultOf<Name>) })

export const worstOf = (values: readonly number[]): number => Math.min(...values)
export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, one) => sum + one, 0) / values.length

export const reaches = ({ floods }: { floods: readonly { reach: number }[] }): number[] =>
  floods.map(({ reach }) => reach)
