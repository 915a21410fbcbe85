/** What a relay costs its host: how many reservations it holds, in how much memory, and how it takes a storm of requests. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import * as wire from '../../protocols/relaying/wire.ts'
import { SIGNAL_PROTOCOL } from '../../protocols/signalling/limits.ts'
import { WarrenClient } from '../../src/client/index.ts'
import { RELAY_PROTOCOL } from '../../src/drivers/relay-service.ts'
import { frames } from '../../src/net/frames.ts'

export interface RelayBenchOptions {
  /** Clients that hold a reservation each. */
  reservations?: number
  /** More than this is a failure, in MB of 1,000,000 bytes. */
  limitMb?: number
  /** How long the relay is left alone before its memory is read: V8 may give garbage back. */
  settleSeconds?: number
  /** The program to start. Default: the built one if there is one; reading TypeScript takes 15 MB and more. */
  main?: string
  /** Start the relay without the flags that the npm scripts, the installed command and the image give it. */
  plain?: boolean
  say: (text: string) => void
}

export interface RelayBenchResult {
  reservations: number
  /** Resident memory of the relay's process, in MB: started; full, at rest and at most; and in the storm. */
  idleMb: number
  fullMb: number
  peakMb: number
  stormMb: number
  kbPerReservation: number
  /** From the first dial to the last grant. */
  heldAfterMs: number
  /** Requests sent at once by all clients, how they were answered, and when the last one was. */
  storm: { requests: number; granted: number; refused: number; reset: number; ms: number }
  ok: boolean
}

const SOURCES = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const BUILT = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
/**
 * As npm scripts, the installed command and docker/Dockerfile start it. By default V8 lets 67 MB of garbage gather before it looks at new objects at all,
 * which is more than what 512 reservations need.
 */
const FLAGS = ['--max-semi-space-size=8']
const LIMIT_MB = 256
const SETTLE_SECONDS = 10
/** A node that has just started, alone. */
const STARTED_SECONDS = 5
/** Clients that connect at the same time: handshakes of both sides share the cores. */
const AT_ONCE = 16
/** Renewals of each client in the storm. */
const STORM_EACH = 2
const LISTEN = '/ip4/127.0.0.1/tcp/0'
const PATIENCE = { timeoutMs: 60_000 }
/** RESERVE is 0, which protobuf leaves out and circuit relay v2 demands. */
const RESERVE = Uint8Array.from([0x08, 0x00])

