/** A number in [0, 1) that belongs to these three numbers for ever: what must not depend on the order of events. */
export function fixed(seed: number, a: number, b: number): number {
  return mixed(seed, a, b) / 4294967296
}

/** 32 bits from three numbers. */
export function mixed(seed: number, a: number, b: number): number {
  let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 15) ^ a, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 13) ^ b, 0x27d4eb2f)
  h = Math.imul(h ^ (h >>> 16), 0x165667b1)
  h = Math.imul(h ^ (h >>> 14), 0x2c1b3c6d)
  return (h ^ (h >>> 15)) >>> 0
}

/** The value at `share` of a distribution that is given by its quantiles at equal steps. */
export function quantile(table: readonly number[], share: number): number {
  const at = share * (table.length - 1)
  const below = Math.min(table.length - 2, Math.floor(at))
  const [from, to] = [table[below] as number, table[below + 1] as number]
  return from + (at - below) * (to - from)
}
