import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'

export type Family = 4 | 6

const LOOPBACK = new net.BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

const MAPPED_PREFIX = '::ffff:'

/** One spelling for each IP address: no zone, IPv6 compressed, IPv4-mapped IPv6 as the IPv4 address it means. */
export function plainHost(host: string): string {
  const [address = ''] = host.split('%', 1)
  if (!net.isIPv6(address)) return address
  const text = new net.SocketAddress({ address, family: 'ipv6' }).address
  const mapped = text.startsWith(MAPPED_PREFIX) ? text.slice(MAPPED_PREFIX.length) : ''
  return net.isIPv4(mapped) ? mapped : text
}

export function familyOf(host: string): Family | undefined {
  const family = net.isIP(host)
  return family === 4 || family === 6 ? family : undefined
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

export function isLoopback(host: string): boolean {
  const plain = plainHost(host)
  return LOOPBACK.check(plain, net.isIPv4(plain) ? 'ipv4' : 'ipv6')
}

/** The address this host would send from to reach `host`; undefined when there is no route. */
export async function sourceTowards(host: string): Promise<string | undefined> {
  // Connecting a UDP socket consults the routing table and sends nothing. The port is of no consequence.
  const socket = createSocket(net.isIPv4(host) ? 'udp4' : 'udp6')
  try {
    socket.connect(9, host)
    await once(socket, 'connect')
    return plainHost(socket.address().address)
  } catch {
    return undefined
  } finally {
    socket.close()
  }
}
