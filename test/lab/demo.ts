/** `npm run demo`: what Warren does, told in under a minute with real nodes. */
import { Command } from 'commander'
import type { Path } from '../../src/types.ts'
import { LabNode } from './node.ts'
import { requirements } from './requirements.ts'
import { labStage, loopbackStage, type DemoStage, type Spot } from './stage.ts'
import { exposing, GREETING, SERVICE, startWeb } from './world.ts'

/** No step of the story takes longer when all is well. */
const STEP_MS = 20_000

const startedMs = performance.now()
const paint = (code: number, text: string) =>
  process.stdout.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text
const bold = (text: string) => paint(1, text)
const dim = (text: string) => paint(2, text)
const green = (text: string) => paint(32, text)

/** One line of the story, with the time since it began. */
function tell(text: string): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)
  console.log(`${dim(`${seconds} s`)}  ${text}`)
}

const inWords = (path: Path): string =>
  path.kind === 'direct'
    ? `direct, to ${path.address}`
    : `relayed, through a public member that sees only ciphertext`

async function start(stage: DemoStage, spot: Spot, args: readonly string[]): Promise<LabNode> {
  const { name } = spot.place
  const node = await LabNode.start(spot.place, {
    name,
    folder: stage.folder,
    args: [...spot.args, ...args],
  })
  await node.ready()
  return node
}

async function startPublic(stage: DemoStage): Promise<{ nodes: LabNode[]; join: string[] }> {
  const [first, second] = stage.public
  const alpha = await start(stage, first, [])
  const join = first.join(await alpha.peerId())
  const beta = await start(stage, second, join)
  tell(`${bold('alpha')} and ${bold('beta')} are up: ordinary members that happen to be reachable`)
  return { nodes: [alpha, beta], join }
}

async function startHidden(
  stage: DemoStage,
  join: string[],
  port: number,
): Promise<readonly [LabNode, LabNode]> {
  const [ada, bob] = await Promise.all([
    start(stage, stage.hidden[0], join),
    start(stage, stage.hidden[1], [...join, ...exposing(port)]),
  ])
  tell(`${stage.words}; both know only alpha`)
  return [ada, bob]
}

/** Ada learns of Bob from another member. */
async function meet(ada: LabNode, peer: string): Promise<void> {
  const { event } = await ada.waitFor('peer:found', (found) => found.peer === peer, STEP_MS)
  tell(`ada has heard of bob by peer exchange, from ${event.from}`)
}

async function connect(ada: LabNode, peer: string): Promise<void> {
  const calledMs = performance.now()
  const { path } = await ada.connect(peer, 'direct', STEP_MS)
  const directMs = performance.now() - calledMs
  const relayed = ada.find(
    'peer:linked',
    (event) => event.peer === peer && event.path.kind === 'relayed',
    calledMs,
  )
  if (relayed !== undefined) {
    tell(
      `ada connects: after ${(relayed.atMs - calledMs).toFixed(0)} ms ${inWords(relayed.event.path)}`,
    )
  }
  tell(`after ${directMs.toFixed(0)} ms ${green(inWords(path))}`)
}

async function curl(ada: LabNode, forward: string): Promise<void> {
  const { code, stdout, stderr } = await ada.host.exec([
    'curl',
    '-sS',
    '--max-time',
    '10',
    `http://${forward}/`,
  ])
  if (code !== 0 || stdout.trim() !== GREETING)
    throw new Error(`curl ended with ${code}: ${stderr.trim()}`)
  tell(`ada$ curl http://${forward}/   ${green(stdout.trim())}`)
}

async function ping(ada: LabNode, peer: string): Promise<void> {
  const { rttMs, path } = await ada.ping(peer)
  tell(`ada pings bob: ${rttMs.toFixed(0)} ms, ${path.kind}`)
}

async function story(stage: DemoStage): Promise<void> {
  const { nodes, join } = await startPublic(stage)
  const web = await startWeb(stage.hidden[1].place, 0)
  const [ada, bob] = await startHidden(stage, join, web.port)
  const peer = await bob.peerId()
  await meet(ada, peer)
  await connect(ada, peer)
  const forward = await ada.forward(peer, SERVICE)
  tell(`bob shares a web server of his; ada reaches it at ${forward} on her own machine`)
  await curl(ada, forward)
  await Promise.all(nodes.map((node) => node.kill()))
  tell(
    `${bold('every public member is killed')} (SIGKILL): nobody is left to ask, nothing is left to relay`,
  )
  await ping(ada, peer)
  await curl(ada, forward)
  await Promise.all([ada.stop(), bob.stop()])
}

async function main(): Promise<void> {
  new Command('demo')
    .description(
      'Two machines behind NATs meet, go direct, and outlive every bootstrap. Takes under a minute.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  npm run demo\n  sudo npm run demo   with real NATs, in network namespaces',
    )
    .parse()
  const missing = await requirements()
  if (missing.length === 0) tell('building an internet of 50 ms round trips, with kernel NATs')
  else {
    for (const sentence of missing) tell(sentence)
    tell('so this plays on loopback: it shows discovery, services and life without bootstraps,')
    tell('but no NAT, no relayed path and no hole punching')
  }
  await using stage = await (missing.length === 0 ? labStage() : loopbackStage())
  await story(stage)
  tell('the overlay is whole. Cleaning up')
}

await main().catch((error: unknown) => {
  tell(`the story breaks off: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
})
