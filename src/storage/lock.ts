import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { readFileBounded, writeFileAtomic } from './files.ts'

const SQLITE_BUSY = 5

/** A process id and a line end. */
const MAX_NOTE_BYTES = 32

/** Held by the one node that uses a data directory. */
export interface DataDirLock {
  release(): Promise<void>
}

/**
 * Makes this process the only one on a data directory, until released or until the process ends in
 * whatever way. Node has no flock(); SQLite takes a lock of the operating system on the empty file
 * `node.lock`, which needs no clearing up after a crash and, unlike a process id in a file, tells the
 * truth between containers that share a volume. `node.pid` only serves to name the holder.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const note = join(dataDir, 'node.pid')
  const database = openLock(dataDir)
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw unusable(dataDir, cause)
    throw await inUse(dataDir, note)
  }
  try {
    await writeFileAtomic(note, Buffer.from(`${process.pid}\n`))
  } catch (cause) {
    database.close()
    throw unusable(dataDir, cause)
  }
  return {
    async release() {
      if (database.isOpen) database.close()
    },
  }
}

function openLock(dataDir: string): DatabaseSync {
  try {
    return new DatabaseSync(join(dataDir, 'node.lock'))
  } catch (cause) {
    throw unusable(dataDir, cause)
  }
}

async function inUse(dataDir: string, note: string): Promise<WarrenError> {
  const pid = (await readFileBounded(note, MAX_NOTE_BYTES).catch(() => undefined))
    ?.toString()
    .trim()
  const who =
    pid === undefined || !/^\d+$/.test(pid) ? 'another node' : `another node (process ${pid})`
  return new WarrenError('ERR_DATA_DIR_IN_USE', `${who} runs on the data directory ${dataDir}`, {
    remedy: 'Stop that node, or give this one a directory of its own with --data-dir.',
    detail: { dataDir, ...(pid === undefined ? {} : { pid: Number(pid) }) },
  })
}

function unusable(dataDir: string, cause: unknown): WarrenError {
  return new WarrenError(
    'ERR_CONFIG_INVALID',
    `cannot lock the data directory ${dataDir}: ${(cause as Error).message}`,
    {
      cause,
      remedy: 'Choose a directory on a local disk that you can write to with --data-dir.',
    },
  )
}
