import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** npm's own settings of this run must not leak into the project that installs the package. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')),
)
// The scripts of package.json and the installed command find this Node first.
env['PATH'] = `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`

let project: string
let files: string[]

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'warren-package-'))
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', project], {
    cwd: root,
    env,
  })
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as {
    filename: string
    files: { path: string }[]
  }[]
  assert.ok(packed !== undefined)
  files = packed.files.map((file) => file.path)
  await writeFile(
    join(project, 'package.json'),
    '{"name": "somebody", "private": true, "type": "module"}',
  )
  await run('npm', ['install', '--no-audit', '--no-fund', join(project, packed.filename)], {
    cwd: project,
    env,
  })
})

after(() => rm(project, { recursive: true, force: true }))

test('the package holds what is needed to run and to read, and nothing else', () => {
  const allowed =
    /^(dist\/(src|protocols)\/|protocols\/[^/]+\/(SPEC\.md|[^/]+\.proto|vectors\/)|(package\.json|README\.md|CHANGELOG\.md|LICENSE-\w+)$)/
  assert.deepEqual(
    files.filter((path) => !allowed.test(path)),
    [],
  )
  for (const path of [
    'dist/src/index.js',
    'dist/src/index.d.ts',
    'dist/src/cli/main.js',
    'protocols/tunnel/SPEC.md',
  ]) {
    assert.ok(files.includes(path), path)
  }
})

test('it brings no Node and no development tools along', async () => {
  const lock = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8')) as {
    packages: object
  }
  const unwanted = /\/(node-linux-\w+|warren-runtime|typescript|oxlint|fast-check)$/
  assert.deepEqual(
    Object.keys(lock.packages).filter((path) => unwanted.test(path)),
    [],
  )
})

test('two nodes made from it exchange bytes', async () => {
  const script = `
    import { createNode } from 'warren'
    const listen = ['/ip4/127.0.0.1/tcp/0']
    await using a = await createNode({ listen })
    const [address] = a.status().listening
    a.handle('/shout/1.0.0', async (stream) => {
      const upper = new TransformStream({ transform: (c, t) => t.enqueue(new TextEncoder().encode(new TextDecoder().decode(c).toUpperCase())) })
      await stream.readable.pipeThrough(upper).pipeTo(stream.writable)
    })
    await using b = await createNode({ listen })
    await using link = await b.connect(address)
    const stream = await link.open('/shout/1.0.0')
    const writer = stream.writable.getWriter()
    await writer.write(new TextEncoder().encode('heard'))
    await writer.close()
    console.log(await new Response(stream.readable).text())`
  await writeFile(join(project, 'two-nodes.js'), script)
  const { stdout } = await run(process.execPath, ['two-nodes.js'], {
    cwd: project,
    env,
    timeout: 60_000,
  })
  assert.match(stdout, /^HEARD$/m)
})

test('it brings the command', async () => {
  const { stdout } = await run('npx', ['--no-install', 'warren', '--help'], { cwd: project, env })
  assert.match(stdout, /warren/)
  assert.match(stdout, /\bup\b/)
})
