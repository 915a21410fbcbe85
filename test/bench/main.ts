/** `npm run bench -- SUBJECT`: measures what Warren costs, and prints it with the machine, the day and the command. */
import { Command, InvalidArgumentError } from 'commander'
import { requirements } from '../lab/requirements.ts'
import { SKIP } from '../support/namespace.ts'
import { circumstances } from './circumstances.ts'
import { idleInLab } from './idle-lab.ts'
import { idleOnLoopback } from './idle.ts'
import { relay } from './relay.ts'
import type { RelayBenchOptions } from './relay.ts'

/** Each has a /16 of 127.0.0.0/8 to itself. */
const MOST_NODES = 100

interface IdleOptions {
  nodes: number
  perProcess: number
  settle: number
  seconds: number
  lab?: true
  json?: true
}

type RelayOptions = Omit<RelayBenchOptions, 'say'> & { json?: true }

/** What a subject found: for people, and for programs. */
export interface Measured {
  text: string
  data: object
}

const wholeBetween =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most)
      return value
    throw new InvalidArgumentError(`give a whole number from ${least} to ${most}`)
  }

/** Progress goes to stderr, so that stdout has the result only. */
const say = (text: string): boolean => process.stderr.write(`${text}\n`)

async function idle(options: IdleOptions): Promise<void> {
  const missing = options.lab === true ? await requirements() : SKIP === false ? [] : [SKIP]
  if (missing.length > 0) throw new Error(missing.join('\n'))
  const measured = await (options.lab === true
    ? idleInLab(options, say)
    : idleOnLoopback(options, say))
  const around = circumstances()
  if (options.json === true) console.log(JSON.stringify({ ...around.data, ...measured.data }))
  else console.log(`${measured.text}\n${around.text}`)
}

async function relaying({ json, ...options }: RelayOptions): Promise<void> {
  const result = await relay({ ...options, say: json === true ? say : console.log })
  const around = circumstances()
  console.log(json === true ? JSON.stringify({ ...around.data, ...result }) : around.text)
  process.exitCode = result.ok ? 0 : 1
}

const program = new Command('bench')
  .description('Measures what Warren costs.')
  .addHelpText(
    'after',
    '\nExamples:\n  npm run bench -- idle\n  npm run bench -- idle --nodes 100 --per-process 25\n  npm run bench -- idle --lab\n  npm run bench -- relay\n  npm run bench -- relay --reservations 100 --plain',
  )
program
  .command('idle')
  .description('traffic, memory and processor time of nodes that nobody uses')
  .option('--nodes <n>', 'how many, on loopback', wholeBetween(2, MOST_NODES), 20)
  .option(
    '--per-process <n>',
    'nodes in a process; memory is told by process',
    wholeBetween(1, MOST_NODES),
    1,
  )
  .option('--settle <s>', 'left alone for so long first', wholeBetween(0, 3_600), 90)
  .option('--seconds <s>', 'measured for so long', wholeBetween(1, 36_000), 120)
  .option('--lab', '12 nodes of the NAT laboratory instead, 8 of them hidden (root)')
  .option('--json', 'the result as JSON')
  .allowExcessArguments(false)
  .action(idle)

program
  .command('relay')
  .description('memory of a relay that is full, and how it takes a storm of requests (Linux)')
  .option('--reservations <n>', 'clients that hold one each', wholeBetween(1, 4_096))
  .option('--limit-mb <n>', 'more than this is a failure', wholeBetween(1, 100_000))
  .option('--settle-seconds <n>', 'pause before memory is read', wholeBetween(0, 3_600))
  .option('--main <file>', 'the program; default: the built one if there is one')
  .option('--plain', 'start the relay without the flags that it usually has')
  .option('--json', 'the result as JSON')
  .allowExcessArguments(false)
  .action(relaying)

await program.parseAsync().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
})
