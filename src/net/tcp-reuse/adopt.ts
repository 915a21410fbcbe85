import type { Socket } from 'node:net'
import type { Connection, Transport, Upgrader } from '@libp2p/interface'
import type { TCPDialEvents } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { eagerUpgrader } from '../eager/index.ts'
import { endsOf } from './ends.ts'
import type { AdoptOptions, ConnectionFacts } from './types.ts'
import { upgraderWith } from './upgrader.ts'

interface AdoptParts {
  readonly stock: Transport<TCPDialEvents>
  readonly upgrader: Upgrader
  /** Where the facts of a connection are kept, by its timeline. */
  readonly facts: WeakMap<object, ConnectionFacts>
  /** Whether a listener of ours holds this port. */
  isListening(port: number | undefined): boolean
}

/** The step of stock TCP's dial that makes the socket; public in its type, though the class is not exported. */
interface Connecting {
  _connect(): Promise<Socket>
}

/**
 * Makes a libp2p connection of a socket that is connected already. Stock TCP can only dial, so this is a dial through an object
 * that inherits from it and, where stock would make a socket, gives it this one.
 */
export async function adoptSocket(
  parts: AdoptParts,
  socket: Socket,
  peer: Multiaddr,
  options: AdoptOptions,
): Promise<Connection> {
  const onAbort = (): void => void socket.destroy()
  options.signal.addEventListener('abort', onAbort, { once: true })
  try {
    options.signal.throwIfAborted()
    if (socket.connecting || socket.destroyed) throw notConnected(peer)
    return await givenSocket(parts.stock, socket).dial(peer, {
      signal: options.signal,
      upgrader: adopting(parts, options),
    })
  } catch (err) {
    socket.destroy()
    throw err
  } finally {
    options.signal.removeEventListener('abort', onAbort)
  }
}

function givenSocket(stock: Transport<TCPDialEvents>, socket: Socket): Transport<TCPDialEvents> {
  if (typeof (stock as Partial<Connecting>)._connect !== 'function') {
    throw new WarrenError('ERR_NO_DIRECT_PATH', 'This @libp2p/tcp takes no connected sockets', {
      remedy: 'Install the version of @libp2p/tcp that package.json names.',
    })
  }
  const connected: Connecting = { _connect: async () => socket }
  return Object.assign(Object.create(stock) as Transport<TCPDialEvents>, connected)
}

function adopting(parts: AdoptParts, { initiator }: AdoptOptions): Upgrader {
  return upgraderWith(parts.upgrader, {
    upgradeOutbound: async (maConn, upgradeOptions) => {
      const ends = endsOf(maConn)
      const fromListenPort = parts.isListening(ends.localPort)
      parts.facts.set(maConn.timeline, { dialled: true, fromListenPort, ...ends })
      // The upgrader turns the handshake round when told `initiator: false`; the muxer reads this instead.
      if (!initiator) maConn.direction = 'inbound'
      return await eagerUpgrader(parts.upgrader).upgradeOutbound(maConn, {
        ...upgradeOptions,
        initiator,
      })
    },
  })
}

function notConnected(peer: Multiaddr): WarrenError {
  const address = peer.toString()
  return new WarrenError('ERR_PEER_UNREACHABLE', `The socket to ${address} is not connected`, {
    detail: { address },
  })
}
