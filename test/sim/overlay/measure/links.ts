/** Who counts, and which links do. */
import type { Picture } from '../picture.ts'
import { graphOf, type Graph } from './graph.ts'

/** Honest nodes that are alive: all measures are of them. */
export function honestNodes({ size, alive, hostile }: Picture): Int32Array {
  const nodes = new Int32Array(size)
  let count = 0
  for (let v = 0; v < size; v++) {
    if (alive[v] === 1 && hostile[v] === 0) nodes[count++] = v
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
