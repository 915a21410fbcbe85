/** Runs held against rows. */
import { optionsOf, PLAYS, USUAL, type Run } from './plays.ts'
import type { Figure, Row, Source } from './rows/index.ts'

/**
 * `reported`: it has no goal. `too few nodes`: the goal is for 10,000 nodes and says nothing about the size that was run.
 */
export type Verdict = 'met' | 'MISSED' | 'reported' | 'too few nodes' | 'not run'

export interface JudgedFigure {
  figure: Figure
  /** One for each seed. */
  values: number[]
  verdict: Verdict
  /** How the runs differ from what the row is about; empty when they do not. */
  differences: string[]
}

export interface JudgedRow {
  row: Row
  figures: JudgedFigure[]
  /** `partly`: nothing was missed, and something not run. */
  verdict: 'met' | 'MISSED' | 'partly' | 'not run' | 'elsewhere'
}

export function judgeRow(row: Row, runs: readonly Run[]): JudgedRow {
  const figures = row.figures.map((figure) => judgeFigure(figure, runs))
  return { row, figures, verdict: rowVerdict(row, figures) }
}

function rowVerdict(row: Row, figures: readonly JudgedFigure[]): JudgedRow['verdict'] {
  if (row.elsewhere !== undefined) return 'elsewhere'
  const verdicts = figures.map(({ verdict }) => verdict)
  if (verdicts.includes('MISSED')) return 'MISSED'
  if (!verdicts.includes('met')) return 'not run'
  return verdicts.every((one) => one === 'met' || one === 'reported') ? 'met' : 'partly'
}

/** Whether this row's failure is one of the whole. */
export const fails = ({ row, verdict }: JudgedRow): boolean =>
  verdict === 'MISSED' && row.weakness !== true

interface Sample {
  run: Run
  value: number
  differences: string[]
}

export function judgeFigure(figure: Figure, runs: readonly Run[]): JudgedFigure {
  const samples = samplesOf(figure, runs)
  const values = samples.map(({ value }) => value)
  return {
    figure,
    values,
    verdict: verdictOf(figure, samples),
    differences: [
      ...new Set([
        ...samples.flatMap(({ differences }) => differences),
        ...tooFew(figure, samples),
      ]),
    ],
  }
}

function verdictOf({ goal, sized }: Figure, samples: readonly Sample[]): Verdict {
  if (samples.length === 0) return 'not run'
  if (goal === undefined) return 'reported'
  if (sized === true && samples.some(({ run }) => run.options.n < USUAL.n)) return 'too few nodes'
  return samples.every(({ value }) => goal.holds(value)) ? 'met' : 'MISSED'
}

/** Of runs just as the row wants them, if there are any; else of all that have the figure. */
function samplesOf(figure: Figure, runs: readonly Run[]): Sample[] {
  const [first] = figure.sources
  for (const source of figure.sources) {
    const found = samplesFrom(source, figure, runs)
    if (found.length === 0) continue
    const usual = found.filter(({ differences }) => differences.length === 0)
    const samples = usual.length > 0 ? usual : found
    if (source === first) return samples
    return samples.map((one) => ({
      ...one,
      differences: [...one.differences, `${source.play} only`],
    }))
  }
  return []
}

const samplesFrom = (source: Source, figure: Figure, runs: readonly Run[]): Sample[] =>
  runs
    .filter(({ play }) => play === source.play)
    .flatMap((run) => {
      const value = source.value(run.result)
      return value === undefined ? [] : [{ run, value, differences: differences(run, figure) }]
    })

/** How the conditions of a run differ from the usual ones. */
function differences({ play, options }: Run, { hours = USUAL.hours }: Figure): string[] {
  const usual = optionsOf(play, USUAL, options.seed)
  const shares = [
    ['private', 'privateShare'],
    ['punch', 'punchShare'],
    ['loss', 'loss'],
  ] as const
  return [
    ...(options.n === usual.n ? [] : [`n ${options.n}`]),
    ...shares
      .filter(([, key]) => options[key] !== usual[key])
      .map(([name, key]) => `${name} ${options[key]}`),
    ...(options.hours >= hours || PLAYS[play].untimed === true
      ? []
      : [`${options.hours} of ${hours} h`]),
  ]
}

function tooFew({ seeds }: Figure, samples: readonly Sample[]): string[] {
  const had = new Set(samples.map(({ run }) => run.options.seed)).size
  return seeds === undefined || had === 0 || had >= seeds ? [] : [`${had} of ${seeds} seeds`]
}
