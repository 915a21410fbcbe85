/** Builds the programs in Go that we are tried against, once for each version of their sources. */
import { createHash } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { attempt, run } from '../lab/command.ts'

const GO_PEER = fileURLToPath(new URL('./go', import.meta.url))
const FOREIGN_CODEC = fileURLToPath(new URL('../foreign/peer-exchange', import.meta.url))
/** Two cores compile all of go-libp2p in a minute; its modules may have to come over a slow line first. */
const BUILD_MS = 900_000
/** Go is often installed where no shell looks by default. */
const GO_FOLDERS = '/usr/local/go/bin:/usr/lib/go/bin'

const environment = (path = ''): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${path}${process.env.PATH ?? ''}:${GO_FOLDERS}`,
  GOFLAGS: '-buildvcs=false -mod=readonly',
  CGO_ENABLED: '0',
})

/** From this version on Go fetches the one that go.mod asks for by itself. */
const LEAST_MINOR = 21
/** What an older one is told to fetch: toolchains are modules, which every Go that knows modules can download. */
const TOOLCHAIN = 'golang.org/toolchain@v0.0.1-go1.26.0'
const OLDEST_MINOR = 16

async function goMinor(): Promise<number> {
  const { stdout } = await attempt(['go', 'version'], { env: environment() }).catch(() => ({
    stdout: '',
  }))
  return Number(/go1\.(\d+)/.exec(stdout)?.[1] ?? 0)
}

/** What is missing to build it; empty when it can be built. */
export async function missingGo(): Promise<string[]> {
  const minor = await goMinor()
  if (minor >= OLDEST_MINOR) return []
  const found = minor === 0 ? 'Go is missing' : `Go 1.${minor} is too old`
  return [`${found} (Debian package golang-go).`]
}

/** The environment in which `go` is new enough. */
async function goEnvironment(): Promise<NodeJS.ProcessEnv> {
  if ((await goMinor()) >= LEAST_MINOR) return environment()
  const system = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const argv = ['go', 'mod', 'download', '-json', `${TOOLCHAIN}.${system}`]
  const env = { ...environment(), GOFLAGS: '' }
  const { Dir } = JSON.parse(await run(argv, { deadlineMs: BUILD_MS, env })) as { Dir: string }
  // Modules are unpacked without the permission to run.
  await run(['chmod', '-R', 'u+x', join(Dir, 'bin'), join(Dir, 'pkg', 'tool')])
  return { ...environment(`${join(Dir, 'bin')}:`), GOTOOLCHAIN: 'local' }
}

async function digest(sources: string): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(sources)).sort()) {
    hash.update(`${name}\n`)
    hash.update(await readFile(join(sources, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** The path of the go-libp2p peer. */
export const goPeerProgram = (): Promise<string> => goProgram(GO_PEER)

/** The path of the codec of peer exchange that is not ours. */
export const foreignCodecProgram = (): Promise<string> => goProgram(FOREIGN_CODEC)

/** The path of the program, built now if these sources have not been built before. */
async function goProgram(sources: string): Promise<string> {
  const folder = join(tmpdir(), 'warren-interop-go')
  const binary = join(folder, await digest(sources))
  try {
    await access(binary)
    return binary
  } catch {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const fresh = `${binary}.${process.pid}`
    const argv = ['go', 'build', '-C', sources, '-o', fresh, '.']
    await run(argv, { deadlineMs: BUILD_MS, env: await goEnvironment() })
    await rename(fresh, binary)
    return binary
  }
}
