import { setTimeout as pause } from 'node:timers/promises'
import type { DoctorCheck } from '../types.ts'

export interface Patience {
  /** What is known by then has to do. */
  waitMs: number
  signal?: AbortSignal
  /** Told what is being found out, and what came of it. */
  progress?: (text: string) => void
}

/** How often the node is looked at: people read a line in this time, and looking costs next to nothing. */
const LOOK_MS = 250

/**
 * Between two steps of an examination there are moments at which nothing is under way: a peer that was met has to be identified
 * before it is asked, a changed verdict has to stand.
 */
const QUIET_MS = 1_500

/** Looks until nothing is being found out any more. Rejects when the signal aborts. */
export async function untilKnown(
  look: () => Promise<DoctorCheck[]>,
  { waitMs, signal, progress }: Patience,
): Promise<DoctorCheck[]> {
  const until = performance.now() + waitMs
  let quietUntil = 0
  let before: readonly DoctorCheck[] = []
  for (;;) {
    const checks = await look()
    for (const line of newsOf(before, checks)) progress?.(line)
    const now = performance.now()
    if (checks.some(({ pending }) => pending !== undefined)) quietUntil = now + QUIET_MS
    if (now >= Math.min(until, quietUntil)) return checks
    before = checks
    await pause(LOOK_MS, undefined, signal && { signal })
  }
}

/** What has begun, gone on or ended between two looks, a line each. */
export function newsOf(before: readonly DoctorCheck[], now: readonly DoctorCheck[]): string[] {
  const was = new Map(before.map((check) => [check.code, check.pending]))
  return now.flatMap(({ code, title, text, pending }) => {
    if (pending === was.get(code)) return []
    return [`${title}: ${pending ?? text}`]
  })
}
