import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

// A user namespace makes this work without being root, where the kernel lets users have one.
export const NAMESPACES = ['--user', '--map-root-user', '--net', '--mount']

const possible = spawnSync('unshare', [...NAMESPACES, 'nft', 'list', 'ruleset']).status === 0

/** Why tests in a network of their own have to be skipped; false when they need not. */
export const SKIP: string | false = possible
  ? false
  : 'needs unshare, nft and the right to make namespaces'

// The kernel repeats a lost SYN after one second, then after two more.
const CHILD_MS = 20_000

/** Runs a program in a network and mount namespace of its own; returns the JSON that it prints. */
export async function runIsolated(program: URL): Promise<unknown> {
  const path = fileURLToPath(program)
  const { stdout } = await promisify(execFile)('unshare', [...NAMESPACES, process.execPath, path], {
    timeout: CHILD_MS,
  })
  return JSON.parse(stdout)
}
