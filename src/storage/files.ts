import { randomUUID } from 'node:crypto'
import { link, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface WriteOptions {
  mode?: number
  /** Fail with EEXIST rather than replace what is there. */
  exclusive?: boolean
}

/** Writes a file so that after a crash at any moment either the old or the new content is there, whole. */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx', options.mode ?? 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    // link() fails where rename() would replace.
    if (options.exclusive === true) await link(temporary, path)
    else await rename(temporary, path)
    await syncDirectory(dirname(path))
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Without this the name, other than the content, may be lost in a power failure. */
async function syncDirectory(path: string): Promise<void> {
  // Windows does not open directories and needs no such thing.
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Reads a file of at most `limit` bytes; undefined when there is none. */
export async function readFileBounded(path: string, limit: number): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    if (size > limit) throw new RangeError(`${path} has ${size} bytes, at most ${limit} are read`)
    const bytes = await file.readFile()
    return bytes
  } finally {
    await file.close()
  }
}
