import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { WarrenError } from '../../protocols/kernel/errors.ts'

/** Nobody but the node's own user has business with its key and its peer book. */
const PRIVATE = 0o700

/** Makes the data directory, for its owner only. One that exists keeps its permissions. */
export async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await makeDirectory(dataDir)
  } catch (cause) {
    throw new WarrenError(
      'ERR_CONFIG_INVALID',
      `cannot make the data directory ${dataDir}: ${(cause as Error).message}`,
      { cause, remedy: writableRemedy(dataDir) },
    )
  }
}

export const writableRemedy = (dataDir: string): string =>
  `Choose a directory you can write to with --data-dir, or make ${dataDir} yours: chown "$(id -u)" ${dataDir}`

/** Not `recursive: true`: where a parent exists and yet says ENOENT, as under /proc, Node tries again for ever. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: PRIVATE })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error
    await makeDirectory(dirname(path))
    await mkdir(path, { mode: PRIVATE })
  }
}
