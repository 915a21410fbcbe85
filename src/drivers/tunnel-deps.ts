import type { Stream, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'

/** A peer did not let us use its service. */
export interface ServiceRefused {
  type: 'service:refused'
  service: string
  peer: string
  reason: string
}

/** Where the driver writes what an operator may want to know. */
export interface TunnelLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** What the driver needs of the node. */
export interface TunnelDeps {
  handle(
    protocol: string,
    handler: StreamHandler,
    options: StreamHandlerOptions,
  ): void | Promise<void>
  unhandle(protocol: string): void | Promise<void>
  /** Opens a stream on the best path to the peer, connecting first where needed; may be relayed. */
  open(peer: string, protocol: string, options: { signal: AbortSignal }): Promise<Stream>
  publish(event: ServiceRefused): void
  logger: TunnelLog
}
