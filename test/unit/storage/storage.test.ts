import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { readFileBounded, writeFileAtomic } from '../../../src/storage/files.ts'
import { loadOrCreateIdentity } from '../../../src/storage/identity.ts'
import { lockDataDir } from '../../../src/storage/lock.ts'

async function directory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'warren-storage-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)

test('an identity is made once, for its owner only, and stays', async () => {
  await using dir = await directory()
  const dataDir = join(dir.path, 'deep', 'er')
  const first = await loadOrCreateIdentity(dataDir)
  const second = await loadOrCreateIdentity(dataDir)
  assert.deepEqual([first.created, second.created], [true, false])
  assert.equal(second.peerId, first.peerId)
  assert.match(first.peerId, /^12D3KooW/)
  assert.equal(await mode(dataDir), '700')
  assert.equal(await mode(join(dataDir, 'identity.key')), '600')
  assert.deepEqual(await readdir(dataDir), ['identity.key'])
})

test('of several that make an identity at once, all get the same', async () => {
  await using dir = await directory()
  const identities = await Promise.all(
    Array.from({ length: 8 }, () => loadOrCreateIdentity(dir.path)),
  )
  assert.equal(new Set(identities.map((i) => i.peerId)).size, 1)
  assert.equal(identities.filter((i) => i.created).length, 1)
})

test('a key that others may read is refused with the remedy and kept', async () => {
  await using dir = await directory()
  const { peerId } = await loadOrCreateIdentity(dir.path)
  const path = join(dir.path, 'identity.key')
  await chmod(path, 0o640)
  await assert.rejects(loadOrCreateIdentity(dir.path), {
    code: 'ERR_IDENTITY_UNREADABLE',
    message: /mode 640/,
    remedy: new RegExp(`chmod 600 ${path}`),
  })
  await chmod(path, 0o600)
  assert.equal((await loadOrCreateIdentity(dir.path)).peerId, peerId)
})

test('a damaged, empty, oversized or foreign key is refused and never replaced', async () => {
  await using dir = await directory()
  const path = join(dir.path, 'identity.key')
  const foreign = privateKeyToProtobuf(await generateKeyPair('secp256k1'))
  for (const content of [Buffer.from('not a key'), Buffer.alloc(0), Buffer.alloc(5000), foreign]) {
    await writeFile(path, content, { mode: 0o600 })
    await assert.rejects(loadOrCreateIdentity(dir.path), {
      code: 'ERR_IDENTITY_UNREADABLE',
      remedy: /mv /,
    })
    assert.deepEqual(await readFile(path), Buffer.from(content))
  }
})

test('a data directory that cannot be made is a clear error', async () => {
  await using dir = await directory()
  await writeFile(join(dir.path, 'file'), '')
  await assert.rejects(loadOrCreateIdentity(join(dir.path, 'file', 'data')), {
    code: 'ERR_CONFIG_INVALID',
    remedy: /--data-dir/,
  })
})

test('a second node on the same data directory is refused by the name of the first', async () => {
  await using dir = await directory()
  const lock = await lockDataDir(dir.path)
  await assert.rejects(lockDataDir(dir.path), {
    code: 'ERR_DATA_DIR_IN_USE',
    message: new RegExp(`process ${process.pid}\\)`),
    remedy: /--data-dir/,
  })
  await lock.release()
  await (await lockDataDir(dir.path)).release()
})

test('the lock of a process that was killed is free at once', async () => {
  await using dir = await directory()
  const module = new URL('../../../src/storage/lock.ts', import.meta.url).href
  const script = `const { lockDataDir } = await import(${JSON.stringify(module)})
    globalThis.lock = await lockDataDir(${JSON.stringify(dir.path)})
    console.log('held'); setInterval(() => {}, 1000)`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  await assert.rejects(lockDataDir(dir.path), {
    code: 'ERR_DATA_DIR_IN_USE',
    message: new RegExp(`process ${holder.pid}\\)`),
  })
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await (await lockDataDir(dir.path)).release()
})

test('an atomic write leaves the old file or the new one, and nothing beside it', async () => {
  await using dir = await directory()
  const path = join(dir.path, 'f')
  await writeFileAtomic(path, Buffer.from('old'))
  await assert.rejects(writeFileAtomic(path, Buffer.from('new'), { exclusive: true }), {
    code: 'EEXIST',
  })
  assert.equal(await readFile(path, 'utf8'), 'old')
  await writeFileAtomic(path, Buffer.from('new'))
  assert.equal(await readFile(path, 'utf8'), 'new')
  assert.deepEqual(await readdir(dir.path), ['f'])
})

test('reading stops at the limit and takes a missing file for none', async () => {
  await using dir = await directory()
  const path = join(dir.path, 'f')
  assert.equal(await readFileBounded(path, 10), undefined)
  await writeFile(path, 'x'.repeat(11))
  await assert.rejects(readFileBounded(path, 10), RangeError)
})
