import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import type { Resumption } from '../drivers/resumption.ts'
import { toPeerStream } from '../net/web-stream.ts'
import type { Links } from './links.ts'
import type { Cancellable, Link, Path, PeerKey, PeerStream } from '../types.ts'

/** How long a stream may take to be agreed on; two round trips on the slowest usable path, with a retransmission. */
const OPEN_MS = 10_000

export interface LinkMaker {
  links: Links
  /** Connects again when the link has died, or demands a direct path. */
  connect(
    peer: PeerKey,
    options: Cancellable & { path?: 'direct'; timeoutMs?: number },
  ): Promise<PeerKey>
  /** Whether the peer is known to speak the protocol. */
  speaks(peer: PeerId, protocol: string): Promise<boolean>
  resumption: Pick<Resumption, 'open' | 'leave'>
  /** The application holds the link no more. */
  closed(peer: PeerKey): void
}

export interface OpenOptions extends Cancellable {
  /** The peer is known to speak the protocol, so the stream need not wait for its consent. */
  eager?: boolean
}

/** Opens a stream on the best connection to a linked peer. */
export async function openStream(
  connection: Connection,
  protocol: string,
  options: OpenOptions = {},
): Promise<Stream> {
  const deadline = AbortSignal.timeout(OPEN_MS)
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
  try {
    return await connection.newStream(protocol, {
      signal,
      runOnLimitedConnection: true,
      eager: options.eager ?? false,
    })
  } catch (cause) {
    options.signal?.throwIfAborted()
    const peer = connection.remotePeer.toString()
    if ((cause as Error).name === 'UnsupportedProtocolError') {
      throw new WarrenError('ERR_PROTOCOL_UNSUPPORTED', `${peer} does not speak ${protocol}`, {
        cause,
      })
    }
    if (deadline.aborted) {
      throw new WarrenError(
        'ERR_TIMEOUT',
        `${peer} did not open ${protocol} in ${OPEN_MS / 1000} s`,
        { cause },
      )
    }
    throw new WarrenError(
      'ERR_PEER_UNREACHABLE',
      `the connection to ${peer} failed: ${(cause as Error).message}`,
      {
        cause,
      },
    )
  }
}

/** A link as the application holds it; it always uses the best connection there is at that moment. */
export function makeLink(maker: LinkMaker, peer: PeerKey): Link {
  const best = async (options: Cancellable): Promise<Connection> => {
    const held = maker.links.best(peer)
    if (held !== undefined) return held.connection
    await maker.connect(peer, options)
    const again = maker.links.best(peer)
    if (again === undefined) throw new WarrenError('ERR_PEER_UNREACHABLE', `${peer} is gone`)
    return again.connection
  }
  return {
    peer,
    get path(): Path {
      const path = maker.links.path(peer)
      if (path === undefined) {
        throw new WarrenError('ERR_PEER_UNREACHABLE', `there is no connection to ${peer} now`, {
          remedy: 'open() connects again',
        })
      }
      return path
    },
    async open(protocol, options = {}): Promise<PeerStream> {
      if (options.resumable === true) {
        return toPeerStream(await maker.resumption.open(peer, protocol, options), protocol)
      }
      const connection = await best(options)
      const eager = await maker.speaks(connection.remotePeer, protocol)
      return toPeerStream(await openStream(connection, protocol, { ...options, eager }), protocol)
    },
    async direct(options = {}): Promise<Path> {
      await maker.connect(peer, { ...options, path: 'direct' })
      return maker.links.path(peer) as Path
    },
    async close(): Promise<void> {
      maker.resumption.leave(peer)
      maker.closed(peer)
      await Promise.allSettled(maker.links.held(peer).map(({ connection }) => connection.close()))
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await this.close()
    },
  }
}
