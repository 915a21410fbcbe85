import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { openControl } from '../../src/control/server.ts'
import { schemas } from '../../src/control/schema.ts'
import { createNode } from '../../src/node/create-node.ts'
import type { DoctorCheck, NodeEvent, WarrenNode } from '../../src/types.ts'

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname
const LISTEN = '/ip4/127.0.0.1/tcp/0'
/** The surroundings of whoever runs the tests must not configure the nodes under test. */
const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')),
)
/** A process on a busy machine, and the quarter of a minute that it may wait for facts. */
const PATIENCE_MS = 120_000

interface Doctor {
  code: number | null
  out: string
  err: string[]
  checks: () => DoctorCheck[]
}

/** Runs `warren doctor`; `hear` is told every line of its stderr. */
async function doctor(
  args: string[],
  hear: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Doctor> {
  const child = spawn(process.execPath, [MAIN, 'doctor', '--port-mapping', 'off', ...args], {
    env: clean,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const err: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    err.push(line)
    hear(line, (signal) => child.kill(signal))
  })
  const [code] = (await once(child, 'close')) as [number | null]
  const checks = (): DoctorCheck[] =>
    (JSON.parse(out) as unknown[]).map((check) => schemas.DoctorCheck.parse(check))
  return { code, out, err, checks }
}

function find(checks: DoctorCheck[], wanted: string): DoctorCheck {
  const check = checks.find(({ code }) => code === wanted)
  assert.ok(check, `${wanted} in ${JSON.stringify(checks)}`)
  return check
}

/** Resolves with the first event of a type from now on. */
async function firstOf(node: WarrenNode, type: NodeEvent['type']): Promise<NodeEvent> {
  for await (const event of node.events()) if (event.type === type) return event
  throw new Error('the node stopped')
}

/** A door on loopback: whoever comes waits before it until it opens onto the port. */
async function doorTo(t: TestContext, port: number): Promise<{ port: number; open(): void }> {
  const waiting = new Set<Socket>()
  const all = new Set<Socket>()
  let isOpen = false
  const lead = (near: Socket): void => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) all.add(socket.on('error', () => undefined))
    near.pipe(far).pipe(near)
  }
  const server = createServer((near) => {
    if (isOpen) return lead(near)
    waiting.add(near.on('error', () => undefined))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    server.close()
    for (const socket of [...waiting, ...all]) socket.destroy()
  })
  const open = (): void => {
    isOpen = true
    for (const near of waiting) lead(near)
  }
  return { port: (server.address() as AddressInfo).port, open }
}

