/** How figures are written, and what is asked of them. */

export type Format = (value: number) => string

export const decimals =
  (places: number): Format =>
  (value) =>
    value.toFixed(places)
export const whole: Format = (value) => value.toFixed(0)
export const percent: Format = (value) => `${trimmed(value * 100, 2)} %`
/** Percentage points: a difference between two shares. */
export const points: Format = (value) => `${value > 0 ? '+' : ''}${(value * 100).toFixed(2)} pp`
export const seconds: Format = (value) => `${trimmed(value / 1_000, 1)} s`
export const mebibytes: Format = (value) => `${trimmed(value / 2 ** 20, 2)} MiB`
export const scientific: Format = (value) => (value === 0 ? '0' : value.toExponential(1))
/** A share so close to 1 that what is missing counts; rounded down, for 0.999996 is not the 1 of a goal. */
export const nearOne: Format = (value) =>
  value === 1 ? '1.0000' : trimmed(Math.floor(value * 1e5) / 1e5, 5)

const trimmed = (value: number, places: number): string => String(Number(value.toFixed(places)))

/** A figure as people read it; NaN and Infinity are what never came about. */
export const write = (value: number, format: Format): string =>
  Number.isFinite(value) ? format(value) : 'never'

export interface Goal {
  /** False for NaN: what never came about is missed. */
  holds(value: number): boolean
  text(format: Format): string
}

export const atMost = (most: number): Goal => ({
  holds: (value) => value <= most,
  text: (format) => `≤ ${format(most)}`,
})

export const atLeast = (least: number): Goal => ({
  holds: (value) => value >= least,
  text: (format) => `≥ ${format(least)}`,
})

export const between = (least: number, most: number): Goal => ({
  holds: (value) => value >= least && value <= most,
  text: (format) => `${format(least)} to ${format(most)}`,
})

export const exactly = (wanted: number): Goal => ({
  holds: (value) => value === wanted,
  text: (format) => format(wanted),
})
