/** An overlay at one moment; nodes are indices from 0 on. */
export interface Picture {
  /** Simulated milliseconds since the start. */
  at: number
  /** How many nodes there ever were. */
  size: number
  alive: Uint8Array
  /** 1: behind a NAT, reached through relays and by hole punching. */
  hidden: Uint8Array
  hostile: Uint8Array
  /** Which half of a partition a node is in; all 0 without one. */
  side: Uint8Array
  /** Neighbours that each node chose, and those it accepted; as both the node's own machine says. Dead ones included. */
  chosen: readonly (readonly number[])[]
  accepted: readonly (readonly number[])[]
  /** Who is in each node's sampler slots, by what the slot ranks. */
  slotsById: readonly (readonly number[])[]
  slotsByGroup: readonly (readonly number[])[]
  /** Bytes since the start, as they would be on the wire, both directions apart. */
  sent: Float64Array
  received: Float64Array
  /** When each node started, and when it first had three neighbours of its own choosing; NaN before that. */
  startedAt: Float64Array
  joinedAt: Float64Array
}
