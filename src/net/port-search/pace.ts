import { setTimeout as sleep } from 'node:timers/promises'

// Timers of Node.js are exact to a millisecond or two, so single sockets cannot be timed: a few go together.
const TICK_MS = 10

// After a pause of the whole process what was missed is not made up for in one burst beyond this: the routers on
// the way would drop it, and the connection tables of cheap ones with it.
const MOST_TICKS_AT_ONCE = 3

/** Hands out `items` in order at a steady rate; ends early, without an error, when the signal aborts. */
export async function* paced<T>(
  items: Iterable<T>,
  perSecond: number,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const perTick = (perSecond * TICK_MS) / 1000
  let allowed = Math.max(1, perTick)
  let at = performance.now()
  for (const item of items) {
    while (allowed < 1) {
      await sleep(TICK_MS, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      const now = performance.now()
      const ticks = Math.min((now - at) / TICK_MS, MOST_TICKS_AT_ONCE)
      allowed = Math.min(allowed + ticks * perTick, Math.max(1, MOST_TICKS_AT_ONCE * perTick))
      at = now
    }
    if (signal.aborted) return
    allowed--
    yield item
  }
}
