/**
 * The birthday search by itself, with plain sockets between real NATs: `node test/lab/birthday.ts --help`.
 * Its defaults are the constants in protocols/hole-punching/search-limits.ts.
 */
import { once } from 'node:events'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { guessPorts, type ObservedPort } from '../../protocols/hole-punching/guesses.ts'
import { SEARCH } from '../../protocols/hole-punching/search-limits.ts'
import type { KnockReport, KnockSide, ProbeReport, ProbeSide } from './birthday-side.ts'
import type { Host, Program } from './host.ts'
import { Lab } from './lab.ts'
import { NAT_KINDS, type NatKind } from './nat-kinds.ts'
import { Prober } from './prober.ts'
import { percentile, table } from './report.ts'
import { requirements } from './requirements.ts'

const SIDE = fileURLToPath(new URL('./birthday-side.ts', import.meta.url))
const LISTEN_PORT = 4001
const OBSERVER_PORTS = [7001, 7002, 7003]

/** As NAT_KINDS, and a symmetric router that answers strangers with RST. */
type OpenerKind = NatKind | 'sym-rst'

interface Settings {
  tries: number
  rtt: number
  loss: number
  probes: number
  sockets: number
  probeRate: number
  knockRate: number
  inFlight: number
  lead: number
  refusedPause: number
}

interface Outcome extends KnockReport, ProbeReport {}

async function playTry(
  lab: Lab,
  observer: Prober,
  kinds: readonly [OpenerKind, NatKind],
  settings: Settings,
  mark: number,
): Promise<Outcome> {
  const [a, b] = await Promise.all([opener(lab, kinds[0], mark), lab.natHost(`b${mark}`, kinds[1])])
  const eyes = [new Prober(a), new Prober(b)] as const
  const samples = await observe(eyes[0], observer)
  const [seen] = await observe(eyes[1], observer)
  if (seen === undefined) throw new Error('the observer saw nothing of the probing side')
  const probing = start(b, {
    do: 'probe',
    from: LISTEN_PORT,
    host: a.externalAddress,
    ports: guessPorts(samples, settings.probes, Math.random),
    perSecond: settings.probeRate,
    inFlight: settings.inFlight,
  })
  const knocking = start(a, {
    do: 'knock',
    host: b.externalAddress,
    port: seen.port,
    sockets: settings.sockets,
    perSecond: settings.knockRate,
    patienceMs: SEARCH.patienceMs,
    refusedPauseMs: settings.refusedPause,
  })
  await Promise.all([answer(probing), answer(knocking)])
  const [first, second] = settings.lead < 0 ? [knocking, probing] : [probing, knocking]
  const knocked = answer<KnockReport>(knocking)
  first.child.stdin?.write('go\n')
  await after(Math.abs(settings.lead))
  second.child.stdin?.write('go\n')
  const knockReport = await knocked
  const probed = answer<ProbeReport>(probing)
  probing.child.stdin?.end()
  const outcome = { ...knockReport, ...(await probed) }
  await Promise.all([knocking.kill(), probing.kill(), ...eyes.map((eye) => eye.stop())])
  return outcome
}

async function opener(lab: Lab, kind: OpenerKind, mark: number): Promise<Host> {
  const host = await lab.natHost(`a${mark}`, kind === 'sym-rst' ? 'sym' : kind)
  if (kind === 'sym-rst') {
    const rule = 'add rule ip filter itself iifname "wan" meta l4proto tcp reject with tcp reset'
    const { code, stderr } = (await host.router?.exec(['nft', '-f', '-'], { input: rule })) ?? {}
    if (code !== 0) throw new Error(`nft: ${stderr}`)
  }
  return host
}

/** The external ports that an observer sees of the listening port, towards one destination after the other. */
async function observe(eye: Prober, observer: Prober): Promise<ObservedPort[]> {
  const samples: ObservedPort[] = []
  for (const port of OBSERVER_PORTS) {
    const { outcome, observed } = await eye.connect(LISTEN_PORT, observer.host.address, port, 5000)
    if (outcome !== 'open') throw new Error(`${eye.host.name} does not reach the observer`)
    samples.push({ port: Number(observed.split(' ')[1]), atMs: performance.now() })
  }
  return samples
}

function start(host: Host, request: ProbeSide | KnockSide): Program {
  const program = host.spawn([process.execPath, SIDE])
  program.child.stdin?.write(`${JSON.stringify(request)}\n`)
  return program
}

