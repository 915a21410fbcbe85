/** Counts what a host sends to another: an nftables counter in the sender's namespace, exact and almost free. */
import { isIPv6 } from 'node:net'
import type { Host } from './host.ts'

/** Addresses under which packets for a host leave another one. */
export function targetsOf(from: Host, to: Host): string[] {
  const neighbours = from.router !== null && from.router === to.router
  const targets = [to.externalAddress, to.ipv6Address, neighbours ? to.address : null]
  return [...new Set(targets.filter((target) => target !== null))]
}

/** Starts counting, under a name of its own on that host, and returns how the packets so far are read. */
export async function countPackets(
  from: Host,
  to: Host,
  table = 'count',
): Promise<() => Promise<number>> {
  const rules = targetsOf(from, to)
    .map((target) => `    ${isIPv6(target) ? 'ip6' : 'ip'} daddr ${target} counter name sent`)
    .join('\n')
  const { code, stderr } = await from.exec(['nft', '-f', '-'], {
    input: `table inet ${table} {
  counter sent { }
  chain out {
    type filter hook output priority raw;
${rules}
  }
}
`,
  })
  if (code !== 0) throw new Error(`nft on ${from.name} ended with ${code}: ${stderr.trim()}`)
  return async () => {
    const { stdout } = await from.exec(['nft', '-j', 'list', 'counters', 'table', 'inet', table])
    const packets = /"packets": (\d+)/.exec(stdout)?.[1]
    if (packets === undefined) throw new Error(`${from.name} has lost its packet counter`)
    return Number(packets)
  }
}
