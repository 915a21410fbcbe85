/** The options of `npm run lab`. */
import { Command, InvalidArgumentError } from 'commander'
import { cellName, type Cell, type CellOptions } from './cell.ts'
import { cellOf, MATRIX } from './matrix.ts'

/** What to do, read from the command line. */
export interface LabCommand {
  selfTest: boolean
  clean: boolean
  big: boolean
  start: boolean
  /** Whether times are judged, or only printed. */
  limits: boolean
  examples: boolean
  json: boolean
  cells: Cell[]
  options: CellOptions
}

/** DESIGN section 4 asks for as many tries a cell. */
const MATRIX_TRIES = 20
/** Each try takes two ports of the switch, which has 256. */
const MOST_TRIES = 120

function numberBetween(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text)
    if (text.trim() !== '' && value >= least && value <= most) return value
    throw new InvalidArgumentError(`give a number from ${least} to ${most}`)
  }
}

function toCell(name: string, before: Cell[]): Cell[] {
  try {
    return [...before, cellOf(name)]
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

const HELP = `
Without any of --cell, --matrix, --self-test, --big, --start, --examples
and --clean: the self-test, then each cell once.

Examples:
  npm run lab -- --self-test
  npm run lab -- --cell portxport --tries 20
  npm run lab -- --cell cgn×port --rtt 300 --loss 2 --skew 200
  npm run lab -- --matrix --json > matrix.json
  npm run lab -- --big --start
  npm run lab -- --clean`

function describe(): Command {
  const list = MATRIX.map((cell) => cellName(cell)).join(', ')
  return new Command('lab')
    .description(`Real kernel NATs on one machine, and Warren nodes behind them.\nCells: ${list}`)
    .option('--cell <AxB>', 'play this cell, or another pair of kinds; may be repeated', toCell, [])
    .option('--matrix', `play every cell, ${MATRIX_TRIES} tries each unless --tries says otherwise`)
    .option(
      '--tries <n>',
      'tries a cell, each with new identities and fresh NATs',
      numberBetween(1, MOST_TRIES),
    )
    .option('--rtt <ms>', 'round trip between any two machines', numberBetween(0, 2000), 50)
    .option('--loss <percent>', 'frames lost', numberBetween(0, 90), 0)
    .option(
      '--skew <ms>',
      'frames to A take this much longer than frames from A',
      numberBetween(0, 2000),
      0,
    )
    .option('--self-test', 'prove that each NAT kind behaves as named')
    .option('--big', 'transfer 100 MB directly, and again while a relay is killed')
    .option('--start', 'start one bootstrap and two hidden nodes at once, and time them')
    .option('--no-limits', 'with --start: print the times without judging them')
    .option('--examples', 'run the programs under examples/ behind two NATs')
    .option('--clean', 'remove what dead runs left behind')
    .option('--json', 'print results as JSON on stdout')
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride(({ exitCode, code }) =>
      process.exit(code === 'commander.helpDisplayed' ? exitCode : 2),
    )
}

/** Reads the command line; ends the process with 2 when it makes no sense. */
export function parseArgs(args: readonly string[]): LabCommand {
  const given = describe()
    .parse([...args], { from: 'user' })
    .opts<{
      cell: Cell[]
      matrix?: true
      tries?: number
      rtt: number
      loss: number
      skew: number
      selfTest?: true
      big?: true
      start?: true
      limits: boolean
      examples?: true
      clean?: true
      json?: true
    }>()
  const nothing =
    !given.cell.length &&
    !given.matrix &&
    !given.selfTest &&
    !given.big &&
    !given.start &&
    !given.examples &&
    !given.clean
  return {
    selfTest: nothing || given.selfTest === true,
    clean: given.clean === true,
    big: given.big === true,
    start: given.start === true,
    limits: given.limits,
    examples: given.examples === true,
    json: given.json === true,
    cells: given.matrix === true || nothing ? [...MATRIX] : given.cell,
    options: {
      tries: Math.trunc(given.tries ?? (given.matrix === true ? MATRIX_TRIES : 1)),
      rttMs: given.rtt,
      lossPercent: given.loss,
      skewMs: given.skew,
    },
  }
}
