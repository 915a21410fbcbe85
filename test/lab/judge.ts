/** An independent judge of routers: coturn's RFC 5780 server and client, which speak of UDP. */
import type { Host, Program } from './host.ts'
import type { Lab } from './lab.ts'
import { run } from './command.ts'

/** What the judge says of a router, in RFC 4787 words. */
export interface Judgement {
  mapping: string
  filtering: string
}

/** Its client waits three seconds for each of two answers that a strict router drops. */
const JUDGE_MS = 20_000

const PORT = 3478

/** A running STUN server with two addresses of each family. */
export class Judge {
  readonly #host: Host
  readonly #server: Program

  private constructor(host: Host, server: Program) {
    this.#host = host
    this.#server = server
  }

  static async start(lab: Lab): Promise<Judge> {
    const host = await lab.publicHost('judge')
    const second = lab.freshAddress()
    const addresses = [host.address, second]
    await run(host.argv(['ip', 'address', 'add', `${second}/32`, 'dev', 'wan']))
    if (host.ipv6Address !== null) {
      const sixth = host.ipv6Address.replace(/::1$/, '::2')
      await run(host.argv(['ip', 'address', 'add', `${sixth}/128`, 'dev', 'wan', 'nodad']))
      addresses.push(host.ipv6Address, sixth)
    }
    const server = host.spawn([
      'turnserver',
      '-n', // no configuration file
      '--stun-only',
      '--no-tls',
      '--no-dtls',
      '--no-cli',
      '--log-file=stdout',
      `--pidfile=${lab.folder}/turnserver.pid`,
      `--userdb=${lab.folder}/turndb`,
      `--listening-port=${PORT}`,
      ...addresses.map((address) => `--listening-ip=${address}`),
    ])
    await lineWith(server, 'Total General servers')
    return new Judge(host, server)
  }

  /** Judges the router in front of a host. */
  async of(host: Host): Promise<Judgement> {
    const server = host.address.includes(':') ? (this.#host.ipv6Address ?? '') : this.#host.address
    const argv = ['turnutils_natdiscovery', '-m', '-f', '-p', String(PORT), server]
    const { stdout, stderr } = await host.exec(argv, { deadlineMs: JUDGE_MS })
    const said = (what: string): string =>
      new RegExp(`NAT with (.*) ${what}!`).exec(stdout)?.[1]?.toLowerCase() ?? `nothing: ${stderr}`
    return { mapping: inOurWords(said('Mapping')), filtering: inOurWords(said('Filtering')) }
  }

  async stop(): Promise<void> {
    await this.#server.kill()
  }
}

const inOurWords = (text: string): string => text.trim().replaceAll(' ', '-')

/** Waits until the program says so; rejects when it ends before. */
async function lineWith(program: Program, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  program.lines.on('line', (line: string) => {
    if (line.includes(text)) resolve()
  })
  void program.exited.then(() => reject(new Error(`turnserver: ${program.errors.join('\n')}`)))
  await promise
}
