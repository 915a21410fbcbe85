import { styleText } from 'node:util'
import type { DoctorCheck } from '../client/index.ts'
import { clean } from './render.ts'

export interface Sheet {
  /** Characters in a line. */
  width: number
  colour: boolean
}

type Result = DoctorCheck['result']

/** What matters most comes last: next to the prompt. */
const ORDER: readonly Result[] = ['ok', 'unknown', 'warning', 'problem']

/** Capitals where something is to be done: they are seen without colour too. */
const WORDS: Record<Result, string> = {
  ok: 'ok',
  unknown: 'unknown',
  warning: 'WARNING',
  problem: 'PROBLEM',
}

const COLOURS = { ok: 'green', unknown: 'cyan', warning: 'yellow', problem: 'red' } as const

const WORD_WIDTH = 9
/** In a narrower column sentences cannot be read. */
const LEAST_WIDTH = 30

/** `warren doctor`: what was found, with what it means and what to do about it. */
export function renderDoctor(checks: readonly DoctorCheck[], sheet: Sheet): string {
  const titles = 2 + Math.max(0, ...checks.map(({ title }) => clean(title).length))
  const width = Math.max(LEAST_WIDTH, sheet.width - WORD_WIDTH - titles)
  const blocks = ORDER.flatMap((result) =>
    checks
      .filter((check) => check.result === result)
      .map((check) => {
        const word = paint(result, WORDS[result].padEnd(WORD_WIDTH), sheet.colour)
        const [first = '', ...more] = linesOf(check, width)
        const margin = ' '.repeat(WORD_WIDTH + titles)
        const top = `${word}${clean(check.title).padEnd(titles)}${first}`
        return [top, ...more.map((line) => margin + line)].join('\n')
      }),
  )
  return `${blocks.join('\n')}\n\n${tally(checks)}`
}

function linesOf({ text, meaning, remedy, pending }: DoctorCheck, width: number): string[] {
  return [
    ...wrap(clean(text), width),
    ...(meaning === undefined ? [] : wrap(clean(meaning), width)),
    ...(pending === undefined ? [] : wrap(`(still ${clean(pending)})`, width)),
    ...(remedy === undefined ? [] : wrap(`→ ${clean(remedy)}`, width, '  ')),
  ]
}

function paint(result: Result, word: string, colour: boolean): string {
  return colour ? styleText(COLOURS[result], word, { validateStream: false }) : word
}

function tally(checks: readonly DoctorCheck[]): string {
  const numbers = ORDER.toReversed().flatMap((result) => {
    const n = checks.filter((check) => check.result === result).length
    return n === 0 ? [] : [`${n} ${result}${n > 1 && PLURAL.has(result) ? 's' : ''}`]
  })
  return `${numbers.join(', ')}.`
}

const PLURAL = new Set<Result>(['warning', 'problem'])

/** Breaks a sentence at spaces; a word longer than a line, as addresses can be, stays whole to be copied. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent + word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
