/** The options of `npm run sim`. */
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import type { ScenarioOptions } from '../results.ts'
import { CI_PLAYS, optionsOf, PLAYS, PLAY_NAMES, playsOf, USUAL } from './plays.ts'
import type { Asked, PlayName } from './plays.ts'
import { hoursFor, playsFor, ROWS, type Row } from './rows/index.ts'

/** One play with one seed, to be run. */
export interface Job {
  play: PlayName
  options: ScenarioOptions
}

/** What to do, read from the command line. */
export interface SimCommand {
  jobs: Job[]
  /** Files of earlier runs. */
  merge: string[]
  /** Rows that are judged and printed. */
  rows: readonly Row[]
  workers: number
  /** Where plots go. */
  out: string
  json?: string
}

interface Given {
  n?: number
  private: number
  punch: number
  seeds?: number[]
  hours?: number
  loss: number
  out: string
  json?: string
  rows?: number[]
  workers: number
  ci?: true
  merge?: string[]
}

const MOST_NODES = 1_000_000
const MOST_HOURS = 24 * 365
/** As many worlds at a time as any machine that this runs on has cores. */
const MOST_WORKERS = 256
/** More than anybody would wait for; `1..1000000000` is a slip of the finger. */
const MOST_SEEDS = 1_000
const LARGEST_SEED = 2 ** 32 - 1

/**
 * What `--ci` has time for. An event costs 20 to 40 µs in a world of thousands, whose state no cache holds, joining takes some
 * 400 events a node, and the first hour of a node is its busiest.
 */
const CI = { n: 4_000, hours: 5 / 60, healingMs: 6 * 60_000 }

/** Reads a number in a range, `kind` being the sort of number it is. */
function reader(kind: string, fits: (value: number) => boolean) {
  return (least: number, most: number) =>
    (text: string): number => {
      const value = Number(text)
      if (text.trim() !== '' && fits(value) && value >= least && value <= most) return value
      throw new InvalidArgumentError(`give a ${kind} from ${least} to ${most}`)
    }
}

const numberBetween = reader('number', Number.isFinite)
const wholeBetween = reader('whole number', Number.isInteger)

/** `1..5`, `1,3`, `1-4,7`: each number once, in the order given. */
function numbersBetween(least: number, most: number) {
  const read = wholeBetween(least, most)
  return (text: string): number[] => {
    const numbers = new Set<number>()
    for (const part of text.split(',')) {
      const [first = '', last = first, more] = part.split(/\.\.|-/)
      const end = read(last)
      if (more !== undefined || read(first) > end)
        throw new InvalidArgumentError(`${part} is no range; give 1..5 or 1,3`)
      for (let number = read(first); number <= end; number++) {
        if (numbers.size === MOST_SEEDS)
          throw new InvalidArgumentError(`give at most ${MOST_SEEDS} numbers`)
        numbers.add(number)
      }
    }
    return [...numbers]
  }
}

