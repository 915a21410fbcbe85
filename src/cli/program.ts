/** Every command with its arguments, options and examples. What they do is loaded when they run. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { envName, optionsOf } from '../config/options.ts'
import type { OptionUser } from '../config/options.ts'
import { version } from '../version.ts'
import type { Given } from './given.ts'

type Run = (given: Given) => Promise<number>

interface Spec {
  name: string
  args?: Argument[]
  user: OptionUser
  own?: Option[]
  summary: string
  more?: string
  examples: string[]
  load: () => Promise<Run>
}

/** No command does anything useful for longer than a day. */
const MAX_NUMBER = 86_400_000
const EXAMPLE_PEER = '12D3KooWGzxz…'

const peerArgument = (): Argument => new Argument('<peer>', 'peer id or multiaddr')
const timeoutOption = (): Option =>
  new Option('--timeout <ms>', 'give up after this long').argParser(count)
const removeOption = (): Option => new Option('--remove', 'end it instead')

const specs: Spec[] = [
  {
    name: 'up',
    user: 'up',
    summary: 'run a node in the foreground',
    more: 'SIGTERM or SIGINT stops it in order; a second one at once.',
    examples: [
      'warren up',
      'warren up --bootstrap /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…',
      'warren up --expose web=127.0.0.1:8080,allow=all',
      'warren up --forward 8080=12D3KooW…/web',
      'WARREN_API=0.0.0.0:4080 WARREN_API_TOKEN=… warren up --json',
    ],
    load: async () => (await import('./commands/up.ts')).up,
  },
  {
    name: 'status',
    user: 'client',
    summary: 'what this node is: addresses, reachability, NAT, relays, links, conditions',
    examples: ['warren status', 'warren status --json | jq .reachability'],
    load: async () => (await import('./commands/show.ts')).status,
  },
  {
    name: 'peers',
    user: 'client',
    summary: 'who is linked, over which path, and who is known',
    examples: ['warren peers', "warren peers --json | jq -r '.[].peer'"],
    load: async () => (await import('./commands/show.ts')).peers,
  },
  {
    name: 'connect',
    args: [peerArgument()],
    user: 'client',
    own: [new Option('--direct', 'fail rather than settle for a relay'), timeoutOption()],
    summary: 'link to a peer by id or multiaddr',
    examples: [
      `warren connect ${EXAMPLE_PEER}`,
      `warren connect ${EXAMPLE_PEER} --direct --timeout 10000`,
    ],
    load: async () => (await import('./commands/reach.ts')).connect,
  },
  {
    name: 'ping',
    args: [peerArgument()],
    user: 'client',
    own: [
      new Option('--count <n>', 'round trips').default(4).argParser(count),
      new Option('--interval <ms>', 'pause between them').default(1000).argParser(count),
      timeoutOption(),
    ],
    summary: 'round trips, naming the path of each, and when it changes',
    examples: [
      `warren ping ${EXAMPLE_PEER}`,
      `warren ping ${EXAMPLE_PEER} --count 100 --interval 200`,
    ],
    load: async () => (await import('./commands/reach.ts')).ping,
  },
  {
    name: 'explain',
    args: [peerArgument()],
    user: 'client',
    summary: 'why the path to a peer is what it is, and what comes next',
    examples: [
      `warren explain ${EXAMPLE_PEER}`,
      `warren explain ${EXAMPLE_PEER} --json | jq .prediction`,
    ],
    load: async () => (await import('./commands/show.ts')).explain,
  },
  {
    name: 'expose',
    args: [
      new Argument('<name>', 'name of the service'),
      new Argument('[target]', 'HOST:PORT it leads to'),
    ],
    user: 'client',
    own: [new Option('--allow <peer...>', 'peers that may use it, or all'), removeOption()],
    summary: 'share a TCP service with chosen peers',
    more: 'It lasts until the node stops; `warren up --expose` and the configuration file make it last.',
    examples: [
      'warren expose web 127.0.0.1:8080 --allow all',
      `warren expose db 127.0.0.1:5432 --allow ${EXAMPLE_PEER}`,
      'warren expose web --remove',
    ],
    load: async () => (await import('./commands/share.ts')).expose,
  },
  {
    name: 'forward',
    args: [
      new Argument('<listen>', '[HOST:]PORT to listen on'),
      new Argument('[remote]', 'PEER/NAME it leads to'),
    ],
    user: 'client',
    own: [removeOption()],
    summary: 'use a service of a peer on a local port',
    more: 'It lasts until the node stops; `warren up --forward` and the configuration file make it last.',
    examples: [`warren forward 8080 ${EXAMPLE_PEER}/web`, 'warren forward 127.0.0.1:8080 --remove'],
    load: async () => (await import('./commands/share.ts')).forward,
  },
  {
    name: 'services',
    user: 'client',
    summary: 'services known in the overlay, and those this node shares and uses',
    examples: ['warren services'],
    load: async () => (await import('./commands/show.ts')).services,
  },
  {
    name: 'doctor',
    user: 'doctor',
    own: [
      new Option('--wait <seconds>', 'answer by then, with what is known')
        .default(20)
        .argParser(seconds),
    ],
    summary: 'what this network lets a node do, with remedies',
    more: [
      'It examines the node that runs here, as it runs.',
      'Where none runs it starts one for the examination, with the options below, and stops it again; identity and peer book of the data directory stay untouched.',
      'What a NAT does only members can tell: name one with --bootstrap.',
      'What it waits for is told on stderr.',
      'Exits with 0; with 1 when it finds a problem or is interrupted; with 2 for wrong use.',
    ].join('\n'),
    examples: [
      'warren doctor',
      'warren doctor --bootstrap /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…',
      'warren doctor --json | jq \'.[] | select(.result == "problem")\'',
    ],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'events',
    user: 'client',
    summary: 'follow the event stream',
    examples: ['warren events', 'warren events --json | jq -c \'select(.type == "peer:linked")\''],
    load: async () => (await import('./commands/show.ts')).events,
  },
  {
    name: 'id',
    user: 'id',
    summary: "this node's peer id; creates the identity if there is none",
    examples: ['warren id', 'warren id --data-dir /var/lib/warren'],
    load: async () => (await import('./commands/id.ts')).id,
  },
]

