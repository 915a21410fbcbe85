/** `node test/interop/main.ts`: Warren and go-libp2p punch holes to each other in the NAT laboratory. */
import { Command, InvalidArgumentError } from 'commander'
import { percentile, table } from '../lab/report.ts'
import { cellName, cellOf, CELLS, type InteropCell } from './cells.ts'
import { goPeerProgram } from './go-build.ts'
import { playCell, type InteropOptions, type InteropTry } from './play.ts'
import { compareLimits } from './limits.ts'
import { requirements } from './requirements.ts'

const say = (text: string) => process.stderr.write(`${text}\n`)

interface Given {
  cell: InteropCell[]
  tries: number
  rtt: number
  loss: number
  skew: number
  limits?: true
  json?: true
}

function numberBetween(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text)
    if (text.trim() !== '' && value >= least && value <= most) return value
    throw new InvalidArgumentError(`give a number from ${least} to ${most}`)
  }
}

function toCell(name: string, before: InteropCell[]): InteropCell[] {
  try {
    return [...before, cellOf(name)]
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

function read(args: readonly string[]): Given {
  return (
    new Command('interop')
      .description(
        `Warren and go-libp2p behind real NATs.\nCells: ${CELLS.map(cellName).join(', ')}`,
      )
      .option('--cell <AxB>', 'play this cell only; may be repeated', toCell, [])
      // Each try takes two ports of the switch, which has 256.
      .option('--tries <n>', 'tries a cell', numberBetween(1, 120), 1)
      .option('--rtt <ms>', 'round trip between any two machines', numberBetween(0, 2000), 50)
      .option('--loss <percent>', 'frames lost', numberBetween(0, 90), 0)
      .option('--skew <ms>', 'frames to A take this much longer', numberBetween(0, 2000), 0)
      .option('--limits', "compare what each reads of the other's relay limits, instead of cells")
      .option('--json', 'print results as JSON on stdout')
      .allowExcessArguments(false)
      .parse([...args], { from: 'user' })
      .opts<Given>()
  )
}

interface Row {
  cell: string
  ok: number
  tries: number
  p50Ms: number | null
  mostMs: number | null
  failures: string[]
}

function rowOf(cell: InteropCell, results: readonly InteropTry[]): Row {
  const times = results.map(({ directMs }) => directMs).filter((ms) => ms !== null)
  return {
    cell: cellName(cell),
    ok: times.length,
    tries: results.length,
    p50Ms: percentile(times, 0.5),
    mostMs: percentile(times, 1),
    failures: results.map(({ failure }) => failure).filter((failure) => failure !== null),
  }
}

const ms = (value: number | null) => value?.toFixed(0) ?? '-'

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ cell, ok, tries, p50Ms, mostMs }) => [
    cell,
    `${ok}/${tries}`,
    ms(p50Ms),
    ms(mostMs),
  ])
  return table([['cell', 'direct', 'p50 ms', 'most ms'], ...lines])
}

async function play(cells: readonly InteropCell[], options: InteropOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const cell of cells) {
    const results = await playCell(cell, options, (number, { directMs, failure }) => {
      const outcome = failure === null ? `direct after ${directMs?.toFixed(0)} ms` : 'FAILED'
      say(`  ${cellName(cell)} ${number}/${options.tries}: ${outcome}`)
      if (failure !== null) say(failure)
    })
    rows.push(rowOf(cell, results))
  }
  return rows
}

async function judgeLimits(rttMs: number, json: boolean): Promise<boolean> {
  const findings = await compareLimits(rttMs)
  const good = (one: (typeof findings)[number]) => one.expected === one.found
  const rows = findings.map((one) => [
    good(one) ? 'ok' : 'WRONG',
    one.what,
    one.expected,
    one.found,
  ])
  const text = json
    ? JSON.stringify({ limits: findings })
    : table([['', 'what', 'expected', 'found'], ...rows])
  process.stdout.write(`${text}\n`)
  return findings.every(good)
}

async function main(): Promise<boolean> {
  const given = read(process.argv.slice(2))
  const missing = await requirements()
  if (missing.length > 0) {
    for (const sentence of missing) say(sentence)
    return false
  }
  say('building the go-libp2p peer, unless it has been built')
  await goPeerProgram()
  if (given.limits === true) return judgeLimits(given.rtt, given.json === true)
  const { rtt: rttMs, loss: lossPercent, skew: skewMs } = given
  const options = { tries: Math.trunc(given.tries), rttMs, lossPercent, skewMs }
  const rows = await play(given.cell.length > 0 ? given.cell : CELLS, options)
  const text = given.json === true ? JSON.stringify({ options, cells: rows }) : tableOf(rows)
  process.stdout.write(`${text}\n`)
  return rows.every(({ ok, tries }) => ok === tries)
}

const good = await main().catch((error: unknown) => {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return false
})
process.exitCode = good ? 0 : 1