const scenario = (text: string, before: PlayName[]): PlayName[] => {
  try {
    return [...before, ...playsOf(text)]
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

const HELP = `
Scenarios:
${PLAY_NAMES.map((name) => `  ${name.padEnd(20)}${PLAYS[name].title}`).join('\n')}
massfail, churn, partition and byz name all of theirs; all names everything, which takes days.

With --rows and no scenario, the scenarios that feed these rows are run, for as long as the rows say.
Exit codes: 0 no row that was run is missed, 1 one is or a run failed, 2 wrong use, 130 interrupted.

Examples:
  npm run sim -- steady --n 1000 --hours 1
  npm run sim -- massfail-80 massfail-90 --seeds 1..5 --workers 2
  npm run sim -- massfail --private 0 --rows 9-12
  npm run sim -- --rows 3,5-7 --json steady.json
  npm run sim -- byz-10 --json byz.json
  npm run sim -- --merge steady.json byz.json
  npm run sim -- --ci`

const describe = (): Command =>
  new Command('sim')
    .description('Thousands of overlay nodes, as they ship, on one simulated internet.')
    .argument('[scenario...]', 'what to run', scenario, [])
    .option('--n <nodes>', `nodes of each world (default: ${USUAL.n})`, wholeBetween(2, MOST_NODES))
    .option(
      '--private <share>',
      'share of nodes behind NATs',
      numberBetween(0, 1),
      USUAL.privateShare,
    )
    .option(
      '--punch <share>',
      'share of hidden pairs that can punch',
      numberBetween(0, 1),
      USUAL.punchShare,
    )
    .option('--seeds <list>', 'such as 1..5 or 1,3 (default: 1)', numbersBetween(0, LARGEST_SEED))
    .option(
      '--hours <h>',
      `simulated, after formation (default: ${USUAL.hours})`,
      numberBetween(0, MOST_HOURS),
    )
    .option('--loss <share>', 'segments sent again', numberBetween(0, 0.5), USUAL.loss)
    .option('--out <dir>', 'plots, as SVG', '.sim')
    .option('--json <file>', 'all figures, with options, seeds and hashes')
    .option('--rows <list>', 'judge only these, such as 1,2,10-12', numbersBetween(1, ROWS.length))
    .option(
      '--workers <count>',
      'worlds at a time, a core each',
      wholeBetween(1, MOST_WORKERS),
      availableParallelism(),
    )
    .option('--ci', `what fits two minutes on two cores, with ${CI.n} nodes`)
    .option('--merge <file...>', 'print the runs of these --json files too')
    .addHelpText('after', HELP)
    .showHelpAfterError('Try --help.')
    .exitOverride(({ exitCode, code }) =>
      process.exit(code === 'commander.helpDisplayed' ? exitCode : 2),
    )

/** Reads the command line; ends the process with 2 when it makes no sense. */
export function parseArgs(args: readonly string[]): SimCommand {
  const command = describe().parse([...args], { from: 'user' })
  const given = command.opts<Given>()
  const named = command.processedArgs[0] as PlayName[]
  const rows = ROWS.filter(({ number }) => given.rows?.includes(number) ?? true)
  const plays = playsToRun(named, given, rows)
  if (plays.length === 0 && given.merge === undefined) {
    const elsewhere = rows.length === 1 ? rows[0]?.elsewhere : undefined
    command.error(
      elsewhere === undefined
        ? 'error: name a scenario, or give --rows, --merge or --ci'
        : `error: that is measured by ${elsewhere}`,
    )
  }
  return {
    jobs: plays.flatMap((play) => jobsOf(play, given, rows)),
    merge: given.merge ?? [],
    rows,
    workers: given.workers,
    out: given.out,
    ...(given.json === undefined ? {} : { json: given.json }),
  }
}

function playsToRun(named: PlayName[], given: Given, rows: readonly Row[]): PlayName[] {
  const asked = [...named, ...(given.ci === true ? CI_PLAYS : [])]
  const byRows = given.rows !== undefined && given.merge === undefined
  return asked.length === 0 && byRows ? playsFor(rows) : [...new Set(asked)]
}

function jobsOf(play: PlayName, given: Given, rows: readonly Row[]): Job[] {
  const { loss } = given
  const asked: Asked = {
    n: given.n ?? (given.ci === true ? CI : USUAL).n,
    loss,
    hours: given.hours ?? usualHours(play, given, rows),
    privateShare: given.private,
    punchShare: given.punch,
    ...(given.ci === true && { healingMs: CI.healingMs }),
  }
  return (given.seeds ?? [1]).map((seed) => ({ play, options: optionsOf(play, asked, seed) }))
}

function usualHours(play: PlayName, given: Given, rows: readonly Row[]): number {
  if (given.ci === true) return CI.hours
  return (given.rows === undefined ? undefined : hoursFor(rows, play)) ?? USUAL.hours
}
