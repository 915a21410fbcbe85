/** Where a driver takes time from; a test may bring its own. */
export interface Clock {
  /** Milliseconds. */
  now(): number
  /** Calls back once, when `now()` has reached that time or a little before. Returns how to call it off. */
  alarm(at: number, ring: () => void): () => void
}

/**
 * The longest single wait. A clock can be set, a laptop suspended, and setTimeout overflows at 24 days: looking
 * again now and then is right in all three cases, and an early tick costs nothing.
 */
const LONGEST_WAIT_MS = 30_000

function alarmOf(now: () => number): Clock['alarm'] {
  return (at, ring) => {
    // Rounded up: a timer that fires a fraction early would be set again for that fraction.
    const wait = Math.ceil(Math.min(Math.max(at - now(), 0), LONGEST_WAIT_MS))
    const timer = setTimeout(ring, wait)
    timer.unref() // sockets keep a node alive, not its plans
    return () => clearTimeout(timer)
  }
}

const steadyNow = (): number => performance.timeOrigin + performance.now()

/** Unix time as it was at start, and from there on never set back or forward: for timeouts and pauses. */
export const systemClock: Clock = { now: steadyNow, alarm: alarmOf(steadyNow) }

/** Unix time as the host has it now: for machines that put times into messages, and mind a clock that is set. */
export const wallClock: Clock = { now: Date.now, alarm: alarmOf(Date.now) }

/** A time of `systemClock`, which nobody sets, as people read it from the host's. */
export function isoOf(at: number): string {
  return new Date(Date.now() + at - systemClock.now()).toISOString()
}
