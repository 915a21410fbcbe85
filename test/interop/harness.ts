/**
 * `node test/interop/harness.ts`: plays libp2p's two hole punching harnesses in namespaces, with a redis server of
 * Debian's and the programs under docker/interop; the relay is ours, or go-libp2p's.
 */
import { fileURLToPath } from 'node:url'
import type { Machine, Program } from '../lab/host.ts'
import { table } from '../lab/report.ts'
import type { Maker } from './cells.ts'
import { GoPeer } from './go-peer.ts'
import {
  harnessNetwork,
  usedConnections,
  type HarnessEnd,
  type HarnessNetwork,
  type RouterImage,
} from './harness-network.ts'
import { harnessRequirements } from './requirements.ts'
import { readResult } from './harness-result.ts'

const say = (text: string) => process.stderr.write(`${text}\n`)

const FOLDER = fileURLToPath(new URL('../../docker/interop/', import.meta.url))
/** What the image runs: its entrypoint sets the routes that a harness asks for. */
const argvOf = (program: string) => [
  'sh',
  `${FOLDER}entrypoint.sh`,
  process.execPath,
  `${FOLDER}${program}.ts`,
]

const REDIS_PORT = 6379
const RTT_MS = 50
/** The stricter of the two harnesses allows this for a whole run. */
const RUN_MS = 60_000
const START_MS = 20_000
/** A ping over the relay takes two round trips on the WAN, a direct one takes one. */
const MOST_DIRECT_MS = 1.6 * RTT_MS

/** Waits for a line on stdout or stderr. */
async function lineWith(program: Program, text: string, deadlineMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const heard = (line: string) => (line.includes(text) ? resolve() : undefined)
  const late = setTimeout(() => reject(new Error(`no "${text}" in ${deadlineMs} ms`)), deadlineMs)
  program.lines.on('line', heard)
  void program.exited.then(({ code }) =>
    reject(new Error(`ended with ${code} before "${text}"\n${program.errors.join('\n')}`)),
  )
  await promise.finally(() => {
    clearTimeout(late)
    program.lines.off('line', heard)
  })
}

async function startRedis(network: HarnessNetwork): Promise<void> {
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--dir', network.folder]
  const open = ['--port', String(REDIS_PORT), '--bind', '0.0.0.0', '--protected-mode', 'no']
  const redis = network.redis.spawn(['redis-server', ...open, ...memoryOnly])
  await lineWith(redis, 'Ready to accept connections', START_MS)
}

/** The relay publishes its address itself; go-libp2p's knows no redis, so we do it. */
async function startRelay(
  network: HarnessNetwork,
  image: RouterImage,
  maker: Maker,
): Promise<Program> {
  if (maker === 'warren') {
    const env = relayEnvironment(network, image)
    return network.relay.spawn(argvOf('hole-punch-relay'), { env })
  }
  const relay = await GoPeer.start(network.relay, ['relay', '-private'])
  const address = `/ip4/${network.relayIp}/tcp/4001/p2p/${await relay.peerId()}`
  const command =
    image === 'unified'
      ? ['SET', `${network.testKey}_relay_multiaddr`, address]
      : ['RPUSH', 'RELAY_TCP_ADDRESS', address, address]
  const { code, stderr } = await network.redis.exec(['redis-cli', ...command])
  if (code !== 0) throw new Error(`redis-cli ended with ${code}: ${stderr}`)
  return relay.program
}

/** What the relay's image gets to know, in each harness. */
function relayEnvironment(network: HarnessNetwork, image: RouterImage): NodeJS.ProcessEnv {
  const redis = { REDIS_ADDR: `${network.redisIp}:${REDIS_PORT}` }
  if (image === 'test-plans') return redis
  return {
    ...redis,
    TEST_KEY: network.testKey,
    TRANSPORT: 'tcp',
    RELAY_IP: network.relayIp,
    DIALER_LAN_SUBNET: network.dialer.lanSubnet,
    DIALER_ROUTER_IP: network.dialer.wanIp,
    LISTENER_LAN_SUBNET: network.listener.lanSubnet,
    LISTENER_ROUTER_IP: network.listener.wanIp,
  }
}

