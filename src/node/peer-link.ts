import type { Connection, Stream } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'
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
}

/** Opens a stream on the best connection to a linked peer. */
export async function openStream(
  connection: Connection,
  protocol: string,
  options: Cancellable = {},
): Promise<Stream> {
  const deadline = AbortSignal.timeout(OPEN_MS)
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
  try {
    return await connection.newStream(protocol, { signal, runOnLimitedConnection: true })
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
      return toPeerStream(await openStream(await best(options), protocol, options), protocol)
    },
    async direct(options = {}): Promise<Path> {
      await maker.connect(peer, { ...options, path: 'direct' })
      return maker.links.path(peer) as Path
    },
    async close(): Promise<void> {
      await Promise.allSettled(maker.links.held(peer).map(({ connection }) => connection.close()))
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await this.close()
    },
  }
}