/** Fills a relay with reservations and reads what its process occupies. */
export async function relay(options: RelayBenchOptions): Promise<RelayBenchResult> {
  const { reservations = SERVING_LIMITS.maxReservations, limitMb = LIMIT_MB } = options
  const { settleSeconds = SETTLE_SECONDS, say } = options
  const folder = await mkdtemp(join(tmpdir(), 'warren-bench-'))
  const main = options.main ?? (existsSync(BUILT) ? BUILT : SOURCES)
  const argv = [...(options.plain === true ? [] : FLAGS), main]
  say(`the relay is ${argv.join(' ')}`)
  const running = await startRelay(folder, argv)
  const clients: Client[] = []
  try {
    await after(STARTED_SECONDS * 1_000)
    const idle = await memoryOf(running.child)
    say(`the relay has started: ${mb(idle.now)}`)

    const began = performance.now()
    await fill(clients, reservations, running.address).catch(async (err: unknown) => {
      const { budgets } = (await running.api.status()).serving
      say(`after ${clients.length} clients: ${JSON.stringify(budgets)}`)
      throw err
    })
    const heldAfterMs = performance.now() - began
    const held = (await running.api.status()).serving.reservations
    say(`${held} reservations held after ${(heldAfterMs / 1_000).toFixed(1)} s`)

    await after(settleSeconds * 1_000)
    const full = await memoryOf(running.child)
    const each = (full.now - idle.now) / held
    say(`memory at rest: ${mb(full.now)}; at most, while they came: ${mb(full.peak)}`)
    say(`each reservation: ${(each / 1_000).toFixed(0)} kB, its connection included`)

    const storm = await stormOf(clients)
    say(
      `${storm.requests} requests at once: ${storm.granted} granted, ${storm.refused} refused, ` +
        `${storm.reset} reset, the last after ${storm.ms.toFixed(0)} ms`,
    )
    const { peak: storming } = await memoryOf(running.child)
    const still = (await running.api.status()).serving.reservations
    say(`then ${still} reservations, ${mb(storming)} at most`)
    return {
      reservations: still,
      idleMb: idle.now / 1e6,
      fullMb: full.now / 1e6,
      peakMb: full.peak / 1e6,
      stormMb: storming / 1e6,
      kbPerReservation: each / 1_000,
      heldAfterMs,
      storm,
      ok: still === reservations && full.peak <= limitMb * 1e6,
    }
  } finally {
    await Promise.all(clients.map(async ({ libp2p }) => libp2p.stop()))
    const ended = once(running.child, 'exit')
    running.child.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
}

interface Running {
  child: ChildProcess
  address: string
  api: WarrenClient
}

/** The real command line, in a process of its own. */
async function startRelay(folder: string, program: readonly string[]): Promise<Running> {
  const socket = join(folder, 'api.sock')
  const place = ['--data-dir', folder, '--api', `unix:${socket}`, '--listen', LISTEN]
  const argv = ['up', '--json', '--relay', 'on', ...place]
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_'))
  const child = spawn(process.execPath, [...program, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: Object.fromEntries(own),
  })
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the relay ended at once')))
  await Promise.race([once(lines, 'line'), ended]) // node:ready
  lines.resume() // whoever reads its output must go on reading
  const api = new WarrenClient({ api: `unix:${socket}` })
  const [address] = (await api.status()).listening
  if (address === undefined) throw new Error('the relay listens nowhere')
  return { child, address, api }
}

interface Client {
  libp2p: Libp2p
  connection: Connection
}

/** What a hidden member has with its relay: a connection, a reservation, and a stream for signals. */
async function fill(clients: Client[], reservations: number, address: string): Promise<void> {
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun < reservations) {
      const libp2p = await makePeer(begun++)
      const connection = await libp2p.dial(multiaddr(address))
      clients.push({ libp2p, connection })
      const status = await reserve(connection)
      if (status !== wire.STATUS_OK) throw new Error(`a reservation was refused with ${status}`)
      await connection.newStream(SIGNAL_PROTOCOL)
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, reservations) }, worker))
}

/** Sixteen to an address, as a relay allows: all of 127/8 is this host. */
async function makePeer(number: number): Promise<Libp2p> {
  const place = Math.floor(number / 8)
  const from = `127.0.${1 + (place >> 8)}.${1 + (place & 255)}`
  return await createLibp2p({
    transports: [tcp({ dialOpts: { localAddress: from } as object })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify() },
  })
}

/** Asks for a reservation; returns the status of the answer. */
async function reserve(connection: Connection): Promise<number | undefined> {
  const stream = await connection.newStream(RELAY_PROTOCOL)
  const hop = frames(stream, { maxBytes: wire.MAX_FRAME })
  await hop.write(RESERVE, PATIENCE)
  const answer = wire.readHopAnswer(await hop.read(PATIENCE))
  await stream.close()
  return answer?.status
}

/** As after a restart of the relay, and worse: everybody asks at the same moment, twice. */
async function stormOf(clients: Client[]): Promise<RelayBenchResult['storm']> {
  const began = performance.now()
  const statuses = await Promise.all(
    clients.flatMap(({ connection }) =>
      Array.from({ length: STORM_EACH }, () => reserve(connection).catch(() => undefined)),
    ),
  )
  const granted = statuses.filter((status) => status === wire.STATUS_OK).length
  const reset = statuses.filter((status) => status === undefined).length
  const requests = statuses.length
  const ms = performance.now() - began
  return { requests, granted, refused: requests - granted - reset, reset, ms }
}

/** Resident memory now and at most, in bytes. */
async function memoryOf({ pid }: ChildProcess): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') }
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
