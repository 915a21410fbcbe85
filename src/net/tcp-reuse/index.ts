import type { TCPComponents } from '@libp2p/tcp'
import type { Transport } from '@libp2p/interface'
import { TcpReuse } from './transport.ts'
import type { TcpReuseOptions, TcpReuseTransport } from './types.ts'

export type {
  AdoptOptions,
  ConnectionFacts,
  DialRole,
  TcpReuseOptions,
  TcpReuseTransport,
} from './types.ts'
export { nativeSocketApi } from './bound-socket.ts'
export { isPortTaken } from './dialer.ts'
export { plainHost } from './host.ts'
export type { LocalEndpoint, SocketApi } from './bound-socket.ts'
export type { ExpectedPunch } from './punches.ts'
export type { PortReuse } from './self-test.ts'

/** TCP for libp2p whose dials leave from the listening port, so that NAT mappings can be reached by others. */
export function tcpReuse(
  options?: TcpReuseOptions,
): (components: TCPComponents) => TcpReuseTransport {
  return (components) => new TcpReuse(components, options)
}

/** Finds this transport among `transportManager.getTransports()`. */
export function isTcpReuse(transport: Transport): transport is TcpReuseTransport {
  return transport instanceof TcpReuse
}
