/** A Docker engine of our own: its data, its socket and, when containers run, its network are private. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, cp } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Debian's engine, also where another `docker` comes first in PATH. */
const DOCKER = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

const START_MS = 30_000
const MAX_OUTPUT = 64 * 1024 * 1024

export interface Engine extends AsyncDisposable {
  /** Runs a docker command and returns what it printed. */
  docker(...args: string[]): Promise<string>
  /** Starts the engine anew, in a network of its own where it may do as it likes. */
  isolate(): Promise<void>
}

/** Starts an engine whose builds see this machine's network. */
export async function startEngine(): Promise<Engine> {
  const home = await mkdtemp(join(tmpdir(), 'warren-engine-'))
  const host = `unix://${home}/docker.sock`
  const docker = async (...args: string[]): Promise<string> => {
    const env = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: home, DOCKER_BUILDKIT: '0' }
    const { stdout } = await run(DOCKER, args, { env, maxBuffer: MAX_OUTPUT })
    return stdout.trim()
  }
  // Builds use the host's network as it is; nothing of ours is left in its rules.
  let daemon = await startDaemon(
    home,
    ['dockerd'],
    ['--iptables=false', '--ip-forward=false'],
    docker,
  )
  return {
    docker,
    async isolate() {
      await stop(daemon)
      const inside = [
        'unshare',
        '--net',
        'sh',
        '-c',
        'ip link set lo up && exec "$@"',
        'sh',
        'dockerd',
      ]
      daemon = await startDaemon(home, inside, [], docker)
    },
    async [Symbol.asyncDispose]() {
      await stop(daemon)
      await unmountAll(home)
      await rm(home, { recursive: true, force: true })
    },
  }
}

async function startDaemon(
  home: string,
  command: string[],
  options: string[],
  docker: (...args: string[]) => Promise<string>,
): Promise<ChildProcess> {
  const [program = '', ...before] = command
  const own = [
    `--data-root=${home}/data`,
    `--exec-root=${home}/exec`,
    `--pidfile=${home}/pid`,
    `--host=unix://${home}/docker.sock`,
    '--bridge=none',
  ]
  const log = createWriteStream(join(home, 'log'), { flags: 'a' })
  const daemon = spawn(program, [...before, ...own, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  daemon.stdout.pipe(log, { end: false })
  daemon.stderr.pipe(log, { end: false })
  const deadline = Date.now() + START_MS
  for (;;) {
    try {
      await docker('info')
      return daemon
    } catch (error) {
      if (daemon.exitCode !== null)
        throw new Error(`dockerd ended; see ${home}/log`, { cause: error })
      if (Date.now() > deadline)
        throw new Error(`dockerd does not answer; see ${home}/log`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return
  daemon.kill('SIGTERM')
  await once(daemon, 'exit')
}

/** The engine leaves handles of network namespaces mounted. */
async function unmountAll(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.reverse()) {
    if (mount.startsWith(`${folder}/`)) await run('umount', ['--lazy', mount])
  }
}

/**
 * Makes the image that the Dockerfile starts from, without a registry: Debian's packages by debootstrap, the Node
 * that runs this, and this machine's npm. Kept for the next time.
 */
export async function makeBaseImage(engine: Engine, tag: string): Promise<void> {
  const cache = join(
    homedir(),
    '.cache',
    'warren-lab',
    `base-bookworm-node${process.versions.node}.tar`,
  )
  if (!existsSync(cache)) await makeBaseArchive(cache)
  // The registry may be reached through a proxy that only this machine's certificates vouch for.
  await engine.docker('import', '--change', `ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}`, cache, tag)
}

async function makeBaseArchive(archive: string): Promise<void> {
  await mkdir(dirname(archive), { recursive: true })
  const root = await mkdtemp(join(dirname(archive), 'root-'))
  try {
    await run(
      'debootstrap',
      ['--variant=minbase', '--include=ca-certificates,libatomic1', 'bookworm', root],
      { maxBuffer: MAX_OUTPUT },
    )
    await cp(process.execPath, join(root, 'usr/local/bin/node'))
    if (existsSync(CERTIFICATES)) await cp(CERTIFICATES, join(root, CERTIFICATES))
    const { stdout } = await run('npm', ['root', '--global'])
    await cp(join(stdout.trim(), 'npm'), join(root, 'usr/local/lib/node_modules/npm'), {
      recursive: true,
    })
    await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'))
    await run('tar', [
      '--create',
      '--numeric-owner',
      '--exclude=./var/cache/apt/archives/*.deb',
      `--file=${archive}.part`,
      '-C',
      root,
      '.',
    ])
    await rename(`${archive}.part`, archive)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}
