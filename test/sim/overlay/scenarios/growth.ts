import type { Newcomer } from '../world/population.ts'
import { BOOTSTRAPS, MINUTE } from './session.ts'
import type { Session } from './session.ts'

/** After the last start, until what is looked at begins: joins under way come to their end. */
const REST_MS = 2 * MINUTE

export interface Growth {
  /** Nodes at the end, founders included. */
  n: number
  /** What the next newcomer is; an honest node of the usual kinds unless said otherwise. */
  next?: () => Newcomer
  start?: (node: number) => void
}

/** How long an overlay of this size takes to form: a quarter of an hour for 10,000 nodes, five minutes for 100. */
export function formingMs(n: number): number {
  const minutes = 5 * Math.log10(Math.max(n, BOOTSTRAPS + 1)) - 5
  return Math.round(Math.min(20, Math.max(1, minutes))) * MINUTE
}

/**
 * From the founders to n nodes, each wave as large as everything before it: overlays grow by word of mouth. Plans the starts
 * and returns when the last one is.
 */
export function grow(session: Session, { n, next, start }: Growth, forMs = formingMs(n)): number {
  const { world } = session
  const begin = world.now
  const from = Math.max(world.people.size, 1)
  for (let count = from; count < n; count++) {
    // To the millisecond, since the last bit of a logarithm differs between machines.
    const share = Math.log((count + 1) / from) / Math.log(n / from)
    world.plan(begin + Math.round(forMs * share), () => {
      const node = world.add(next?.() ?? session.honest())
      if (start === undefined) world.start(node)
      else start(node)
    })
  }
  return begin + forMs
}

/** The usual beginning: founders, growth to all nodes of the options or so many, and a rest. Returns when the last one started. */
export function form(session: Session, n = session.options.n): number {
  session.found()
  const formedMs = grow(session, { n })
  if (Number.isNaN(session.untilMs)) session.untilMs = formedMs + REST_MS
  session.runUntil(formedMs + REST_MS)
  return formedMs
}
