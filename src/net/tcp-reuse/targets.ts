import { lookup } from 'node:dns/promises'
import { getNetConfig } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { familyOf, plainHost } from './host.ts'
import type { Family } from './host.ts'
import { abortable } from './signals.ts'

/** Where a dial goes, as the kernel needs it. */
export interface Target {
  readonly family: Family
  readonly host: string
  readonly port: number
}

// A name with more addresses than this belongs to a farm, of which a few members are as good as all.
const MAX_TARGETS = 4

const FAMILY_OF_TYPE = { dns: 0, dns4: 4, dns6: 6, dnsaddr: 0 } as const

/**
 * The addresses behind a TCP multiaddr. Names are resolved here, because a socket that is bound to a port
 * has chosen its family already and Node.js would have to look the name up after that.
 */
export async function resolveTargets(ma: Multiaddr, signal: AbortSignal): Promise<Target[]> {
  const config = getNetConfig(ma)
  const port = config.port ?? 0
  if (config.type === 'ip4') return [{ family: 4, host: config.host, port }]
  if (config.type === 'ip6') return [ip6Target(config.host, config.zone, port)]
  const found = await abortable(
    lookup(config.host, { all: true, family: FAMILY_OF_TYPE[config.type] }),
    signal,
  )
  return found
    .slice(0, MAX_TARGETS)
    .map(({ address, family }) => ({ family: family === 4 ? 4 : 6, host: address, port }))
}

function ip6Target(host: string, zone: string | undefined, port: number): Target {
  // ::ffff:192.0.2.1 leaves as IPv4: our IPv6 sockets are IPv6 only and cannot send it.
  const plain = plainHost(host)
  const family = familyOf(plain) ?? 6
  return { family, host: family === 6 && zone !== undefined ? `${plain}%${zone}` : plain, port }
}
