/** The whole: worlds in threads, their figures judged, printed, drawn and saved. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { text } from 'node:stream/consumers'
import { load } from './report/file.ts'

let folder = ''
before(async () => void (folder = await mkdtemp(join(tmpdir(), 'warren-sim-'))))
after(() => rm(folder, { recursive: true }))

function start(...args: string[]): ChildProcessWithoutNullStreams {
  const main = new URL('main.ts', import.meta.url).pathname
  // Well above the seconds it takes: a test that fails leaves nothing behind.
  return spawn(process.execPath, [main, ...args, '--out', join(folder, 'plots')], {
    timeout: 90_000,
  })
}

async function ended(child: ChildProcessWithoutNullStreams) {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { stdout, stderr, code: code as unknown }
}

/** Resolves when this has been said on stderr. */
const said = (child: ChildProcessWithoutNullStreams, words: RegExp): Promise<void> =>
  new Promise((resolve) => {
    let heard = ''
    child.stderr.on('data', (chunk: Buffer) => {
      heard += chunk.toString()
      if (words.test(heard)) resolve()
    })
  })

describe('npm run sim', () => {
  test('judges, draws and saves small worlds, and equal seeds end equal', async () => {
    const file = join(folder, 'runs.json')
    const first = await ended(
      start('formation', '--n', '20', '--seeds', '1,2', '--json', file, '--rows', '2,27'),
    )
    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stdout, /flood reach, steady +1\.0000 .* met/)
    assert.match(first.stdout, /1 row met, none missed, 1 not run/)
    assert.match(first.stderr, /formation seed 2: done/)
    const runs = await load(file)
    assert.deepEqual(
      runs.map(({ options }) => options.seed).toSorted((a, b) => a - b),
      [1, 2],
    )
    assert.ok((await readdir(join(folder, 'plots'))).includes('formation-degrees.svg'))

    const again = join(folder, 'again.json')
    const second = await ended(
      start('formation', 'determinism', '--n', '20', '--merge', file, '--json', again),
    )
    assert.match(second.stdout, /27 .* 1 +met/)
    const hashes = (await load(again)).flatMap(({ options, result }) =>
      options.seed === 1 && 'stateHash' in result ? [result.stateHash] : [],
    )
    const before = runs.find(({ options }) => options.seed === 1)?.result
    assert.ok(before !== undefined && 'stateHash' in before)
    assert.deepEqual(hashes, [before.stateHash])
  })

  test('ends at Ctrl-C with what there is', async () => {
    const child = start('determinism', 'steady', '--n', '40', '--hours', '1000', '--workers', '1')
    const end = ended(child)
    await said(child, /determinism seed 1: done/)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await end
    assert.equal(code, 130)
    assert.match(stdout, /^27 .* met/m)
    assert.match(stderr, /interrupted: steady seed 1/)
  })
})
