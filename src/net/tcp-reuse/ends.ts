import type { Socket } from 'node:net'
import type { MultiaddrConnection } from '@libp2p/interface'
import { plainHost } from './host.ts'

/** The two ends of a TCP connection as the kernel sees them; undefined where there is no TCP beneath. */
export interface Ends {
  readonly localHost: string | undefined
  readonly localPort: number | undefined
  readonly remotePort: number | undefined
}

/**
 * Reads them from the socket itself: a socket bound to a wildcard gets its address from the route it takes.
 * Nothing public tells the local end, so this looks at the field in which stock TCP keeps its socket.
 */
export function endsOf(maConn: MultiaddrConnection): Ends {
  const { socket } = maConn as { socket?: Partial<Socket> }
  const localHost = socket?.localAddress
  return {
    localHost: localHost === undefined ? undefined : plainHost(localHost),
    localPort: socket?.localPort,
    remotePort: socket?.remotePort,
  }
}
