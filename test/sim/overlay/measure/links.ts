/** Who counts, and which links do. */
import type { Picture } from '../picture.ts'
import { graphOf, type Graph } from './graph.ts'

/**
 * A node that has not been there for so long and has no three neighbours of its own yet is joining; how long that takes is
 * measured by `joins`, and the overlay is not torn because somebody is at its door. Twice the time a hidden node is allowed.
 */
const JOINING_MS = 60_000

/** Honest nodes that are alive and have joined, or should have: all measures are of them. */
export function settledNodes(picture: Picture): Int32Array {
  const { size, alive, hostile, at, startedAt, joinedAt } = picture
  const nodes = new Int32Array(size)
  let count = 0
  for (let v = 0; v < size; v++) {
    if (alive[v] === 0 || hostile[v] === 1) continue
    const joined = !Number.isNaN(joinedAt[v])
    if (joined || at - (startedAt[v] as number) >= JOINING_MS) nodes[count++] = v
  }
  return nodes.subarray(0, count)
}

export const neighboursOf = ({ chosen, accepted }: Picture, v: number): readonly number[] => [
  ...(chosen[v] ?? []),
  ...(accepted[v] ?? []),
]

/** Links between nodes that count, and how many neighbours only one side knew of. */
export interface Links {
  graph: Graph
  oneSided: number
}

/** A link counts when both ends say so: what one end has dropped carries nothing any more. */
export function linksOf(picture: Picture, nodes: Int32Array): Links {
  const counts = new Uint8Array(picture.size)
  for (const v of nodes) counts[v] = 1
  const lists: number[][] = Array.from({ length: picture.size }, () => [])
  for (const v of nodes) {
    lists[v] = neighboursOf(picture, v).filter((w) => counts[w] === 1)
  }
  let oneSided = 0
  const agreed = lists.map((list, v) =>
    list.filter((w) => {
      const both = lists[w]?.includes(v) ?? false
      if (!both) oneSided++
      return both
    }),
  )
  return { graph: graphOf(picture.size, nodes, agreed), oneSided }
}
