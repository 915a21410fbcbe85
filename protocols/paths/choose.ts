import type { Instant } from '../kernel/machine.ts'

/** One open connection to a peer, as far as choosing between them goes. */
export interface OpenConnection {
  id: string
  direct: boolean
  /** Dialled by the peer with the smaller id: something both sides know alike, unlike their clocks. */
  preferred: boolean
  openedAt: Instant
  /** Streams open on it now. */
  streams: number
  /** Since when no stream is open on it; undefined while one is. */
  idleSince: Instant | undefined
}

/**
 * A connection that is no longer the best stays this long without a stream before it is closed: long enough
 * for the peer to have seen the better one too, so that neither side opens a stream on it any more.
 */
export const SETTLE_MS = 2_000

/**
 * The connection new streams should use: direct before relayed; then one that has settled, since a dial-back of AutoNAT is
 * gone again within a second; then the preferred one, then the oldest. Both sides must come to the same choice, or one
 * would close what the other is about to use.
 */
export function best<T extends OpenConnection>(
  connections: Iterable<T>,
  now: Instant,
): T | undefined {
  let chosen: T | undefined
  for (const one of connections) {
    if (chosen === undefined || isBetter(one, chosen, now)) chosen = one
  }
  return chosen
}

function isBetter(a: OpenConnection, b: OpenConnection, now: Instant): boolean {
  if (a.direct !== b.direct) return a.direct
  const settled = now - a.openedAt >= SETTLE_MS
  if (settled !== now - b.openedAt >= SETTLE_MS) return settled
  if (settled && a.preferred !== b.preferred) return a.preferred
  return a.openedAt < b.openedAt
}

/**
 * Connections to one peer that may be closed: relayed ones beside a direct one, by either side; duplicates of a
 * kind only by the side that `tidies`, because two sides that both tidy could each close the other's choice.
 * A connection with a stream on it is never named.
 */
export function superfluous<T extends OpenConnection>(
  connections: readonly T[],
  tidies: boolean,
  now: Instant,
): T[] {
  const keep = best(connections, now)
  if (keep === undefined || now - keep.openedAt < SETTLE_MS) return []
  return connections.filter(
    (one) =>
      one !== keep &&
      one.idleSince !== undefined &&
      now - one.idleSince >= SETTLE_MS &&
      (tidies || one.direct !== keep.direct),
  )
}
