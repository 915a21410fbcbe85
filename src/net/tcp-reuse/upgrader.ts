import type { Connection, MultiaddrConnection, Upgrader, UpgraderOptions } from '@libp2p/interface'

/** The two steps of libp2p's upgrader that a transport may want to see first. */
interface UpgradeSteps {
  upgradeInbound(maConn: MultiaddrConnection, options: UpgraderOptions): Promise<void>
  upgradeOutbound(maConn: MultiaddrConnection, options: UpgraderOptions): Promise<Connection>
}

/** An upgrader that does as `real` does, except for the given steps. */
export function upgraderWith(real: Upgrader, steps: Partial<UpgradeSteps>): Upgrader {
  return {
    upgradeInbound: async (maConn, options) => await real.upgradeInbound(maConn, options),
    upgradeOutbound: async (maConn, options) => await real.upgradeOutbound(maConn, options),
    createInboundAbortSignal: (signal) => real.createInboundAbortSignal(signal),
    getStreamMuxers: () => real.getStreamMuxers(),
    getConnectionEncrypters: () => real.getConnectionEncrypters(),
    ...steps,
  }
}
