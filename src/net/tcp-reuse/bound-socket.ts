import net from 'node:net'
import type { Family } from './host.ts'

/**
 * Sockets bound before they listen or connect: what lets a dial leave from the listening port.
 * `net.connect({ localPort })` cannot do it, for it never sets SO_REUSEPORT and so fails with EADDRINUSE
 * beside a listener. This is the only file that knows `net.BoundSocket`.
 */
export type SocketApi = typeof net.BoundSocket

export type BoundSocket = net.BoundSocket

/** An address of this host and a TCP port on it. */
export interface LocalEndpoint {
  readonly family: Family
  readonly host: string
  readonly port: number
}

/** `net.BoundSocket`, or undefined on a Node.js that has none (before 24.21, and 25.0 to 26.3). */
export function nativeSocketApi(): SocketApi | undefined {
  // An optional property in truth, although the types of the newest Node.js promise it.
  return (net as { BoundSocket?: SocketApi }).BoundSocket
}

/** Binds to a port beside its other holders; all of them must have asked for that, and belong to one user. */
export function bindShared(Api: SocketApi, at: LocalEndpoint): BoundSocket {
  // ipv6Only: the IPv4 and the IPv6 wildcard listen on the same port number, so neither may claim both.
  return new Api({
    host: at.host,
    port: at.port,
    reusePort: true,
    ipv6Only: at.family === 6,
  })
}

/**
 * Throws EADDRINUSE when anybody listens on that port. Asking is needed because with SO_REUSEPORT two processes
 * of one user share a port without a word, and each gets half of the connections. A bind without the option
 * is refused by the kernel. Sockets that are merely connected from the port, or linger in TIME_WAIT, do not count.
 */
export function assertNobodyListens(Api: SocketApi, at: LocalEndpoint): void {
  new Api({ host: at.host, port: at.port, ipv6Only: at.family === 6 }).close()
}
