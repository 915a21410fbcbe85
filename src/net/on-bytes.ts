import type { Connection, MultiaddrConnection } from '@libp2p/interface'

/**
 * Calls back whenever bytes of the other side arrive on the connection, for as long as it is open. What carries a libp2p
 * connection is not in its interface; where it is not to be found nothing is ever heard, and pings tell instead. See
 * docs/decisions/0020.
 */
export function onBytes(connection: Connection, listener: () => void): void {
  const { muxer } = connection as { muxer?: { maConn?: Partial<MultiaddrConnection> } }
  muxer?.maConn?.addEventListener?.('message', listener)
}
