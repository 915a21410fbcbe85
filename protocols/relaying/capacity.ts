import { CAPACITY_LIMITS, SERVING_LIMITS } from './limits.ts'

/** What was measured of the host; absent where it cannot be. */
export interface Resources {
  /** Memory that this process may still use, in bytes. */
  memoryBytes?: number
  /** File descriptors it may have open. */
  files?: number
  /** Connections its network stack was set to. */
  connections: number
  /** How long what should happen now has to wait, on average of the last seconds. */
  lagMs: number
}

/** What the host can give as a relay, and what sets the limit. */
export interface Capacity {
  reservations: number
  circuits: number
  limitedBy: 'configuration' | 'memory' | 'files' | 'connections'
  /** The host is at its limit now: nothing is added, whatever the numbers say. */
  busy: boolean
}

/** What was given already counts as capacity, since its memory is no longer free. */
export function capacityOf(
  { memoryBytes, files, connections, lagMs }: Resources,
  given: { reservations: number; circuits: number },
): Capacity {
  const { bytesPerReservation, bytesPerCircuit, memoryShare } = CAPACITY_LIMITS
  const most = {
    reservations: SERVING_LIMITS.maxReservations,
    circuits: SERVING_LIMITS.maxCircuits,
  }
  const byMemory = (each: number): number =>
    memoryBytes === undefined ? Infinity : Math.floor((memoryBytes * memoryShare) / each)
  const bounds = [
    { by: 'configuration' as const, most: most.reservations },
    { by: 'memory' as const, most: given.reservations + byMemory(bytesPerReservation) },
    { by: 'files' as const, most: Math.floor((files ?? Infinity) * CAPACITY_LIMITS.filesShare) },
    {
      by: 'connections' as const,
      most: Math.floor(connections * CAPACITY_LIMITS.connectionsShare),
    },
  ]
  const least = bounds.reduce((a, b) => (b.most < a.most ? b : a))
  return {
    reservations: least.most,
    circuits: Math.min(most.circuits, given.circuits + byMemory(bytesPerCircuit)),
    limitedBy: least.by,
    busy: lagMs >= CAPACITY_LIMITS.busyLagMs,
  }
}
