/** Pictures of overlays made by hand, for the tests of what is measured on them. */
import type { Rng } from '../../../protocols/kernel/rng.ts'
import type { Picture } from './picture.ts'

/** Who chose whom. */
export type Choices = readonly (readonly number[])[]

/** Everybody alive, joined, public, honest, and agreed on who chose whom, unless `changes` says otherwise. */
export function pictureOf(chosen: Choices, changes: Partial<Picture> = {}): Picture {
  const size = chosen.length
  const accepted: number[][] = chosen.map(() => [])
  for (const [v, list] of chosen.entries()) for (const w of list) accepted[w]?.push(v)
  const nothing = chosen.map(() => [])
  return {
    at: 0,
    size,
    alive: new Uint8Array(size).fill(1),
    hidden: new Uint8Array(size),
    hostile: new Uint8Array(size),
    side: new Uint8Array(size),
    chosen,
    accepted,
    slotsById: nothing,
    slotsByGroup: nothing,
    sent: new Float64Array(size),
    received: new Float64Array(size),
    startedAt: new Float64Array(size),
    joinedAt: new Float64Array(size),
    ...changes,
  }
}

export const ring = (size: number): Choices =>
  Array.from({ length: size }, (_, v) => [(v + 1) % size])

export const clique = (size: number): Choices =>
  Array.from({ length: size }, (_, v) => Array.from({ length: v }, (_, w) => w))

export const star = (leaves: number): Choices => [
  [],
  ...Array.from({ length: leaves }, (): number[] => [0]),
]

/** Every node on a ring chooses the next `reach` ones. */
export const lattice = (size: number, reach: number): Choices =>
  Array.from({ length: size }, (_, v) =>
    Array.from({ length: reach }, (_, k) => (v + k + 1) % size),
  )

/** Every node chooses `out` others by lot. */
export const random = (size: number, out: number, rng: Rng): Choices =>
  Array.from({ length: size }, (_, v) => {
    const chosen = new Set<number>()
    while (chosen.size < out) {
      const w = Math.floor(rng() * size)
      if (w !== v) chosen.add(w)
    }
    return [...chosen]
  })

/** Ones at these places. */
export function flags(size: number, ...places: number[]): Uint8Array {
  const all = new Uint8Array(size)
  for (const place of places) all[place] = 1
  return all
}
