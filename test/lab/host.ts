/** A machine of the laboratory: a network namespace in which programs run. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import { attempt, ENVIRONMENT, run, type Output } from './command.ts'

/** Bytes that passed a machine's device. */
export interface Counters {
  rxBytes: number
  txBytes: number
}

/** Lines of stderr kept of a program, for the report when it fails. */
const STDERR_LINES = 200

/** A program that runs on a host. */
export class Program {
  readonly child: ChildProcess
  /** Its stdout, line by line. */
  readonly lines: Interface
  /** The last lines of its stderr. */
  readonly errors: string[] = []
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>

  constructor(child: ChildProcess) {
    this.child = child
    if (child.stdout === null || child.stderr === null) throw new Error('a program needs pipes')
    this.lines = createInterface({ input: child.stdout })
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.errors.push(line)
      if (this.errors.length > STDERR_LINES) this.errors.shift()
    })
    child.stdin?.on('error', () => {})
    this.exited = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', (code, signal) => resolve({ code, signal }))
    })
    // Whoever waits sees the rejection; nobody has to.
    this.exited.catch(() => {})
  }

  get running(): boolean {
    return (
      this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined
    )
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.running) this.child.kill(signal)
    await this.exited
  }
}

/** What a host and a router have in common. */
export class Machine implements Place {
  readonly name: string
  readonly netns: string
  /** The device by which it reaches the internet. */
  readonly uplink = 'wan'

  constructor(name: string, netns: string) {
    this.name = name
    this.netns = netns
  }

  /** The command line that runs a program inside; `ip` replaces itself by it, so signals reach the program. */
  argv(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.netns, ...argv]
  }

  /** Runs a program to its end. */
  exec(
    argv: readonly string[],
    options: { input?: string; deadlineMs?: number } = {},
  ): Promise<Output> {
    return attempt(this.argv(argv), options)
  }

  /** Starts a program, in a session of its own so that the laboratory decides about its end. */
  spawn(argv: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): Program {
    const [program = '', ...rest] = this.argv(argv)
    const env = { ...ENVIRONMENT, ...options.env }
    return new Program(
      spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env }),
    )
  }

  /** Bytes that passed its device towards the internet, or another of its devices. */
  async counters(device = this.uplink): Promise<Counters> {
    const listing = JSON.parse(
      await run(['ip', '-n', this.netns, '-j', '-s', 'link', 'show', device]),
    ) as {
      stats64: { rx: { bytes: number }; tx: { bytes: number } }
    }[]
    const stats = listing[0]?.stats64
    if (stats === undefined) throw new Error(`${this.name} has no device ${device}`)
    return { rxBytes: stats.rx.bytes, txBytes: stats.tx.bytes }
  }
}

/** Where programs run: a host of the laboratory, or this machine itself. */
export interface Place {
  readonly name: string
  exec(argv: readonly string[], options?: { input?: string; deadlineMs?: number }): Promise<Output>
  spawn(argv: readonly string[], options?: { env?: NodeJS.ProcessEnv }): Program
}

/** Where a host is. */
export interface HostPlace {
  /** Its own address. */
  address: string
  /** The router in front of it, if any. */
  router: Router | null
  /** Its IPv6 address, if it has one. */
  ipv6Address: string | null
  /** The port on which its node listens. */
  listenPort: number
}

/** A machine that runs nodes. */
export class Host extends Machine implements HostPlace {
  readonly address: string
  readonly router: Router | null
  readonly ipv6Address: string | null
  readonly listenPort: number

  constructor(name: string, netns: string, place: HostPlace) {
    super(name, netns)
    this.address = place.address
    this.router = place.router
    this.ipv6Address = place.ipv6Address
    this.listenPort = place.listenPort
  }

  /** The address under which the internet sees it. */
  get externalAddress(): string {
    if (this.router === null || this.address.includes(':')) return this.address
    return this.router.externalAddress
  }
}

/** A router that translates or filters. */
export class Router extends Machine {
  readonly address: string
  /** The router in front of this one, if any. */
  readonly outer: Router | null

  constructor(name: string, netns: string, address: string, outer: Router | null) {
    super(name, netns)
    this.address = address
    this.outer = outer
  }

  get externalAddress(): string {
    return this.outer?.externalAddress ?? this.address
  }

  /** The router of this chain that is on the internet. */
  get outermost(): Router {
    return this.outer?.outermost ?? this
  }

  /** Forgets every mapping, as a reboot would; routers in front of it too. */
  async forget(): Promise<void> {
    await run(this.argv(['conntrack', '--flush']))
    const { stdout } = await this.exec(['nft', 'list', 'tables'])
    if (stdout.includes('table ip nat')) {
      await run(this.argv(['nft', '-f', '-']), {
        input: 'flush map ip nat inside\nflush set ip nat contacted\n',
      })
    }
    await this.outer?.forget()
  }
}
