/** What a machine needs to host the laboratory. */
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

const PROGRAMS: readonly [program: string, debianPackage: string][] = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['conntrack', 'conntrack'],
  ['curl', 'curl'],
  ['miniupnpd', 'miniupnpd-nftables'],
  ['cc', 'gcc libc6-dev'],
  ['turnserver', 'coturn'],
]

/** Programs for administrators live here, which is not always on a shell's PATH. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']

async function isProgram(name: string): Promise<boolean> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS]
  const found = await Promise.allSettled(
    folders.map((folder) => access(join(folder, name), constants.X_OK)),
  )
  return found.some((result) => result.status === 'fulfilled')
}

/** One sentence for everything that is missing; empty when the laboratory can run here. */
export async function requirements(): Promise<string[]> {
  if (process.platform !== 'linux')
    return ['The laboratory needs Linux: network namespaces and nftables.']
  const missing: string[] = []
  if (process.getuid?.() !== 0)
    missing.push('The laboratory needs root: run it with sudo or in a privileged container.')
  const absent: string[] = []
  for (const [program, debianPackage] of PROGRAMS) {
    if (await isProgram(program)) continue
    missing.push(`The program ${program} is missing (Debian package ${debianPackage}).`)
    absent.push(debianPackage)
  }
  if (absent.length > 0)
    missing.push(`Install them with: apt-get install --yes ${absent.join(' ')}`)
  const tap = await access('/dev/net/tun').then(
    () => true,
    () => false,
  )
  if (!tap)
    missing.push(
      '/dev/net/tun is missing: load the module tun, or pass --device /dev/net/tun to the container.',
    )
  return missing
}
