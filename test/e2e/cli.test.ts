import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import type { NodeEvent, NodeStatus, PeerStatus } from '../../src/client/index.ts'

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname
/** Each command is a process of its own, and a busy machine takes seconds to start one. */
const PATIENCE_MS = 120_000
/** The surroundings of whoever runs the tests must not configure the nodes under test, and their router is not asked. */
const clean: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')),
  ),
  WARREN_PORT_MAPPING: 'off',
}

interface Result {
  code: number
  out: string
  err: string
}

function warren(args: string[], env: Record<string, string> = {}): Promise<Result> {
  return new Promise((resolve) => {
    const options = { env: { ...clean, ...env }, timeout: PATIENCE_MS }
    execFile(process.execPath, [MAIN, ...args], options, (error, out, err) => {
      resolve({
        code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
        out,
        err,
      })
    })
  })
}

/** A running `warren up --json` and what it has printed. */
class Up {
  readonly child: ChildProcess
  readonly lines: AsyncIterator<string>
  readonly exited: Promise<unknown[]>

  constructor(dataDir: string, ...args: string[]) {
    const all = [
      'up',
      '--json',
      '--data-dir',
      dataDir,
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      '--log-level',
      'warn',
      ...args,
    ]
    this.child = spawn(process.execPath, [MAIN, ...all], {
      env: clean,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const output = this.child.stdout
    assert.ok(output !== null)
    this.lines = createInterface(output)[Symbol.asyncIterator]()
    this.exited = once(this.child, 'exit')
  }

  async until(wanted: (event: NodeEvent) => boolean): Promise<NodeEvent> {
    for (;;) {
      const { done, value } = await this.lines.next()
      assert.ok(!done, 'the output ended before the event came')
      const event = JSON.parse(value) as NodeEvent
      if (wanted(event)) return event
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<unknown> {
    this.child.kill(signal)
    return (await this.exited)[0]
  }
}

describe('two nodes run from the command line', { timeout: PATIENCE_MS }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'warren-cli-'))
  const [a, b] = [join(dir, 'a'), join(dir, 'b')]
  const socket = join(dir, 'b.sock')
  let first: Up
  let second: Up
  let firstId = ''
  let secondId = ''
  const ask = (args: string[], dataDir = a): Promise<Result> =>
    warren([...args, '--data-dir', dataDir])
  const json = async <T>(args: string[], dataDir = a): Promise<T> => {
    const { code, out, err } = await ask([...args, '--json'], dataDir)
    assert.equal(code, 0, err)
    return JSON.parse(out) as T
  }

  before(async () => {
    firstId = (await ask(['id'])).out.trim()
    first = new Up(a, '--api', '127.0.0.1:0')
    const ready = await first.until((event) => event.type === 'node:ready')
    assert.ok(ready.type === 'node:ready' && ready.peerId === firstId)
    const { listening } = await json<NodeStatus>(['status'])
    second = new Up(b, '--api', `unix:${socket}`, '--bootstrap', listening[0] ?? '')
    const other = await second.until((event) => event.type === 'node:ready')
    assert.ok(other.type === 'node:ready' && other.api === `unix:${socket}`)
    secondId = other.peerId
    await second.until((event) => event.type === 'peer:linked' && event.peer === firstId)
  })
  after(() => {
    first?.child.kill('SIGKILL')
    second?.child.kill('SIGKILL')
    rmSync(dir, { recursive: true })
  })

  test('each finds its own node through its data directory', async () => {
    assert.equal((await json<NodeStatus>(['status'])).peerId, firstId)
    assert.equal((await json<NodeStatus>(['status'], b)).peerId, secondId)
    assert.equal((await json<NodeStatus>(['status', '--api', `unix:${socket}`])).peerId, secondId)
    assert.match((await ask(['status'])).out, new RegExp(`^Peer id +${firstId}$`, 'm'))
  })

  test('peers, connect and ping name the path', async () => {
    const peers = await json<PeerStatus[]>(['peers'], b)
    assert.equal(peers.find(({ peer }) => peer === firstId)?.state, 'linked')
    assert.match(
      (await ask(['connect', firstId, '--direct'], b)).out,
      /^linked to \S+ in .*: direct via \/ip4\//,
    )
    const { code, out } = await ask(['ping', firstId, '--count', '2', '--interval', '1'], b)
    assert.equal(code, 0)
    assert.match(out, /^1 {2}.* ms {2}direct via .*\n2 {2}.*\n2 of 2 answered/)
  })

  test('a service of one is used through a port of the other', async (t) => {
    const server = createServer((connection) => connection.end('hello')).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const shared = await ask(['expose', 'greeting', `127.0.0.1:${port}`, '--allow', secondId])
    assert.equal(shared.code, 0, shared.err)
    assert.match(shared.out, /until the node stops/)
    const { listen } = await json<{ listen: string }>(
      ['forward', '127.0.0.1:0', `${firstId}/greeting`],
      b,
    )
    const response = await readAll(listen)
    assert.equal(response, 'hello')
    assert.match((await ask(['services'], b)).out, new RegExp(`${listen} +greeting +${firstId}`))
    assert.equal((await ask(['forward', listen, '--remove'], b)).code, 0)
    assert.equal((await ask(['expose', 'greeting', '--remove'])).code, 0)
    assert.equal((await ask(['expose', 'greeting', '--remove'])).code, 1)
  })

  test('a second node in the same data directory is refused', async () => {
    const { code, err } = await ask([
      'up',
      '--api',
      '127.0.0.1:0',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
    ])
    assert.equal(code, 1)
    assert.match(err, /ERR_DATA_DIR_IN_USE/)
    assert.equal((await json<NodeStatus>(['status'])).peerId, firstId)
  })

  test('SIGTERM and SIGINT stop a node in order, and take its note and socket away', async () => {
    const stopping = second.until((event) => event.type === 'node:stopping')
    assert.equal(await second.stop('SIGINT'), 0)
    await stopping
    assert.ok(!existsSync(join(b, 'api')) && !existsSync(socket))
    assert.match(readFileSync(join(a, 'api'), 'utf8'), /^127\.0\.0\.1:\d+\n$/)
    assert.equal(await first.stop('SIGTERM'), 0)
    assert.ok(!existsSync(join(a, 'api')))
    const { code, err } = await warren(['status', '--api', `unix:${socket}`])
    assert.equal(code, 1)
    assert.match(err, /not running[^]*warren up/)
  })
})

describe('wrong use exits with 2 and says what to do', { timeout: PATIENCE_MS }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'warren-cli-'))
  after(() => rmSync(dir, { recursive: true }))
  const cases: [string, string[], Record<string, string>, RegExp][] = [
    ['an unknown command', ['stauts'], {}, /Did you mean status/],
    ['an unknown option', ['up', '--bootstrp', 'x'], {}, /Did you mean --bootstrap/],
    ['an unknown variable', ['up'], { WARREN_LISTN: 'x' }, /WARREN_LISTEN\?/],
    ['a bootstrap without peer id', ['up', '--bootstrap', '/ip4/127.0.0.1/tcp/1'], {}, /\/p2p\//],
    ['an API for everybody without token', ['up', '--api', '0.0.0.0:0'], {}, /WARREN_API_TOKEN/],
    ['an exposed service for nobody', ['up', '--expose', 'web=127.0.0.1:80'], {}, /allow=all/],
    ['no command', [], {}, /Usage/],
    ['a service for nobody', ['expose', 'web', '127.0.0.1:80'], {}, /--allow all/],
    ['a peer that is none', ['forward', '8080', 'bob/web'], {}, /PEER\/NAME/],
  ]
  for (const [what, args, env, said] of cases)
    test(what, async () => {
      const { code, out, err } = await warren(args, { WARREN_DATA_DIR: dir, ...env })
      assert.equal(code, 2, err)
      assert.match(err, said)
      assert.equal(out, '')
    })
})

test('the API port of another program is refused by name, and nothing stays behind', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'warren-cli-'))
  t.after(() => rmSync(dir, { recursive: true }))
  mkdirSync(join(dir, 'data'))
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const { code, err } = await warren([
    'up',
    '--data-dir',
    join(dir, 'data'),
    '--api',
    `127.0.0.1:${port}`,
  ])
  assert.equal(code, 1)
  assert.match(err, /ERR_PORT_IN_USE[^]*--api/)
  assert.ok(err.includes(String(port)))
})

async function readAll(listen: string): Promise<string> {
  const [host, port] = listen.split(':')
  const socket = connect(Number(port), host)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}
