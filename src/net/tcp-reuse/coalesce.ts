import type { Socket } from 'node:net'
import type { MultiaddrConnection } from '@libp2p/interface'

/**
 * Sends what is written in one moment in one piece. Stock TCP writes the length of a message and the message apart, and yamux
 * its headers: of an idle node's bytes three quarters were packet headers. Nagle's algorithm would wait for a round trip;
 * this waits for nothing. The socket is not in the interface of a connection: without it all is as in stock. See
 * docs/decisions/0021.
 */
export function coalesce(connection: MultiaddrConnection): void {
  const { socket } = connection as { socket?: Partial<Socket> }
  if (typeof socket?.cork !== 'function' || typeof socket.write !== 'function') return
  const whole = socket as Socket
  const write = whole.write.bind(whole) as (...args: unknown[]) => boolean
  let gathering = false
  const send = (): void => {
    gathering = false
    whole.uncork()
  }
  whole.write = (...args: unknown[]): boolean => {
    if (!gathering) {
      gathering = true
      whole.cork()
      process.nextTick(send)
    }
    return write(...args)
  }
}
