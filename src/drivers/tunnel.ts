/** Shares TCP services with peers and brings their services to local ports, over /warren/tunnel/1.0.0. */
import type { StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import { TUNNEL_LIMITS, TUNNEL_PROTOCOL } from '../../protocols/tunnel/limits.ts'
import type { ServiceRefused, TunnelDeps, TunnelLog } from './tunnel-deps.ts'
import { Forwards, type ForwardSpec, type ForwardState } from './tunnel-forwards.ts'
import { Services, type ServiceSpec } from './tunnel-services.ts'

export type { ForwardSpec, ForwardState, ServiceRefused, ServiceSpec, TunnelDeps, TunnelLog }

/** The tunnels of one node. */
export interface Tunnels {
  /** Shares a TCP service with `allow`ed peers. Throws when the name is taken or not a name. */
  expose(service: ServiceSpec): void
  /** Stops sharing; streams to the service are reset. */
  unexpose(name: string): boolean
  services(): ServiceSpec[]
  /** Listens on `listen` and carries connections to a peer's service; port 0 picks a port. */
  forward(forward: ForwardSpec): Promise<ForwardState>
  /** Stops listening; its streams are reset. */
  unforward(listen: string): Promise<boolean>
  forwards(): ForwardState[]
  /** Takes nothing new, lets streams end for `drainMs`, then resets them. */
  stop(options: { drainMs: number }): Promise<void>
}

const HANDLER: StreamHandlerOptions = {
  // Above our own bound, so that a peer at the bound reads `busy` rather than a reset.
  maxInboundStreams: TUNNEL_LIMITS.streamsPerPeer * 2,
  // All forwards may lead to one peer.
  maxOutboundStreams: TUNNEL_LIMITS.streamsTotal,
  runOnLimitedConnection: true,
}

/** Makes the tunnels of a node and starts to answer the protocol. */
export function createTunnels(deps: TunnelDeps): Tunnels {
  const services = new Services(deps.logger)
  const forwards = new Forwards(deps)
  const handler: StreamHandler = (stream, connection) =>
    services.answer(stream, connection.remotePeer.toString())
  const handling = Promise.resolve(deps.handle(TUNNEL_PROTOCOL, handler, HANDLER))
  handling.catch((error: unknown) => deps.logger.warn({ error }, 'tunnels cannot be answered'))

  return {
    expose: (service) => services.add(service),
    unexpose: (name) => services.remove(name),
    services: () => services.list(),
    forward: (forward) => forwards.add(forward),
    unforward: (listen) => forwards.remove(listen),
    forwards: () => forwards.list(),
    async stop({ drainMs }) {
      await handling.then(() => deps.unhandle(TUNNEL_PROTOCOL)).catch(() => undefined)
      const deadline = AbortSignal.timeout(drainMs)
      await Promise.all([services.stop(deadline), forwards.stop(deadline)])
    },
  }
}
