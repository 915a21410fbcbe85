import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { type Engine, makeBaseImage, startEngine } from '../support/container-engine.ts'
import { requirements } from '../support/container-requirements.ts'

const root = join(import.meta.dirname, '../..')

const missing = requirements()
const required = /\b(container|all)\b/.test(process.env['TEST_REQUIRE'] ?? '')
if (missing.length > 0 && !required)
  console.error(`!! container tests SKIPPED: ${missing.join('; ')}`)
const options = {
  skip: missing.length > 0 && !required ? missing.join('; ') : false,
  timeout: 600_000,
}

let engine: Engine

before(async () => {
  if (options.skip !== false) return
  assert.deepEqual(missing, [], 'required, but something is missing')
  engine = await startEngine()
}, options)

after(async () => engine?.[Symbol.asyncDispose]())

test('the image is built from the repository', options, async (t) => {
  const dockerfile = await readFile(join(root, 'docker/Dockerfile'), 'utf8')
  const [, base] = /^FROM (\S+)/m.exec(dockerfile) ?? []
  await makeBaseImage(engine, base as string)
  await engine.docker(
    'build',
    '--network=host',
    '--file',
    join(root, 'docker/Dockerfile'),
    '--tag',
    'warren',
    root,
  )
  const [image] = JSON.parse(await engine.docker('image', 'inspect', 'warren')) as [
    {
      Size: number
      Config: { User: string; StopSignal: string; Volumes: object; Healthcheck: object }
    },
  ]
  const [own] = (
    await engine.docker('history', '--human=false', '--format', '{{.Size}}', base as string)
  ).split('\n')
  t.diagnostic(
    `image: ${megabytes(image.Size)} MB, ${megabytes(image.Size - Number(own))} MB of it on top of ${base}`,
  )
  const { User, StopSignal, Volumes, Healthcheck } = image.Config
  assert.deepEqual([User, StopSignal, Object.keys(Volumes)], ['warren', 'SIGTERM', ['/data']])
  assert.ok(Healthcheck)
})

test('three nodes as in compose.yaml find each other over bridge networks', options, async (t) => {
  await engine.isolate()
  const services = await composeUp()
  const ids = new Map<string, string>()
  for (const name of services) {
    await healthy(name)
    ids.set(name, (await status(name)).peerId)
  }
  for (const name of services) {
    const others = services.filter((other) => other !== name).map((other) => ids.get(other))
    await eventually(`${name} knows ${others.length} peers`, async () => {
      const peers = JSON.parse(
        await engine.docker('exec', name, 'warren', 'peers', '--json'),
      ) as unknown
      const text = JSON.stringify(peers)
      return others.every((id) => text.includes(id as string))
    })
  }
  // They share no network, so this goes through the bootstrap, once both hold a reservation there.
  await eventually('alice reaches bob', async () => {
    const ping = engine.docker(
      'exec',
      'alice',
      'warren',
      'ping',
      ids.get('bob') as string,
      '--count',
      '1',
    )
    return ping.then(
      (text) => text.includes('relayed'),
      () => false,
    )
  })
  t.diagnostic(
    `memory: ${(await engine.docker('stats', '--no-stream', '--format', '{{.Name}} {{.MemUsage}}')).replaceAll('\n', ', ')}`,
  )
})

test('a node runs as nobody special and keeps its key to itself', options, async () => {
  assert.match(await engine.docker('exec', 'alice', 'sh', '-c', 'id -u'), /^10001$/)
  assert.match(
    await engine.docker('exec', 'alice', 'stat', '-c', '%a %U', '/data/identity.key'),
    /^600 warren$/,
  )
})

test('a restarted container is the same peer', options, async () => {
  const before = await status('bob')
  await engine.docker('restart', 'bob')
  await healthy('bob')
  assert.equal((await status('bob')).peerId, before.peerId)
})

test('stopping ends the nodes within 5 seconds with exit code 0', options, async () => {
  for (const name of ['alice', 'bob', 'bootstrap']) {
    const started = Date.now()
    await engine.docker('stop', '--time', '10', name)
    const ms = Date.now() - started
    assert.equal(await engine.docker('inspect', '--format', '{{.State.ExitCode}}', name), '0', name)
    assert.ok(ms < 6_000, `${name} took ${ms} ms`)
  }
})

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)

interface ComposeService {
  entrypoint?: string[]
  environment?: Record<string, string>
  networks?: string[]
  network_mode?: string
  volumes?: string[]
}

/** What `docker compose up` does with our file; Debian's engine comes without the plugin. Returns who keeps running. */
async function composeUp(): Promise<string[]> {
  const text = await readFile(join(root, 'docker/compose.yaml'), 'utf8')
  const compose = parse(text, { merge: true }) as {
    services: Record<string, ComposeService>
    networks: Record<string, null>
  }
  for (const network of Object.keys(compose.networks))
    await engine.docker('network', 'create', network)
  const running: string[] = []
  for (const [name, service] of Object.entries(compose.services)) {
    const once = service.network_mode === 'none'
    await engine.docker(
      'create',
      '--name',
      name,
      ...settings(service),
      'warren',
      ...commandOf(service),
    )
    for (const network of (service.networks ?? []).slice(1))
      await engine.docker('network', 'connect', network, name)
    await engine.docker('start', ...(once ? ['--attach'] : []), name)
    if (once) continue
    running.push(name)
    // Everybody else depends on the first one being healthy.
    if (running.length === 1) await healthy(name)
  }
  return running
}

function settings(service: ComposeService): string[] {
  const [entrypoint] = service.entrypoint ?? []
  return [
    `--network=${service.network_mode ?? service.networks?.[0] ?? 'none'}`,
    ...(entrypoint === undefined ? [] : [`--entrypoint=${entrypoint}`]),
    ...Object.entries(service.environment ?? {}).map(([key, value]) => `--env=${key}=${value}`),
    ...(service.volumes ?? []).map((volume) => `--volume=${volume}`),
  ]
}

/** compose writes `$$` for a dollar sign. */
function commandOf(service: ComposeService): string[] {
  return (service.entrypoint ?? []).slice(1).map((word) => word.replaceAll('$$', '$'))
}

async function healthy(name: string): Promise<void> {
  await eventually(`${name} is healthy`, async () => {
    const state = await engine.docker(
      'inspect',
      '--format',
      '{{.State.Status}} {{.State.Health.Status}}',
      name,
    )
    if (state.startsWith('exited'))
      assert.fail(`${name} ended: ${await engine.docker('logs', '--tail', '20', name)}`)
    return state === 'running healthy'
  })
}

async function status(name: string): Promise<{ peerId: string }> {
  return JSON.parse(await engine.docker('exec', name, 'warren', 'status', '--json')) as {
    peerId: string
  }
}

/** Docker tells of health by being asked. */
async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await check())) {
    if (Date.now() > deadline) assert.fail(`not within a minute: ${what}\n${await situation()}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

/** What every node says of itself, for whoever reads a failure. */
async function situation(): Promise<string> {
  const names = (await engine.docker('ps', '--format', '{{.Names}}')).split('\n')
  const told = names.map(
    async (name) => `${name}: ${await engine.docker('exec', name, 'warren', 'status')}`,
  )
  return (await Promise.allSettled(told)).map((each) => JSON.stringify(each)).join('\n')
}
