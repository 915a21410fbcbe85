import assert from 'node:assert/strict'
import { once } from 'node:events'
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { spawnSync } from 'node:child_process'
import { WarrenClient } from '../../src/client/index.ts'
import { openControl } from '../../src/control/server.ts'
import type { Control, ControlOptions } from '../../src/control/server.ts'

const TOKEN = 'sixteen-characters-at-least'
let dir = ''
let open: Control[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-control-'))
})
afterEach(async () => {
  await Promise.all(open.map((control) => control.close()))
  open = []
  rmSync(dir, { recursive: true })
})

async function start(options: Partial<ControlOptions> = {}): Promise<Control> {
  const control = await openControl({
    place: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    ...options,
  })
  open.push(control)
  return control
}

/** Asks with exactly these headers; `fetch` would not let us lie about `Host`. */
async function ask(
  control: Control,
  path: string,
  headers: Record<string, string> = {},
): Promise<number> {
  const port = Number(control.address.split(':').at(-1))
  const asked = request({ host: '127.0.0.1', port, path, headers }).end()
  const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }]
  response.resume()
  return response.statusCode
}

/** 200 from a route that needs no node and yet is guarded. */
const GUARDED = '/v1/openapi.json'

test('a loopback API answers to loopback names only, so that DNS rebinding leads nowhere', async () => {
  const control = await start()
  for (const host of ['127.0.0.1', 'localhost:4080', 'LOCALHOST', '[::1]:1', '127.0.0.1:99'])
    assert.equal(await ask(control, GUARDED, { host }), 200, host)
  for (const host of [
    'evil.example',
    '10.0.0.1',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'a@localhost',
    'localhost:x',
  ])
    assert.equal(await ask(control, GUARDED, { host }), 403, host)
})

test('a host name that was configured is answered to', async () => {
  const control = await start({ hosts: ['warren.example.org'] })
  assert.equal(await ask(control, GUARDED, { host: 'warren.example.org' }), 200)
})

test('pages of other origins are refused, whichever way they ask', async () => {
  const control = await start()
  const host = control.address
  assert.equal(await ask(control, GUARDED, { host, origin: `http://${host}` }), 200)
  for (const origin of [
    'http://evil.example',
    'null',
    'http://localhost:1',
    `http://${host}.evil.example`,
  ])
    assert.equal(await ask(control, GUARDED, { host, origin }), 403, origin)
  assert.equal(await ask(control, GUARDED, { host, 'sec-fetch-site': 'cross-site' }), 403)
  assert.equal(await ask(control, GUARDED, { host, 'sec-fetch-site': 'same-origin' }), 200)
  assert.equal(await ask(control, '/', { host, 'sec-fetch-site': 'cross-site' }), 200)
})

test('an API that other machines can reach demands a token before it listens', async () => {
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org'])
    await assert.rejects(
      start({ place: { kind: 'tcp', host, port: 0 } }),
      (error: { code: string; remedy: string }) => {
        assert.equal(error.code, 'ERR_CONFIG_INVALID')
        assert.match(error.remedy, /WARREN_API_TOKEN/)
        return true
      },
    )
})

test('with a token only its holder is answered, except about being alive and the empty page', async () => {
  const control = await start({ place: { kind: 'tcp', host: '0.0.0.0', port: 0 }, token: TOKEN })
  const authorization = `Bearer ${TOKEN}`
  assert.equal(await ask(control, GUARDED, { authorization }), 200)
  for (const wrong of [
    '',
    TOKEN,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    'Bearer',
    `Basic ${TOKEN}`,
  ])
    assert.equal(await ask(control, GUARDED, { authorization: wrong }), 401, wrong)
  for (const path of [
    '/readyz',
    '/metrics',
    '/v1/status',
    '/v1/events',
    '/v1/nothing',
    '//healthz',
    '/healthz/',
  ])
    assert.equal(await ask(control, path), 401, path)
  assert.equal(await ask(control, '/healthz?x'), 200)
  assert.equal(await ask(control, '/'), 200)
  const port = control.address.split(':').at(-1)
  const client = new WarrenClient({ api: `127.0.0.1:${port}`, token: TOKEN })
  assert.equal((await client.ready()).ready, false)
})

test('with a token the API is found under addresses and local names, not under names of strangers', async () => {
  const control = await start({ token: TOKEN })
  const authorization = `Bearer ${TOKEN}`
  for (const host of ['10.0.0.7:4080', '[fd00::1]:4080', 'warren-1:4080'])
    assert.equal(await ask(control, GUARDED, { host, authorization }), 200, host)
  assert.equal(await ask(control, GUARDED, { host: 'rebound.example', authorization }), 403)
})

test('a taken port is named, with what to do', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  await assert.rejects(
    start({ place: { kind: 'tcp', host: '127.0.0.1', port } }),
    (error: Error & { code: string; remedy: string }) => {
      assert.equal(error.code, 'ERR_PORT_IN_USE')
      assert.ok(error.message.includes(String(port)))
      assert.match(error.remedy, /--api/)
      return true
    },
  )
})

test('a Unix socket is for its owner only and carries the whole API', async () => {
  const path = join(dir, 'api.sock')
  const control = await start({ place: { kind: 'unix', path } })
  assert.equal(control.address, `unix:${path}`)
  assert.equal(lstatSync(path).mode & 0o777, 0o600)
  assert.equal((await new WarrenClient({ api: control.address }).ready()).ready, false)
})

test('a socket that a killed process left behind is replaced', async () => {
  const path = join(dir, 'api.sock')
  const die = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', die])
  assert.ok(lstatSync(path).isSocket())
  await start({ place: { kind: 'unix', path } })
  assert.equal(await new WarrenClient({ api: `unix:${path}` }).alive(), true)
})

test('a socket on which somebody answers, and a file that is no socket, are left alone', async () => {
  const path = join(dir, 'api.sock')
  const first = await start({ place: { kind: 'unix', path } })
  await assert.rejects(start({ place: { kind: 'unix', path } }), { code: 'ERR_PORT_IN_USE' })
  assert.equal(await new WarrenClient({ api: first.address }).alive(), true)
  const file = join(dir, 'precious')
  writeFileSync(file, 'data')
  await assert.rejects(start({ place: { kind: 'unix', path: file } }), {
    code: 'ERR_LISTEN_FAILED',
  })
  assert.ok(lstatSync(file).isFile())
})

test('a client that finds another program, or nobody, says so', async (t) => {
  const other = createServer((socket) =>
    socket.resume().end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'),
  )
  other.listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const client = new WarrenClient({ api: `127.0.0.1:${port}` })
  await assert.rejects(client.status(), { code: 'ERR_NOT_WARREN' })
  other.close()
  await once(other, 'close')
  await assert.rejects(client.status(), { code: 'ERR_API_UNREACHABLE' })
})