describe('warren doctor', { timeout: PATIENCE_MS }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'warren-doctor-'))
  const nobody = ['--api', `unix:${join(dir, 'nobody.sock')}`]
  const own = [...nobody, '--data-dir', join(dir, 'data'), '--listen', LISTEN]
  let member: WarrenNode
  let address = ''
  let port = 0

  before(async () => {
    member = await createNode({ listen: [LISTEN], portMapping: 'off' })
    address = member.status().listening[0] ?? ''
    port = Number(/\/tcp\/(\d+)/.exec(address)?.[1])
  })
  after(async () => {
    await member.stop()
    rmSync(dir, { recursive: true })
  })

  test('starts a node of its own where none runs, and leaves nothing behind', async () => {
    const told: string[] = []
    const gone = firstOf(member, 'peer:gone')
    const { code, err, checks } = await doctor([...own, '--json', '--bootstrap', address], (line) =>
      told.push(line),
    )
    assert.equal(code, 0, err.join('\n'))
    assert.equal(find(checks(), 'overlay.links').result, 'ok')
    assert.match(find(checks(), 'host.clock').text, /within a minute of 1 peer/)
    assert.equal(find(checks(), 'transport.port-reuse').result, 'ok')
    assert.ok(
      checks().every(({ pending }) => pending === undefined),
      'it ended because all was known',
    )
    assert.match(told[0] ?? '', /no node answers/)
    assert.ok(
      told.some((line) => /^ +\d+\.\d s {2}Links: 1 linked/.test(line)),
      told.join('\n'),
    )
    assert.ok(!existsSync(join(dir, 'data')), 'the data directory is not even made')
    await gone
  })

  test('without anybody to ask it examines what it can, and says who could tell more', async () => {
    const { code, out } = await doctor(own)
    assert.equal(code, 0)
    assert.match(out, /^ok +Hole punching /m)
    assert.match(out, /^unknown +NAT /m)
    assert.match(out, /--bootstrap/)
    assert.ok(out.split('\n').every((line) => line.length <= 100))
  })

  test('finds a problem, and exits with 1, when no bootstrap answers', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const dead = address.replace(`/tcp/${port}`, `/tcp/${(closed.address() as AddressInfo).port}`)
    closed.close()
    await once(closed, 'close')
    const { code, checks } = await doctor([...own, '--json', '--bootstrap', dead])
    assert.equal(code, 1)
    assert.equal(find(checks(), 'overlay.links').result, 'problem')
  })

  test('listens elsewhere when its port is in use, and says so', async () => {
    const { code, err, checks } = await doctor([
      ...nobody,
      '--json',
      '--listen',
      `/ip4/127.0.0.1/tcp/${port}`,
    ])
    assert.equal(code, 0)
    assert.match(err.join('\n'), new RegExp(`port ${port} is in use`))
    assert.match(find(checks(), 'host.addresses').text, new RegExp(`as ${port} is in use`))
  })

  test('answers at its deadline, with what is still being found out', async (t) => {
    const door = await doorTo(t, port)
    const shut = address.replace(`/tcp/${port}`, `/tcp/${door.port}`)
    const { code, checks } = await doctor([...own, '--json', '--wait', '1', '--bootstrap', shut])
    assert.equal(code, 1)
    assert.match(find(checks(), 'overlay.links').pending ?? '', /linking to 1 bootstrap/)
  })

  test('stops when it is interrupted', async (t) => {
    const door = await doorTo(t, port)
    const shut = address.replace(`/tcp/${port}`, `/tcp/${door.port}`)
    const { code, out, err } = await doctor([...own, '--bootstrap', shut], (line, kill) => {
      if (line.includes('linking')) kill('SIGINT')
    })
    assert.equal(code, 1)
    assert.equal(out, '')
    assert.equal(err.at(-1), 'interrupted')
  })

  test('waits for a running node that is still young', async (t) => {
    const door = await doorTo(t, port)
    const bootstrap = [address.replace(`/tcp/${port}`, `/tcp/${door.port}`)]
    const young = await createNode({ listen: [LISTEN], bootstrap, portMapping: 'off' })
    t.after(() => young.stop())
    const path = join(dir, 'young.sock')
    const control = await openControl({ place: { kind: 'unix', path } })
    t.after(() => control.close())
    control.attach(young)
    const now = await young.doctor()
    assert.match(find(now, 'overlay.links').pending ?? '', /linking/)
    const { code, err, checks } = await doctor(['--api', `unix:${path}`, '--json'], (line) => {
      if (line.includes('linking')) door.open()
    })
    assert.equal(code, 0, err.join('\n'))
    assert.equal(find(checks(), 'overlay.links').result, 'ok')
    assert.match(err[0] ?? '', /examined as it runs: --port-mapping changes nothing/)
    const again = await doctor(['--api', `unix:${path}`, '--json'])
    assert.deepEqual(
      again.checks().map(({ code }) => code),
      checks().map(({ code }) => code),
    )
  })

  test('another machine whose node does not answer is not replaced by this one', async () => {
    const { code, err } = await doctor(['--api', '255.255.255.255:4080'])
    assert.equal(code, 1)
    assert.match(err.join('\n'), /ERR_API_UNREACHABLE/)
  })

  test('refuses a wait that is none', async () => {
    assert.equal((await doctor(['--wait', 'long'])).code, 2)
    assert.equal((await doctor(['--bootstrap', '/ip4/127.0.0.1/tcp/1'])).code, 2)
  })
})
