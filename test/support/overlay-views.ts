/** What the views of all nodes together say about the overlay, and which pairs of nodes to try. */

/** What one node tells of its links. */
interface Linked {
  peer: string
  /** Peers it is linked to. */
  links: readonly string[]
}

/** What one node tells of its book. */
interface Knowing {
  peer: string
  /** Peers of which it knows an address. */
  addressed: readonly string[]
}

/** One who calls, and who is called. */
export interface Pair {
  from: string
  to: string
}

/**
 * How many parts the overlay has, and how large the largest is. A link counts when both ends tell of it: one that only
 * one side believes in carries nothing.
 */
export function partsOf(views: readonly Linked[]): { parts: number; largest: number } {
  const links = new Map(views.map(({ peer, links }) => [peer, new Set(links)]))
  const reached = new Set<string>()
  const sizes: number[] = []
  for (const { peer } of views) {
    if (reached.has(peer)) continue
    const before = reached.size
    const queue = [peer]
    reached.add(peer)
    for (const next of queue) {
      for (const other of links.get(next) ?? []) {
        if (reached.has(other) || links.get(other)?.has(next) !== true) continue
        reached.add(other)
        queue.push(other)
      }
    }
    sizes.push(reached.size - before)
  }
  return { parts: sizes.length, largest: Math.max(0, ...sizes) }
}

/** The ordered pairs of which the first has no address of the second. */
export function unknownPairs(views: readonly Knowing[]): Pair[] {
  return views.flatMap(({ peer, addressed }) => {
    const known = new Set(addressed)
    return views.flatMap((to) =>
      to.peer === peer || known.has(to.peer) ? [] : [{ from: peer, to: to.peer }],
    )
  })
}

/** Each one and so many others, in rounds in which each calls one; no two call each other. */
export function pairsAround(peers: readonly string[], each: number): Pair[] {
  const around = peers.toSorted()
  const step = Math.floor((around.length - 1) / 2 / each)
  return Array.from({ length: each }, (_, k) =>
    around.map((from, i) => ({
      from,
      to: around[(i + 1 + k * step) % around.length] as string,
    })),
  ).flat()
}

/** Every two, one of them as the one who calls, in rounds in which each calls one. */
export function everyTwo(peers: readonly string[]): Pair[] {
  const around = Array.from({ length: Math.floor(peers.length / 2) }, (_, k) =>
    peers.map((from, i) => ({ from, to: peers[(i + k + 1) % peers.length] as string })),
  ).flat()
  // Half way around, each is the other's.
  return pairsBeside(around, [])
}

/** The pairs that, in either direction, are neither among the others nor among those before them. */
export function pairsBeside(pairs: readonly Pair[], others: readonly Pair[]): Pair[] {
  const named = ({ from, to }: Pair): string => [from, to].toSorted().join(' ')
  const taken = new Set(others.map(named))
  return pairs.filter((pair) => {
    const fresh = !taken.has(named(pair))
    taken.add(named(pair))
    return fresh
  })
}

/** Least, greatest and middle of some numbers, for people. */
export function spread(values: readonly number[], digits = 0): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): string =>
    (sorted.at(Math.round(share * (sorted.length - 1))) ?? NaN).toFixed(digits)
  return values.length === 0 ? 'none' : `${at(0)} to ${at(1)}, middle ${at(0.5)}`
}
