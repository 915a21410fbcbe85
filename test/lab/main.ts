/** `npm run lab`: plays cells and scenarios in the NAT laboratory. */
import { parseArgs } from './options.ts'
import { cellName, playCell, type Cell, type Try } from './cell.ts'
import { examples } from './examples.ts'
import { matrixTable, summarise, table, type CellReport } from './report.ts'
import { requirements } from './requirements.ts'
import { bigTransfer, smallSwarm, type Finding, type Note } from './scenarios.ts'
import { selfTest } from './self-test.ts'
import { deadPrefixes, sweep } from './sweep.ts'
import type { LabCommand } from './options.ts'

/** Progress goes to stderr, so that `--json` leaves stdout to the result. */
const say = (text: string) => process.stderr.write(`${text}\n`)
const print = (text: string) => process.stdout.write(`${text}\n`)

async function clean(): Promise<boolean> {
  const dead = await deadPrefixes()
  for (const prefix of dead) {
    say(`removing ${prefix}`)
    await sweep(prefix)
  }
  print(
    dead.length === 0
      ? 'nothing was left behind'
      : `removed ${dead.length} laboratories of dead runs`,
  )
  return true
}

async function judge(json: boolean): Promise<boolean> {
  say('self-test: does each NAT kind behave as named?')
  const findings = await selfTest((one) =>
    say(`  ${one.ok ? 'ok   ' : 'WRONG'} ${one.subject}: ${one.found}`),
  )
  const wrong = findings.filter(({ ok }) => !ok)
  if (json) print(JSON.stringify({ selfTest: findings }))
  else {
    const rows = findings.map(({ subject, expected, found, ok }) => [
      ok ? 'ok' : 'WRONG',
      subject,
      expected,
      found,
    ])
    print(table([['', 'what', 'expected', 'found'], ...rows]))
    print(`${findings.length - wrong.length} of ${findings.length} as expected`)
  }
  return wrong.length === 0
}

function sayTry(cell: Cell, number: number, total: number, result: Try): void {
  const time = result.directMs ?? result.relayedMs
  const outcome = result.ok
    ? `${result.method} after ${time?.toFixed(0)} ms`
    : `FAILED\n${result.failure}`
  say(`  ${cellName(cell)} ${number}/${total}: ${outcome}`)
}

async function playCells(command: LabCommand): Promise<boolean> {
  const { cells, options, json } = command
  const reports: CellReport[] = []
  for (const cell of cells) {
    say(
      `${cellName(cell)}: ${options.tries} tries at ${options.rttMs} ms, ${options.lossPercent} % loss`,
    )
    const tries = await playCell(cell, options, (number, result) =>
      sayTry(cell, number, options.tries, result),
    )
    reports.push(summarise(cell, tries))
  }
  print(json ? JSON.stringify({ options, cells: reports }) : matrixTable(reports, options.rttMs))
  return reports.every(({ ok, tries }) => ok === tries)
}

async function playScenario(
  name: string,
  scenario: (rttMs: number, note: Note) => Promise<void>,
  { options, json }: LabCommand,
): Promise<boolean> {
  const findings: Finding[] = []
  say(`${name}, round trips of ${options.rttMs} ms`)
  await scenario(options.rttMs, (one) => {
    findings.push(one)
    say(`  ${one.ok ? 'ok   ' : 'WRONG'} ${one.what}: ${one.found}`)
  })
  if (json) print(JSON.stringify({ [name]: findings }))
  return findings.every(({ ok }) => ok)
}

async function main(): Promise<boolean> {
  const command = parseArgs(process.argv.slice(2))
  const missing = await requirements()
  if (missing.length > 0) {
    for (const sentence of missing) say(sentence)
    return false
  }
  if (command.clean) return clean()
  let good = true
  if (command.selfTest) good = (await judge(command.json)) && good
  if (command.cells.length > 0) good = (await playCells(command)) && good
  if (command.big) good = (await playScenario('big', bigTransfer, command)) && good
  if (command.examples) good = (await playScenario('examples', examples, command)) && good
  if (command.start) {
    const swarm = (rttMs: number, note: Note) => smallSwarm(rttMs, note, command.limits)
    good = (await playScenario('start', swarm, command)) && good
  }
  return good
}

const good = await main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error))
  return false
})
process.exitCode = good ? 0 : 1
