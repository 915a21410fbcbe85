/** Runs programs of the system: `ip`, `nft`, `cc`. */
import { spawn } from 'node:child_process'

export interface Output {
  code: number | null
  stdout: string
  stderr: string
}

/** No laboratory command takes longer; one that does hangs, and must not take the run with it. */
const COMMAND_DEADLINE_MS = 60_000
/** Output kept of one command: 8 MB hold every listing here, and a mistake does not fill the memory. */
const OUTPUT_LIMIT = 8 << 20

/** The environment of programs: without WARREN_ variables, which are whoever's runs the laboratory and not the nodes'. */
export const ENVIRONMENT: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')),
)

/** Runs a program to its end and returns what it said; never throws for its exit code. */
export async function attempt(
  argv: readonly string[],
  options: { input?: string; deadlineMs?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  const [program = '', ...rest] = argv
  const child = spawn(program, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.env ?? ENVIRONMENT,
    timeout: options.deadlineMs ?? COMMAND_DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  let size = 0
  const keep = (into: Buffer[]) => (chunk: Buffer) => {
    size += chunk.length
    if (size <= OUTPUT_LIMIT) into.push(chunk)
  }
  child.stdout.on('data', keep(stdout))
  child.stderr.on('data', keep(stderr))
  // A program that ends without reading its input is judged by its exit code, not by the broken pipe.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.on('error', reject)
  child.on('close', resolve)
  const code = await promise
  return {
    code,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
  }
}

/** Of a failed program's words this many characters are shown: nft repeats whole rule sets. */
const SHOWN = 1000

/** Runs a program and returns its output; throws with what it said when it fails. */
export async function run(
  argv: readonly string[],
  options: { input?: string; deadlineMs?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { code, stdout, stderr } = await attempt(argv, options)
  if (code === 0) return stdout
  const words = (stderr.trim() || stdout.trim()).slice(0, SHOWN)
  throw new Error(`${argv.slice(0, 6).join(' ')} ended with ${code}: ${words}`)
}
