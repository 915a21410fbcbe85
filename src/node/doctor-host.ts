import { parseAddress, scopeOf } from '../../protocols/kernel/address.ts'
import type { Container } from '../net/container.ts'
import type { DoctorCheck, NodeStatus } from '../types.ts'

/** Whether hole punching is possible at all here. */
export function portReuse({ transport }: NodeStatus): DoctorCheck {
  const check = { code: 'transport.port-reuse', title: 'Hole punching' }
  if (transport.portReuse) {
    const text = `possible: Node.js ${process.version} dials from the listening port`
    return { ...check, result: 'ok', text }
  }
  return {
    ...check,
    result: 'problem',
    text: transport.reason ?? 'dials leave from other ports',
    meaning: 'peers behind NATs are reached through relays only',
    remedy: 'run Node.js 24.21 or newer on Linux',
  }
}

/** Addresses written out; hosts of containers have dozens. */
const SHOWN = 3

/** Where this host can be reached, as far as it knows by itself. */
export function addresses({ listening }: NodeStatus): DoctorCheck {
  const check = { code: 'host.addresses', title: 'Addresses' }
  const parsed = listening.map(parseAddress).filter((one) => one !== undefined)
  const useful = parsed.filter(({ host }) => !['loopback', 'link-local'].includes(scopeOf(host)))
  const shown = [...new Set((useful.length > 0 ? useful : parsed).map(({ host }) => host))]
  const ports = [...new Set(parsed.map(({ port }) => port))].join(', ')
  const text = `port ${ports} at ${firstFew(shown)}`
  if (useful.length > 0) return { ...check, result: 'ok', text }
  const loopback = parsed.length > 0
  return {
    ...check,
    result: loopback ? 'warning' : 'problem',
    text: loopback ? text : 'this node listens nowhere',
    meaning: `nobody ${loopback ? 'on another machine ' : ''}can connect to this node`,
    remedy: loopback
      ? 'listen on other addresses (--listen), or connect this host to a network'
      : 'give addresses of this host with --listen',
  }
}

/** The same, of a node that could not listen where it was told to. */
export function elsewhere(check: DoctorCheck, wanted: string): DoctorCheck {
  if (check.code !== 'host.addresses' || check.result === 'problem') return check
  return {
    ...check,
    result: 'warning',
    text: `${check.text}, as ${wanted} is in use`,
    meaning: `rules for port ${wanted} in firewalls and routers were not examined`,
    remedy:
      'if a node runs there, ask it: name its API with --api, or its directory with --data-dir',
  }
}

/** The first few of a list, and how many more there are. */
export function firstFew(all: readonly string[]): string {
  const more = all.length - SHOWN
  return all.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** What the container around this node means for it; nothing where there is none. */
export function container(
  { reachability: { verdict }, listening }: NodeStatus,
  found: Container | undefined,
): DoctorCheck[] {
  if (found === undefined) return []
  const check = { code: 'host.container', title: 'Container' }
  const name = found.kind === 'container' ? 'a container' : `a ${found.kind} container`
  if (found.network === 'host')
    return [{ ...check, result: 'ok', text: `in ${name} on the network of its host` }]
  const text = `in ${name} with a network of its own`
  if (verdict === 'public')
    return [{ ...check, result: 'ok', text: `${text}; strangers get in all the same` }]
  const port = listening.map(parseAddress).find((one) => one !== undefined)?.port ?? 4001
  const announce = `--announce /ip4/ADDRESS-OF-THE-HOST/tcp/${port}`
  const remedy =
    found.kind === 'Kubernetes'
      ? `give the pod a hostPort ${port}, and if that does not do ${announce}; or hostNetwork: true`
      : `publish the port (-p ${port}:${port}), and if that does not do name it with ${announce}; or use --network host`
  return [
    {
      ...check,
      result: 'warning',
      text,
      meaning: 'the host is one NAT more: addresses of the container mean nothing outside it',
      remedy,
    },
  ]
}
