import { Circuit, TCP } from '@multiformats/multiaddr-matcher'
import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/** Whether the connection reaches the peer without a relay. */
export function isDirect(connection: Connection): boolean {
  return !Circuit.matches(connection.remoteAddr)
}

/** The relay that carries a relayed connection, as peer id text. */
export function relayOf(connection: Connection): string | undefined {
  if (isDirect(connection)) return undefined
  return connection.remoteAddr.getComponents().find((c) => c.name === 'p2p')?.value
}

export interface Endpoint {
  host: string
  port: number
}

/** Host and port of a direct TCP address. */
export function endpointOf(address: Multiaddr): Endpoint | undefined {
  if (Circuit.matches(address) || !TCP.matches(address)) return undefined
  let host: string | undefined
  let port: number | undefined
  for (const { name, value } of address.getComponents()) {
    if (name === 'ip4' || name === 'ip6') host = value
    if (name === 'tcp') port = Number(value)
  }
  return host === undefined || port === undefined ? undefined : { host, port }
}
