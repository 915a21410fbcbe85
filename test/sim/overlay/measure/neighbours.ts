/** Who the neighbours of the nodes that count are. */
import type { Picture } from '../picture.ts'
import type { Graph } from './graph.ts'
import { mean, share } from './spread.ts'

/** Accepted neighbours that take part in walks, pushes and application messages; the rest is parked. */
const ACTIVE_ACCEPTED = 8

export interface Degrees {
  chosen: Float64Array
  accepted: Float64Array
  active: Float64Array
  total: Float64Array
}

/** Living neighbours of each node, as it counts them itself. */
export function degrees({ alive, chosen, accepted }: Picture, nodes: Int32Array): Degrees {
  const living = (list: readonly number[] | undefined): number => {
    let count = 0
    for (const w of list ?? []) count += alive[w] as number
    return count
  }
  const own = Float64Array.from(nodes, (v) => living(chosen[v]))
  const others = Float64Array.from(nodes, (v) => living(accepted[v]))
  return {
    chosen: own,
    accepted: others,
    active: own.map((count, i) => count + Math.min(ACTIVE_ACCEPTED, others[i] as number)),
    total: own.map((count, i) => count + (others[i] as number)),
  }
}

/** Accepted neighbours of hidden nodes over those of public ones; NaN where one kind is missing. */
export function hiddenToPublic(
  { hidden }: Picture,
  nodes: Int32Array,
  accepted: Float64Array,
): number {
  const meanOf = (kind: number) =>
    mean(accepted.filter((_, i) => hidden[nodes[i] as number] === kind))
  return meanOf(1) / meanOf(0)
}

export interface HostileShares {
  chosen: number
  accepted: number
  /** Of the nodes: those that have neighbours, and only hostile ones. */
  eclipsed: number
}

export function hostileShares(
  { hostile, chosen, accepted }: Picture,
  nodes: Int32Array,
): HostileShares {
  const bad = (list: readonly number[]): number => {
    let count = 0
    for (const w of list) count += hostile[w] as number
    return count
  }
  const sum = { chosen: 0, accepted: 0, badChosen: 0, badAccepted: 0, eclipsed: 0 }
  for (const v of nodes) {
    const own = chosen[v] ?? []
    const others = accepted[v] ?? []
    const badOwn = bad(own)
    const badOthers = bad(others)
    sum.chosen += own.length
    sum.accepted += others.length
    sum.badChosen += badOwn
    sum.badAccepted += badOthers
    const all = own.length + others.length
    if (all > 0 && badOwn + badOthers === all) sum.eclipsed++
  }
  return {
    chosen: share(sum.badChosen, sum.chosen),
    accepted: share(sum.badAccepted, sum.accepted),
    eclipsed: share(sum.eclipsed, nodes.length),
  }
}

/** Share of links that join the two sides of a partition. */
export function crossSide({ side }: Picture, { members, offsets, targets }: Graph): number {
  let across = 0
  for (const v of members) {
    const stop = offsets[v + 1] as number
    for (let i = offsets[v] as number; i < stop; i++) {
      if (side[targets[i] as number] !== side[v]) across++
    }
  }
  return share(across, targets.length)
}
