import { coalesce } from './coalesce.ts'
import type { Connection, MultiaddrConnection, Upgrader, UpgraderOptions } from '@libp2p/interface'

/** The two steps of libp2p's upgrader that a transport may want to see first. */
interface UpgradeSteps {
  upgradeInbound(maConn: MultiaddrConnection, options: UpgraderOptions): Promise<void>
  upgradeOutbound(maConn: MultiaddrConnection, options: UpgraderOptions): Promise<Connection>
}

/** An upgrader that does as `real` does, except for the given steps; what it upgrades sends in whole pieces. */
export function upgraderWith(real: Upgrader, steps: Partial<UpgradeSteps>): Upgrader {
  const { upgradeInbound, upgradeOutbound } = { ...stepsOf(real), ...steps }
  return {
    upgradeInbound: async (maConn, options) => {
      coalesce(maConn)
      await upgradeInbound(maConn, options)
    },
    upgradeOutbound: async (maConn, options) => {
      coalesce(maConn)
      return await upgradeOutbound(maConn, options)
    },
    createInboundAbortSignal: (signal) => real.createInboundAbortSignal(signal),
    getStreamMuxers: () => real.getStreamMuxers(),
    getConnectionEncrypters: () => real.getConnectionEncrypters(),
  }
}

function stepsOf(real: Upgrader): UpgradeSteps {
  return {
    upgradeInbound: async (maConn, options) => await real.upgradeInbound(maConn, options),
    upgradeOutbound: async (maConn, options) => await real.upgradeOutbound(maConn, options),
  }
}
