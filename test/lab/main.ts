/** `npm run lab`: plays cells and scenarios in the NAT laboratory. */
import { writeFile } from 'node:fs/promises'
import { cpus, release } from 'node:os'
import { cellName, type Cell, type Try } from './cell.ts'
import { parseArgs, type LabCommand } from './options.ts'
import { compare } from './peers/compare.ts'
import { comparisonTable } from './peers/report.ts'
import { SCENARIOS, type ScenarioName } from './playlist.ts'
import { matrixTable, summarise, table } from './report.ts'
import { requirements } from './requirements.ts'
import type { Finding } from './scenarios.ts'
import { selfTest } from './self-test.ts'
import { playCells } from './slots.ts'
import { deadPrefixes, sweep } from './sweep.ts'

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

/** What was measured, on what, and when: a figure without these is worth nothing. */
const circumstances = ({ options }: LabCommand) => ({
  at: new Date().toISOString(),
  node: process.version,
  kernel: release(),
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  options,
})

/** One part of a run: what people read, what programs read, and whether all is as expected. */
interface Part {
  text: string
  data: object
  good: boolean
}

async function judge(): Promise<Part> {
  say('self-test: does each NAT kind behave as named?')
  const findings = await selfTest((one) =>
    say(`  ${one.ok ? 'ok   ' : 'WRONG'} ${one.subject}: ${one.found}`),
  )
  const good = findings.filter(({ ok }) => ok)
  const rows = findings.map(({ subject, expected, found, ok }) => [
    ok ? 'ok' : 'WRONG',
    subject,
    expected,
    found,
  ])
  const text = [
    table([['', 'what', 'expected', 'found'], ...rows]),
    `${good.length} of ${findings.length} as expected`,
  ].join('\n')
  return { text, data: { selfTest: findings }, good: good.length === findings.length }
}

function sayTry(command: LabCommand, cell: Cell, number: number, result: Try): void {
  const time = result.directMs ?? result.relayedMs
  const outcome = result.ok
    ? `${result.method} after ${time?.toFixed(0)} ms`
    : `FAILED\n${result.failure}`
  say(`  ${cellName(cell)} ${number}/${command.options.tries}: ${outcome}`)
  if (!command.trace) return
  const steps = result.trace?.map(({ name, ms }) => `${name} ${ms.toFixed(0)}`).join(', ')
  say(`    ${steps ?? 'the node tells no steps'}`)
}

async function playMatrix(command: LabCommand): Promise<Part> {
  const { cells, options } = command
  const { tries, rttMs, lossPercent } = options
  say(`${cells.length} cells, ${tries} tries each, at ${rttMs} ms, ${lossPercent} % loss`)
  const startedMs = performance.now()
  const played = await playCells(cells, options, (cell, number, result) =>
    sayTry(command, cell, number, result),
  )
  const reports = cells.map((cell, index) => summarise(cell, played[index] ?? []))
  const tookMs = Math.round(performance.now() - startedMs)
  return {
    text: `${matrixTable(reports, rttMs)}\nplayed in ${(tookMs / 1000).toFixed(0)} s`,
    data: { tookMs, cells: reports },
    good: reports.every(({ ok }) => ok === tries),
  }
}

const inALine = ({ ok, what, found }: Finding): string =>
  `${ok ? 'ok   ' : 'WRONG'} ${what}: ${found}`

async function playScenario(name: ScenarioName, command: LabCommand): Promise<Part> {
  const { options, limits } = command
  const findings: Finding[] = []
  say(`${name}: ${SCENARIOS[name].title}, round trips of ${options.rttMs} ms`)
  const note = (one: Finding) => {
    findings.push(one)
    say(`  ${inALine(one)}`)
  }
  await SCENARIOS[name].play(options.rttMs, note, limits)
  const good = findings.every(({ ok }) => ok)
  const wrong = findings.filter(({ ok }) => !ok).map(inALine)
  const text = [`${name}: ${good ? 'as it should be' : 'NOT as it should be'}`, ...wrong].join(
    '\n  ',
  )
  return { text, data: { [name]: findings }, good }
}

async function playPeers(command: LabCommand): Promise<Part> {
  const { compared, options, patienceMs } = command
  say(
    `${compared.length} cells, ${options.tries} tries each, at ${options.rttMs} ms, for each peer`,
  )
  const reports = await compare(compared, options, patienceMs, say)
  return { text: comparisonTable(reports, patienceMs), data: { peers: reports }, good: true }
}

/** All that was asked for, one part after the other. */
async function* partsOf(command: LabCommand): AsyncGenerator<Part> {
  if (command.selfTest) yield await judge()
  if (command.cells.length > 0) yield await playMatrix(command)
  for (const name of command.scenarios) yield await playScenario(name, command)
  if (command.compared.length > 0) yield await playPeers(command)
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
  let data: object = circumstances(command)
  for await (const part of partsOf(command)) {
    good = part.good && good
    data = { ...data, ...part.data }
    if (command.json !== true) print(part.text)
  }
  if (command.json === true) print(JSON.stringify(data))
  if (typeof command.json === 'string') await writeFile(command.json, JSON.stringify(data, null, 1))
  return good
}

const good = await main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error))
  return false
})
process.exitCode = good ? 0 : 1
