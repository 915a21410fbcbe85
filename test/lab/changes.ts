/** What happens to networks while they are used: a path dies, a provider hands out a new address, a laptop moves. */
import { run } from './command.ts'
import type { Host, Machine, Router } from './host.ts'
import type { Lab } from './lab.ts'
import { routerRules, type BasicKind } from './nat-kinds.ts'

const nft = (machine: Machine, input: string): Promise<string> =>
  run(machine.argv(['nft', '-f', '-']), { input })

const ip = (machine: Machine, commands: readonly string[]): Promise<string> =>
  run(['ip', '-n', machine.netns, '-batch', '-'], { input: `${commands.join('\n')}\n` })

function routerOf(host: Host): Router {
  if (host.router === null) throw new Error(`${host.name} is behind no router`)
  return host.router
}

/** Drops every packet between the outsides of two hosts' routers; what goes over relays passes. */
export async function cut(a: Host, b: Host): Promise<void> {
  const far = b.externalAddress
  await nft(
    routerOf(a),
    `table ip cut {
  chain forwarded {
    type filter hook forward priority raw;
    ip daddr ${far} drop
    ip saddr ${far} drop
  }
}
`,
  )
}

/** Undoes `cut`. */
export async function mend(a: Host): Promise<void> {
  await nft(routerOf(a), 'delete table ip cut\n')
}

/** Gives a host's router another address on the internet, as providers do at night; its mappings are gone. */
export async function renumber(lab: Lab, host: Host, kind: BasicKind): Promise<string> {
  const router = routerOf(host)
  const fresh = lab.freshAddress()
  await ip(router, [
    `address add ${fresh}/32 dev wan`,
    `address del ${router.externalAddress}/32 dev wan`,
  ])
  const rules = routerRules({ kind, external: fresh, hairpin: false, onInternet: true })
  await nft(router, `flush ruleset\n${rules}`)
  await run(router.argv(['conntrack', '--flush']))
  return fresh
}

/** Takes a host's only interface down; every connection loses its address. */
export async function unplug(host: Host): Promise<void> {
  await ip(host, ['link set wan down', `address del ${host.address}/24 dev wan`])
}

/** Brings the interface up again with another address of the same inner network. */
export async function replug(host: Host): Promise<string> {
  const parts = host.address.split('.')
  const network = parts.slice(0, 3).join('.')
  // Hosts are numbered from the router's 1 upwards; nobody has the last numbers.
  const fresh = `${network}.254`
  await ip(host, [
    `address add ${fresh}/24 dev wan`,
    'link set wan up',
    `route add default via ${network}.1`,
  ])
  return fresh
}
