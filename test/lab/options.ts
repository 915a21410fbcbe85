/** The options of `npm run lab`. */
import { Command, InvalidArgumentError } from 'commander'
import type { Cell, CellOptions } from './cell.ts'
import { cellOf, cellsAmong, COMPARED, MATRIX, namesOf, SHORT } from './matrix.ts'
import { SCENARIO_NAMES, SCENARIOS, type ScenarioName } from './playlist.ts'
import { PLACE_KINDS } from './world.ts'

/** What to do, read from the command line. */
export interface LabCommand {
  selfTest: boolean
  clean: boolean
  scenarios: ScenarioName[]
  /** Whether the start of a small swarm is judged by its times, or only printed. */
  limits: boolean
  /** Cells of the matrix. */
  cells: readonly Cell[]
  /** Cells in which others are put through the same. */
  compared: readonly Cell[]
  /** How long each peer of a comparison may take to become direct. */
  patienceMs: number
  options: CellOptions
  trace: boolean
  /** Results as JSON: on stdout, or into this file. */
  json: boolean | string
}

/** DESIGN section 4 asks for as many tries a cell. */
const MATRIX_TRIES = 20
const MOST_TRIES = 1000
const MOST_PARALLEL = 8
/** Times can be quoted only when nothing else ran. */
const PARALLEL = 1
const PATIENCE_S = 15

interface Given {
  cell: Cell[]
  matrix?: true
  only?: Cell[]
  peers?: true
  scenario: ScenarioName[]
  big?: true
  start?: true
  examples?: true
  limits: boolean
  tries?: number
  rtt: number
  loss: number
  skew: number
  jitter: number
  rangeSeed: number
  relays: 'shared' | 'split'
  parallel: number
  patience: number
  trace?: true
  selfTest?: true
  clean?: true
  json?: true | string
}

function numberBetween(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text)
    if (text.trim() !== '' && value >= least && value <= most) return value
    throw new InvalidArgumentError(`give a number from ${least} to ${most}`)
  }
}

const wholeBetween = (least: number, most: number) => (text: string) =>
  Math.trunc(numberBetween(least, most)(text))

/** What a reader throws becomes a complaint about the option. */
function reading<T>(read: (text: string) => T) {
  return (text: string): T => {
    try {
      return read(text)
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
    }
  }
}

const oneMore = <T>(read: (text: string) => T) => {
  const readOne = reading(read)
  return (text: string, before: T[]): T[] => [...before, readOne(text)]
}

function scenarioOf(text: string): ScenarioName {
  const name = SCENARIO_NAMES.find((one) => one === text)
  if (name === undefined) throw new Error(`there are ${SCENARIO_NAMES.join(', ')}`)
  return name
}

const splitOrShared = reading((text) => {
  if (text !== 'shared' && text !== 'split') throw new Error('it is shared or split')
  return text
})

const HELP = `
Kinds: ${PLACE_KINDS.join(', ')}; the last two are places for B, behind A's router.
Scenarios:
${SCENARIO_NAMES.map((name) => `  ${name.padEnd(10)}${SCENARIOS[name].title}`).join('\n')}

Without --cell, --matrix, --only, --peers, --scenario, --self-test and --clean: the self-test, then one try each of
${namesOf(SHORT)}.

Examples:
  npm run lab -- --self-test
  npm run lab -- --cell portxport --tries 20
  npm run lab -- --cell cgn×port --rtt 300 --loss 2 --skew 200 --jitter 10
  npm run lab -- --matrix --tries 3 --json matrix.json
  npm run lab -- --only sym,port --tries 5 --range-seed 7
  npm run lab -- --peers --tries 5
  npm run lab -- --scenario fallback
  npm run lab -- --clean`

function describe(): Command {
  return new Command('lab')
    .description('Real kernel NATs on one machine, and Warren nodes behind them.')
    .option('--cell <AxB>', 'play this pair of kinds; may be repeated', oneMore(cellOf), [])
    .option('--matrix', `play all ${MATRIX.length} cells, ${MATRIX_TRIES} tries each by default`)
    .option(
      '--only <kinds>',
      'play the cells of the matrix among these kinds, such as sym,port',
      reading((text) => cellsAmong(text.split(','))),
    )
    .option('--peers', 'put HyperDHT, stock js-libp2p and Warren through the same cells')
    .option(
      '--patience <s>',
      'with --peers: what is not direct after this is never direct',
      numberBetween(1, 600),
      PATIENCE_S,
    )
    .option('--scenario <name>', 'play a scenario; may be repeated', oneMore(scenarioOf), [])
    .option('--big', 'the same as --scenario big')
    .option('--start', 'the same as --scenario start')
    .option('--examples', 'the same as --scenario examples')
    .option('--no-limits', 'with start and relays: print the times without judging them')
    .option('--tries <n>', 'tries a cell, each with new identities', wholeBetween(1, MOST_TRIES))
    .option('--rtt <ms>', 'round trip between any two machines', numberBetween(0, 2000), 50)
    .option('--loss <percent>', 'frames lost', numberBetween(0, 90), 0)
    .option('--skew <ms>', 'frames to A take this much longer', numberBetween(0, 2000), 0)
    .option('--jitter <ms>', 'each frame takes up to this much longer', numberBetween(0, 1000), 0)
    .option('--range-seed <n>', 'other addresses and ports; 0: usual', wholeBetween(0, 1e9), 0)
    .option('--relays <how>', 'A and B join through one relay, or split', splitOrShared, 'shared')
    .option(
      '--parallel <n>',
      'tries at a time; more than 1 spoils times',
      wholeBetween(1, MOST_PARALLEL),
      PARALLEL,
    )
    .option('--trace', 'print the steps of each attempt, where the node tells them')
    .option('--self-test', 'prove that each NAT kind behaves as named')
    .option('--clean', 'remove what dead runs left behind')
    .option('--json [file]', 'results as JSON, on stdout or into a file')
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
    .opts<Given>()
  const scenarios = scenariosOf(given)
  const chosen = [...(given.matrix === true ? MATRIX : []), ...(given.only ?? []), ...given.cell]
  const peers = given.peers === true
  const nothing =
    chosen.length + scenarios.length === 0 && !peers && !given.selfTest && !given.clean
  return {
    selfTest: nothing || given.selfTest === true,
    clean: given.clean === true,
    scenarios,
    limits: given.limits,
    cells: nothing ? SHORT : peers ? [] : chosen,
    compared: !peers ? [] : chosen.length > 0 ? chosen : COMPARED,
    patienceMs: given.patience * 1000,
    options: cellOptions(given),
    trace: given.trace === true,
    json: given.json ?? false,
  }
}

function scenariosOf({ scenario, big, start, examples }: Given): ScenarioName[] {
  return [
    ...scenario,
    ...(big === true ? (['big'] as const) : []),
    ...(start === true ? (['start'] as const) : []),
    ...(examples === true ? (['examples'] as const) : []),
  ]
}

const cellOptions = (given: Given): CellOptions => ({
  tries: given.tries ?? (given.matrix === true ? MATRIX_TRIES : 1),
  rttMs: given.rtt,
  lossPercent: given.loss,
  skewMs: given.skew,
  jitterMs: given.jitter,
  rangeSeed: given.rangeSeed,
  relays: given.relays,
  parallel: given.parallel,
})
