/** A source of numbers in [0, 1). Passed in, so that a run can be repeated from its seed. */
export type Rng = () => number

/** A small seedable generator (mulberry32): enough for jitter and sampling, never for secrets. */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** `value` spread by ± `fraction` of itself. */
export function jittered(value: number, fraction: number, rng: Rng): number {
  return value * (1 + fraction * (2 * rng() - 1))
}

/** Shuffles in place (Fisher-Yates) and returns the array. */
export function shuffle<T>(items: T[], rng: Rng): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(rng() * (i + 1))
    const a = items[i] as T
    items[i] = items[j] as T
    items[j] = a
  }
  return items
}
