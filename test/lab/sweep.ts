/** Removes what a laboratory leaves behind. Every run has a prefix that names its process, and all it makes carries it. */
import { readFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attempt } from './command.ts'

const NETNS_FOLDER = '/run/netns'
const PREFIX = /^(wlab-(\d+)-(\d+)-\d+)(-|$)/

let labs = 0

/** A prefix for one more laboratory of this process. The start time tells it from a later process with the same id. */
export function newPrefix(): string {
  labs += 1
  return `wlab-${process.pid}-${startTime(process.pid) ?? 0}-${labs}`
}

/** Where a laboratory keeps its files. */
export const temporaryFolder = (prefix: string): string => join(tmpdir(), prefix)

/** The kernel's start time of a process in clock ticks, or null when there is none with this id. */
function startTime(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything; what follows it is fields 3 and on, and field 22 is the start time.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return null
  }
}

const entries = (folder: string) => readdir(folder).catch(() => [] as string[])

/** Prefixes of laboratories whose process is gone. */
export async function deadPrefixes(): Promise<string[]> {
  const names = [...(await entries(NETNS_FOLDER)), ...(await entries(tmpdir()))]
  const dead = new Set<string>()
  for (const name of names) {
    const [, prefix, pid, started] = PREFIX.exec(name) ?? []
    if (prefix !== undefined && startTime(Number(pid)) !== Number(started)) dead.add(prefix)
  }
  return [...dead]
}

/** Kills every process inside a namespace, until none is left. */
async function killInside(netns: string): Promise<void> {
  // A process may fork between listing and killing; five rounds outlive any of ours.
  for (let round = 0; round < 5; round++) {
    const { stdout } = await attempt(['ip', 'netns', 'pids', netns])
    const pids = stdout.split('\n').filter(Boolean).map(Number)
    if (pids.length === 0) return
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended by itself in the meantime.
      }
    }
  }
}

/** Removes the namespaces, processes and files of one laboratory. */
export async function sweep(prefix: string): Promise<void> {
  const owned = (await entries(NETNS_FOLDER)).filter((name) => PREFIX.exec(name)?.[1] === prefix)
  await Promise.all(owned.map(killInside))
  for (const netns of owned) await attempt(['ip', 'netns', 'delete', netns])
  await rm(temporaryFolder(prefix), { recursive: true, force: true, maxRetries: 3 })
}