/** Builds the command line; `done` is told the exit code of the command that ran. */
export function createProgram(done: (code: number) => void): Command {
  const program = new Command('warren')
    .description(
      'A node of a libp2p overlay network: peers find each other and connect directly, through NATs.',
    )
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help for what can be written)')
    .addHelpText('after', examples(['warren up', 'warren status', `warren ping ${EXAMPLE_PEER}`]))
  for (const spec of specs) program.addCommand(declare(program, spec, done))
  return program
}

function declare(program: Command, spec: Spec, done: (code: number) => void): Command {
  const command = new Command(spec.name)
    .copyInheritedSettings(program)
    .summary(spec.summary)
    .description(sentence(spec.summary) + (spec.more === undefined ? '' : `\n${spec.more}`))
    .addHelpText('after', examples(spec.examples))
  for (const argument of spec.args ?? []) command.addArgument(argument)
  for (const option of spec.own ?? []) command.addOption(option)
  const shared = optionsOf(spec.user).map(toOption)
  for (const { option } of shared) command.addOption(option)
  return command.action(async () => {
    const values: Record<string, unknown> = command.opts()
    const flags = Object.fromEntries(
      shared.map(({ name, option }) => [name, values[option.attributeName()]]),
    )
    const run = await spec.load()
    done(await run({ args: command.args, flags, own: values }))
  })
}

function toOption(row: ReturnType<typeof optionsOf>[number]): { name: string; option: Option } {
  const value =
    row.placeholder === undefined ? '' : ` <${row.placeholder}${row.repeatable ? '...' : ''}>`
  const fallback = row.default === undefined ? '' : `; default: ${row.default}`
  return {
    name: row.name,
    option: new Option(`--${row.name}${value}`, `${row.doc} (${envName(row.name)}${fallback})`),
  }
}

const examples = (lines: string[]): string =>
  `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`
const sentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`

/** Routers and peers have answered, or will not, well before. */
const MAX_WAIT_S = 300

function seconds(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > MAX_WAIT_S)
    throw new InvalidArgumentError(`It is a whole number from 0 to ${MAX_WAIT_S}.`)
  return value
}

function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > MAX_NUMBER)
    throw new InvalidArgumentError(`It is a whole number from 1 to ${MAX_NUMBER}.`)
  return value
}