async function answer<T>(program: Program): Promise<T> {
  const ended = program.exited.then(() => {
    throw new Error(`a side ended early: ${program.errors.join('\n')}`)
  })
  const [line] = (await Promise.race([once(program.lines, 'line'), ended])) as [string]
  return JSON.parse(line) as T
}

const middle = (values: (number | null)[], share: number): string =>
  percentile(
    values.filter((value) => value !== null),
    share,
  )?.toFixed(0) ?? '-'

function row(cell: string, outcomes: Outcome[]): string[] {
  const good = outcomes.filter(({ echoedMs }) => echoedMs !== null)
  const times = good.map(({ connectedMs }) => connectedMs)
  return [
    cell,
    `${good.length}/${outcomes.length}`,
    middle(times, 0.5),
    middle(times, 0.95),
    middle(times, 1),
    middle(
      outcomes.map(({ opened }) => opened),
      0.5,
    ),
    middle(
      outcomes.map(({ sent }) => sent),
      0.5,
    ),
    middle(
      outcomes.map(({ sendingMs }) => sendingMs),
      0.5,
    ),
    String(outcomes.reduce((sum, { accepted }) => sum + accepted, 0)),
    String(outcomes.reduce((sum, { simultaneous }) => sum + simultaneous, 0)),
  ]
}

const HEAD = [
  'cell',
  'success',
  'p50 ms',
  'p95 ms',
  'max ms',
  'sockets',
  'probes',
  'probing ms',
  'accepted',
  'simultaneous',
]

async function playCell(cell: string, settings: Settings): Promise<string[]> {
  const [a, b] = cell.split(/[x×]/) as [OpenerKind, NatKind]
  if (a !== 'sym-rst' && !NAT_KINDS.includes(a)) throw new Error(`no NAT kind ${a}`)
  if (!NAT_KINDS.includes(b)) throw new Error(`no NAT kind ${b}`)
  await using lab = await Lab.create({ rttMs: settings.rtt, lossPercent: settings.loss })
  const observer = new Prober(await lab.publicHost('observer'))
  await Promise.all(OBSERVER_PORTS.map((port) => observer.listen(port)))
  const outcomes: Outcome[] = []
  for (let mark = 1; mark <= settings.tries; mark++) {
    const outcome = await playTry(lab, observer, [a, b], settings, mark)
    process.stderr.write(`  ${cell} ${mark}: ${JSON.stringify(outcome)}\n`)
    outcomes.push(outcome)
  }
  await observer.stop()
  return row(cell, outcomes)
}

const CELLS = ['symxport', 'symxport-rst', 'symxshift', 'symxcgn', 'sym-seqxport', 'sym-rstxport']

const command = new Command('birthday')
  .option('--cell <AxB...>', 'opening side × probing side', CELLS)
  .option('--tries <n>', 'tries a cell', Number, 10)
  .option('--rtt <ms>', 'round trip', Number, 50)
  .option('--loss <percent>', 'frames lost', Number, 0)
  .option('--probes <n>', 'ports probed', Number, SEARCH.probes)
  .option('--sockets <n>', 'sockets opened', Number, SEARCH.sockets)
  .option('--probe-rate <n>', 'probes a second', Number, SEARCH.probesPerSecond)
  .option('--knock-rate <n>', 'sockets a second', Number, SEARCH.socketsPerSecond)
  .option('--in-flight <n>', 'probing sockets kept open at once', Number, SEARCH.inFlight)
  .option('--lead <ms>', 'the probing side starts this much earlier', Number, SEARCH.openAfterMs)
  .option(
    '--refused-pause <ms>',
    'pause of the opening side after its first refusal',
    Number,
    SEARCH.refusedPauseMs,
  )
  .parse()
const { cell: cells, ...settings } = command.opts<Settings & { cell: string[] }>()
const missing = await requirements()
if (missing.length > 0) {
  for (const sentence of missing) process.stderr.write(`${sentence}\n`)
  process.exit(1)
}
const rows: string[][] = []
for (const cell of cells) rows.push(await playCell(cell, settings))
process.stdout.write(`${JSON.stringify(settings)}\n${table([HEAD, ...rows])}\n`)
process.exitCode = rows.every(
  ([, success = '']) => success === `${settings.tries}/${settings.tries}`,
)
  ? 0
  : 1
