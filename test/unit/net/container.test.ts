import assert from 'node:assert/strict'
import { test } from 'node:test'
import { detectContainer } from '../../../src/net/container.ts'
import type { HostReader } from '../../../src/net/container.ts'

/** A host on which only these files are. */
function hostOf(files: Record<string, string>): HostReader {
  const paths = Object.keys(files)
  return {
    exists: async (path) => paths.some((one) => one === path || one.startsWith(`${path}/`)),
    read: async (path) => files[path] ?? Promise.reject(new Error('ENOENT')),
    list: async (path) => {
      const below = paths.filter((one) => one.startsWith(`${path}/`))
      return [...new Set(below.map((one) => one.slice(path.length + 1).split('/')[0] ?? ''))]
    },
  }
}

/** One end of a pair, whose other end the host holds. */
const VETH = { '/sys/class/net/lo/uevent': '', '/sys/class/net/eth0/uevent': 'INTERFACE=eth0\n' }
const HARDWARE = { '/sys/class/net/enp3s0/device/vendor': '0x8086\n' }
const mount = (at: string, root: string, source: string): string =>
  `600 500 0:50 ${root} ${at} rw,relatime - overlay overlay rw,lowerdir=${source}\n`

const detected = (files: Record<string, string>, env = {}) => detectContainer(hostOf(files), env)

test('a machine is no container, also one on which containers run', async () => {
  const mounts =
    mount('/', '/', '/dev/sda1') + mount('/var/lib/docker/overlay2/ab/merged', '/', 'x')
  const files = {
    ...HARDWARE,
    '/proc/1/cgroup': '0::/init.scope\n',
    '/proc/self/mountinfo': mounts,
  }
  assert.equal(await detected(files), undefined)
  assert.equal(await detected({}), undefined)
})

test('Docker, Podman and Kubernetes are known by what they leave in a container', async () => {
  assert.equal((await detected({ ...VETH, '/.dockerenv': '' }))?.kind, 'Docker')
  assert.equal((await detected({ ...VETH, '/run/.containerenv': '' }))?.kind, 'Podman')
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }
  assert.equal((await detected(VETH, env))?.kind, 'Kubernetes')
})

test('others are known by their control groups and by mounts of their own', async () => {
  const group = { '/proc/1/cgroup': '0::/kubepods/besteffort/pod12\n' }
  assert.equal((await detected({ ...VETH, ...group }))?.kind, 'Kubernetes')
  const hostname = mount('/etc/hostname', '/var/lib/docker/containers/ab/hostname', '/dev/sda1')
  assert.equal((await detected({ '/proc/self/mountinfo': hostname }))?.kind, 'Docker')
  const root = mount('/', '/', '/var/lib/containerd/snapshots/7/fs')
  assert.equal((await detected({ '/proc/self/mountinfo': root }))?.kind, 'container')
})

test('with hardware among its devices a container is on the network of its host', async () => {
  const docker = { '/.dockerenv': '' }
  assert.equal((await detected({ ...docker, ...VETH }))?.network, 'own')
  assert.equal((await detected({ ...docker, ...VETH, ...HARDWARE }))?.network, 'host')
})

test('a container with an address in the network outside is not behind its host', async () => {
  const macvlan = { '/sys/class/net/eth0/uevent': 'DEVTYPE=macvlan\nINTERFACE=eth0\n' }
  assert.equal((await detected({ '/.dockerenv': '', ...macvlan }))?.network, 'host')
})
