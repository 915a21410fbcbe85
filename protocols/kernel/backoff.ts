import { jittered } from './rng.ts'
import type { Rng } from './rng.ts'

export interface BackoffLimits {
  firstMs: number
  maxMs: number
}

/** The pause before try number `attempt` (1 is the first retry): doubling, capped, spread by ±25 %. */
export function backoffMs(attempt: number, limits: BackoffLimits, rng: Rng): number {
  const doubled = limits.firstMs * 2 ** Math.min(attempt - 1, 30)
  return jittered(Math.min(doubled, limits.maxMs), 0.25, rng)
}
