/** The programs under `examples/`, run as their READMEs say, by two people behind two NATs. */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Host, Program } from './host.ts'
import { Lab } from './lab.ts'
import { LabNode } from './node.ts'
import type { Note } from './scenarios.ts'
import { hostsOf, joinThrough } from './world.ts'

/** From the start of a program to any line it is waited for: a start, a relay, a punch. */
const PATIENCE_MS = 30_000

const SHARED_PORT = 8080

const example = (path: string): string =>
  fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))

/** Both examples, one after the other; each line that is waited for is a finding. */
export async function examples(rttMs: number, note: Note): Promise<void> {
  await using lab = await Lab.create({ rttMs })
  const { a, b } = await hostsOf(lab, { a: 'port', b: 'port' })
  const host = await lab.publicHost('r')
  const node = await LabNode.start(host, { name: 'r', folder: lab.folder })
  const join = joinThrough(host, await node.peerId())
  await chat(a, b, join, note)
  await shareAWebServer(a, b, join, note)
}

async function chat(a: Host, b: Host, join: string[], note: Note): Promise<void> {
  const bob = new Screen(b, ['chat/chat.ts', ...join])
  const [, peer = ''] = await bob.line(/^# I am (\S+)/)
  const alice = new Screen(a, ['chat/chat.ts', '--peer', peer, ...join])
  await alice.line(/^# talking to /)
  alice.type('Hello Bob')
  await bob.line(/^> Hello Bob$/)
  bob.type('Hello Alice')
  await alice.line(/^> Hello Alice$/)
  note({ what: 'chat: two people behind two NATs', found: 'each reads the other', ok: true })
  await alice.line(/directly/)
  note({ what: 'chat: the path', found: 'direct', ok: true })
  alice.hangUp()
  await bob.line(/^# the other side has left$/)
  await Promise.all([alice.ended(), bob.ended('SIGTERM')])
}

async function shareAWebServer(a: Host, b: Host, join: string[], note: Note): Promise<void> {
  const sharing = new Screen(b, ['share-a-web-server/share.ts', ...join])
  const [, peer = ''] = await sharing.line(/^# I am (\S+)/)
  const at = `127.0.0.1:${SHARED_PORT}`
  const using_ = new Screen(a, ['share-a-web-server/use.ts', '--peer', peer, '--at', at, ...join])
  await using_.line(/^# open /)
  const { stdout } = await a.exec([
    'curl',
    '-sS',
    '--retry',
    '5',
    '--retry-all-errors',
    `http://${at}/some/page`,
  ])
  note({
    what: 'share-a-web-server: curl on the other side',
    found: stdout.trim(),
    ok: stdout.includes('You asked for /some/page'),
  })
  await Promise.all([using_.ended('SIGTERM'), sharing.ended('SIGTERM')])
}

/** An example at work on a host: what it prints can be waited for, and lines typed. */
class Screen {
  readonly #program: Program
  readonly #printed: string[] = []
  readonly #name: string

  constructor(host: Host, [path = '', ...args]: string[]) {
    this.#name = path
    this.#program = host.spawn([process.execPath, example(path), ...args])
    this.#program.lines.on('line', (line) => this.#printed.push(line))
  }

  /** The first line that fits, printed already or yet to come. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    for (let read = 0; ;) {
      for (; read < this.#printed.length; read++) {
        const match = pattern.exec(this.#printed[read] ?? '')
        if (match !== null) return match
      }
      await once(this.#program.lines, 'line', { signal }).catch(() => {
        throw new Error(
          [
            `${this.#name} did not print ${pattern}, but`,
            ...this.#printed,
            ...this.#program.errors,
          ].join('\n  '),
        )
      })
    }
  }

  type(line: string): void {
    this.#program.child.stdin?.write(`${line}\n`)
  }

  hangUp(): void {
    this.#program.child.stdin?.end()
  }

  /** Waits for its end, which must be a good one; a signal asks for it. */
  async ended(signal?: NodeJS.Signals): Promise<void> {
    if (signal !== undefined && this.#program.running) this.#program.child.kill(signal)
    const late = setTimeout(() => this.#program.child.kill('SIGKILL'), PATIENCE_MS)
    const { code } = await this.#program.exited
    clearTimeout(late)
    if (code !== 0)
      throw new Error(`${this.#name} ended with ${code}\n${this.#program.errors.join('\n')}`)
  }
}
