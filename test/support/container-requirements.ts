import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Commands that building and running the image needs, with the Debian package that brings each. */
const COMMANDS: Record<string, string> = {
  dockerd: 'docker.io',
  docker: 'docker.io',
  containerd: 'containerd',
  runc: 'runc',
  debootstrap: 'debootstrap',
  iptables: 'iptables',
  ip: 'iproute2',
  unshare: 'util-linux',
  npm: 'npm',
}

/** What is missing on this machine to build and run the container; empty when it can. */
export function requirements(): string[] {
  if (process.platform !== 'linux') return ['containers are tested on Linux only']
  const missing = Object.keys(COMMANDS).filter((command) => !isInstalled(command))
  const packages = [...new Set(missing.map((command) => COMMANDS[command]))].join(' ')
  return [
    ...(process.getuid?.() === 0 ? [] : ['run it as root']),
    ...(missing.length === 0 ? [] : [`no ${missing.join(', ')}: apt-get install ${packages}`]),
  ]
}

function isInstalled(command: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return [...folders, '/usr/sbin', '/sbin'].some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
