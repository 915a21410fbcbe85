/** Where the demo plays: the laboratory, or, without root, this machine's loopback. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attempt, type Output } from './command.ts'
import { Program, type Place } from './host.ts'
import { Lab } from './lab.ts'
import { joinThrough } from './world.ts'

/** A place for a node, and how that node is started there. */
export interface Spot {
  place: Place
  /** Options of `warren up` that this place needs. */
  args: string[]
  /** Options of `warren up` that join through the node here. */
  join: (peerId: string) => string[]
}

export interface DemoStage extends AsyncDisposable {
  folder: string
  /** Two public members. */
  public: readonly [Spot, Spot]
  /** Two members that hide, where there is something to hide behind. */
  hidden: readonly [Spot, Spot]
  /** Where those two are, for people. */
  words: string
}

/** Two public hosts and two hidden ones, 50 ms apart. */
export async function labStage(): Promise<DemoStage> {
  const lab = await Lab.create({ rttMs: 50 })
  const publicSpot = async (name: string): Promise<Spot> => {
    const host = await lab.publicHost(name)
    return { place: host, args: [], join: (peerId) => joinThrough(host, peerId) }
  }
  const hiddenSpot = async (name: string, kind: 'port' | 'cgn'): Promise<Spot> => ({
    place: await lab.natHost(name, kind),
    args: [],
    join: () => [],
  })
  return {
    folder: lab.folder,
    public: [await publicSpot('alpha'), await publicSpot('beta')],
    hidden: [await hiddenSpot('ada', 'port'), await hiddenSpot('bob', 'cgn')],
    words: "ada is up behind a home router, bob behind a home router and his provider's NAT",
    [Symbol.asyncDispose]: () => lab.close(),
  }
}

/** Programs on this machine, in the demo's own process group, so that Ctrl-C ends them too. */
class Here implements Place {
  readonly name: string
  readonly #programs: Set<Program>

  constructor(name: string, programs: Set<Program>) {
    this.name = name
    this.#programs = programs
  }

  exec(
    argv: readonly string[],
    options: { input?: string; deadlineMs?: number } = {},
  ): Promise<Output> {
    return attempt(argv, options)
  }

  spawn([command = '', ...rest]: readonly string[]): Program {
    const program = new Program(spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] }))
    this.#programs.add(program)
    return program
  }
}

/** A port that nobody uses at this moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** The same story on loopback: no NATs, no delay. */
export async function loopbackStage(): Promise<DemoStage> {
  const programs = new Set<Program>()
  const folder = await mkdtemp(join(tmpdir(), 'warren-demo-'))
  const close = async () => {
    await Promise.all([...programs].map((program) => program.kill()))
    await rm(folder, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void close().finally(() => process.exit(130)))
  }
  const spot = async (name: string): Promise<Spot> => {
    const address = `/ip4/127.0.0.1/tcp/${await freePort()}`
    return {
      place: new Here(name, programs),
      // A node does not announce loopback unless it is told to.
      args: ['--listen', address, '--announce', address, '--relay', 'on'],
      join: (peerId) => ['--bootstrap', `${address}/p2p/${peerId}`],
    }
  }
  return {
    folder,
    public: [await spot('alpha'), await spot('beta')],
    hidden: [await spot('ada'), await spot('bob')],
    words: 'ada and bob are up on this machine',
    [Symbol.asyncDispose]: close,
  }
}
