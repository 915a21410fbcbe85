/** The acceptance table as text. */
import { write, type Format } from './goals.ts'
import { fails, type JudgedFigure, type JudgedRow } from './judge.ts'

/** A column is as wide as its longest cell, up to this; longer cells are wrapped. */
const WIDEST = [2, 36, 34, 24, 20, 12, 16]
const HEAD = ['#', 'figure', 'min / median / max', 'anchor', 'prototype', 'goal', 'verdict']

/** One line for each figure, and below it how many rows are met. */
export function rowsTable(judged: readonly JudgedRow[]): string {
  const notes: string[] = []
  const lines = judged.flatMap((one) => rowLines(one, notes))
  return [
    textTable([HEAD, ...lines], WIDEST),
    ...notes.map((note, i) => `${mark(i)} ${note}`),
    summary(judged),
  ].join('\n')
}

const mark = (index: number): string => `*${index + 1}`

function rowLines(judged: JudgedRow, notes: string[]): string[][] {
  const { row, figures } = judged
  const number = String(row.number)
  const title = row.weakness === true ? `${row.title} (known weakness)` : row.title
  if (row.elsewhere !== undefined)
    return [[number, title, row.elsewhere, '', '', '', 'measured in the laboratory']]
  if (figures.every(({ verdict }) => verdict === 'not run'))
    return [[number, title, '', '', '', '', 'not run']]
  const [only] = figures
  if (figures.length === 1 && only?.figure.name === '')
    return [[number, title, ...cells(only, notes)]]
  return [
    [number, title],
    ...figures.map((one) => ['', `  ${one.figure.name}`, ...cells(one, notes)]),
  ]
}

function cells({ figure, values, verdict, differences }: JudgedFigure, notes: string[]): string[] {
  const { format, goal, anchor = '', prototype = '' } = figure
  return [
    measured(values, format),
    anchor,
    prototype,
    goal?.text(format) ?? 'report',
    differences.length === 0 ? verdict : `${verdict} ${noted(differences.join(', '), notes)}`,
  ]
}

/** The mark of a note; equal notes share one. */
function noted(differences: string, notes: string[]): string {
  const note = `run otherwise than the row says: ${differences}`
  const known = notes.indexOf(note)
  return mark(known === -1 ? notes.push(note) - 1 : known)
}

/** One value, or the least, the middle and the largest of several. */
export function measured(values: readonly number[], format: Format): string {
  const sorted = values.toSorted((a, b) => lastIfNaN(a) - lastIfNaN(b))
  const middle = sorted[Math.floor((sorted.length - 1) / 2)]
  const texts = [sorted[0], middle, sorted.at(-1)].map((value) =>
    value === undefined ? '–' : write(value, format),
  )
  return new Set(texts).size === 1 ? (texts[0] as string) : texts.join(' / ')
}

/** What never came about took longer than anything; not Infinity, for a difference of two of these is NaN. */
const lastIfNaN = (value: number): number => (Number.isFinite(value) ? value : Number.MAX_VALUE)

const numbers = (rows: readonly JudgedRow[]): string => rows.map(({ row }) => row.number).join(', ')

function summary(judged: readonly JudgedRow[]): string {
  const count = (verdict: JudgedRow['verdict']) =>
    judged.filter((one) => one.verdict === verdict).length
  const missed = judged.filter(fails)
  const weak = judged.filter((one) => one.verdict === 'MISSED' && !fails(one))
  return [
    `${count('met')} ${count('met') === 1 ? 'row' : 'rows'} met`,
    ...(count('partly') > 0 ? [`${count('partly')} met as far as run`] : []),
    missed.length === 0 ? 'none missed' : `${missed.length} MISSED (${numbers(missed)})`,
    ...(weak.length > 0 ? [`known weakness missed (${numbers(weak)})`] : []),
    `${count('not run')} not run`,
    ...(count('elsewhere') > 0 ? [`${count('elsewhere')} measured elsewhere`] : []),
  ].join(', ')
}

/** Columns with two blanks between them; cells wider than their column go on below. */
export function textTable(rows: readonly (readonly string[])[], widest: readonly number[]): string {
  const wrapped = rows.map((row) => row.map((cell, i) => wrap(cell, widest[i] ?? Infinity)))
  const widths = widest.map((_, i) =>
    Math.max(0, ...wrapped.flatMap((row) => row[i] ?? []).map((line) => line.length)),
  )
  return wrapped
    .flatMap((row) => {
      const height = Math.max(...row.map((cell) => cell.length))
      return Array.from({ length: height }, (_, line) =>
        row
          .map((cell, i) => (cell[line] ?? '').padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd(),
      )
    })
    .join('\n')
}

/** Lines of at most `width`, broken between words; what is indented stays so. */
function wrap(text: string, width: number): string[] {
  const indent = /^ */.exec(text)?.[0] ?? ''
  const lines: string[] = []
  for (const word of text.trim().split(' ')) {
    const last = lines.at(-1)
    const longer = last === undefined ? `${indent}${word}` : `${last} ${word}`
    if (last === undefined || longer.length > width)
      lines.push(last === undefined ? longer : `${indent}${indent}${word}`)
    else lines[lines.length - 1] = longer
  }
  return lines
}