/** What the image of a peer gets to know, in each harness. */
function peerEnvironment(
  network: HarnessNetwork,
  image: RouterImage,
  role: 'dial' | 'listen',
): NodeJS.ProcessEnv {
  const common = { REDIS_ADDR: `${network.redisIp}:${REDIS_PORT}`, TRANSPORT: 'tcp' }
  if (image === 'test-plans') return { ...common, MODE: role }
  const end = role === 'dial' ? network.dialer : network.listener
  return {
    ...common,
    IS_DIALER: String(role === 'dial'),
    TEST_KEY: network.testKey,
    SECURE_CHANNEL: 'noise',
    MUXER: 'yamux',
    [role === 'dial' ? 'DIALER_IP' : 'LISTENER_IP']: end.lanIp,
    WAN_SUBNET: network.wanSubnet,
    WAN_ROUTER_IP: end.routerLanIp,
    DEBUG: 'false',
  }
}

async function startPeer(
  network: HarnessNetwork,
  image: RouterImage,
  role: 'dial' | 'listen',
): Promise<Program> {
  const end = role === 'dial' ? network.dialer : network.listener
  if (image === 'test-plans') await addRoute(end, network.wanSubnet)
  return end.peer.spawn(argvOf('hole-punch-client'), { env: peerEnvironment(network, image, role) })
}

/** The older harness does by a script of its own what the newer one leaves to the image. */
async function addRoute({ peer, routerLanIp }: HarnessEnd, subnet: string): Promise<void> {
  await peer.exec(['ip', 'route', 'add', subnet, 'via', routerLanIp, 'dev', 'lan0'])
}

/** What one run came to. */
interface Outcome {
  rttMs: number
  seconds: number
}

async function playHarness(image: RouterImage, maker: Maker): Promise<Outcome> {
  await using network = await harnessNetwork(`${image} ${maker}`, image, RTT_MS)
  await startRedis(network)
  const began = performance.now()
  const relay = await startRelay(network, image, maker)
  const listener = await startPeer(network, image, 'listen')
  const dialer = await startPeer(network, image, 'dial')
  const stdout: string[] = []
  dialer.lines.on('line', (line) => stdout.push(line))
  const late = setTimeout(() => dialer.child.kill('SIGKILL'), RUN_MS)
  const { code, signal } = await dialer.exited
  clearTimeout(late)
  try {
    if (code !== 0) throw new Error(`the dialer ended with ${signal ?? code}`)
    const { rttMs } = readResult(image, stdout)
    if (rttMs > MOST_DIRECT_MS) throw new Error(`a round trip of ${rttMs} ms is not a direct one`)
    await mustBeDirect(network)
    return { rttMs, seconds: (performance.now() - began) / 1000 }
  } catch (error) {
    const words = Object.entries({ dialer, listener, relay }).map(
      ([name, { errors }]) => `  ${name}:\n    ${errors.slice(-25).join('\n    ')}`,
    )
    throw new Error(`${(error as Error).message}\n${words.join('\n')}`, { cause: error })
  }
}

/** The routers have seen a TCP connection from router to router that carried data both ways. */
async function mustBeDirect({ dialer, listener }: HarnessNetwork): Promise<void> {
  const ways: [Machine, string, string][] = [
    [dialer.router, dialer.lanIp, listener.wanIp],
    [listener.router, listener.lanIp, dialer.wanIp],
  ]
  for (const [router, from, to] of ways) {
    if ((await usedConnections(router, from, to)) === '')
      throw new Error(`${router.name} knows no connection from ${from} to ${to}`)
  }
}

async function main(): Promise<boolean> {
  const missing = await harnessRequirements()
  for (const sentence of missing) say(sentence)
  if (missing.length > 0) return false
  const rows = [['harness', 'relay', 'result', 'rtt ms', 'seconds']]
  for (const image of ['test-plans', 'unified'] as const) {
    for (const maker of ['warren', 'go'] as const) {
      const row = await playHarness(image, maker).then(
        ({ rttMs, seconds }) => ['direct', rttMs.toFixed(1), seconds.toFixed(1)],
        (error: unknown) => {
          say(`${image}, ${maker} relay: ${(error as Error).message}`)
          return ['FAILED', '-', '-']
        },
      )
      rows.push([image, maker, ...row])
    }
  }
  process.stdout.write(`${table(rows)}\n`)
  return rows.every((row) => row[2] !== 'FAILED')
}

const good = await main().catch((error: unknown) => {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return false
})
process.exitCode = good ? 0 : 1
