import { access, readdir } from 'node:fs/promises'
import { readStart } from './read-start.ts'

/** The container that this process runs in. */
export interface Container {
  kind: 'Docker' | 'Podman' | 'Kubernetes' | 'container'
  /** `own`: its host stands between it and every network, like a router. */
  network: 'own' | 'host'
}

/** How the host is looked at; what is not there rejects. */
export interface HostReader {
  exists(path: string): Promise<boolean>
  read(path: string): Promise<string>
  list(path: string): Promise<string[]>
}

/** A host with many containers has a mount table of some thousand lines; that of a container begins with its root. */
const MAX_BYTES = 256 * 1024

const thisHost: HostReader = {
  exists: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  read: (path) => readStart(path, MAX_BYTES),
  list: (path) => readdir(path),
}

/**
 * Finds out whether this process is in a container, and whether that has a network of its own. Linux only. Those of LXC do not count:
 * they are administered like machines, and most have an address in their host's network.
 */
export async function detectContainer(
  host: HostReader = thisHost,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Container | undefined> {
  const kind = await kindOf(host, env)
  if (kind === undefined) return undefined
  return { kind, network: (await isOnHostNetwork(host)) ? 'host' : 'own' }
}

/** Words in a path that only the named one makes. */
const MADE_BY: readonly [RegExp, Container['kind']][] = [
  [/kubepods|\/kubelet\//, 'Kubernetes'],
  [/docker/, 'Docker'],
  [/libpod|containers\/storage/, 'Podman'],
  [/containerd|nerdctl|buildkit/, 'container'],
]

async function kindOf(
  host: HostReader,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Container['kind'] | undefined> {
  // Kubernetes first: its nodes run containers by the means of the others.
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined) return 'Kubernetes'
  if (await host.exists('/.dockerenv')) return 'Docker'
  if (await host.exists('/run/.containerenv')) return 'Podman'
  const groups = await host.read('/proc/1/cgroup').catch(() => '')
  const mounts = await host.read('/proc/self/mountinfo').catch(() => '')
  const traces = [groups, ...ownMounts(mounts)].join('\n')
  return MADE_BY.find(([words]) => words.test(traces))?.[1]
}

/** What the runtime puts into every container. The mounts of others, which a host sees too, are elsewhere. */
const OWN_MOUNTS = ['/', '/etc/hostname', '/etc/hosts', '/etc/resolv.conf']

function ownMounts(mountinfo: string): string[] {
  return mountinfo.split('\n').filter((line) => OWN_MOUNTS.includes(line.split(' ')[4] ?? ''))
}

const DEVICES = '/sys/class/net'

/**
 * Hardware, and the devices that give a container an address in the network outside (macvlan, ipvlan), are not behind the host.
 * A container with a network of its own has neither: only one end of a pair whose other end the host holds.
 */
async function isOnHostNetwork(host: HostReader): Promise<boolean> {
  const devices = await host.list(DEVICES).catch((): string[] => [])
  const outside = await Promise.all(
    devices.map(async (device) => {
      if (await host.exists(`${DEVICES}/${device}/device`)) return true
      const about = await host.read(`${DEVICES}/${device}/uevent`).catch(() => '')
      return /^DEVTYPE=(macvlan|ipvlan)$/m.test(about)
    }),
  )
  return outside.includes(true)
}
