/** What is in the sampler slots of the nodes that count. */
import type { Picture } from '../picture.ts'
import { countsOf, relativeDeviation, share } from './spread.ts'

export interface SlotFigures {
  filled: number
  spread: number
  /** Of the slots that rank ids, which is where a uniform sample comes from; and of those that rank groups. */
  publicBias: number
  publicBiasByGroup: number
  stale: number
  hostile: number
  inDegree: number[]
}

export function slotFigures(picture: Picture, nodes: Int32Array): SlotFigures {
  const tally = tallyOf(picture, nodes)
  const inDegree = inDegrees(picture, nodes)
  return {
    filled: tally.all / nodes.length,
    spread: relativeDeviation(inDegree),
    publicBias: ofRanked(picture, nodes, picture.slotsById) - publicShare(picture),
    publicBiasByGroup: ofRanked(picture, nodes, picture.slotsByGroup) - publicShare(picture),
    stale: share(tally.all - tally.alive, tally.all),
    hostile: share(tally.hostile, tally.all),
    inDegree: countsOf(inDegree),
  }
}

/** Share of hostile peers in all slots; quick, for a point of a time series. */
export function hostileInSlots(picture: Picture, nodes: Int32Array): number {
  const tally = tallyOf(picture, nodes)
  return share(tally.hostile, tally.all)
}

/** The public share of the living in slots of one kind. */
function ofRanked(
  picture: Picture,
  nodes: Int32Array,
  slots: readonly (readonly number[])[],
): number {
  const tally = { all: 0, alive: 0, public: 0, hostile: 0 }
  for (const v of nodes) count(picture, slots[v], tally)
  return tally.public / tally.alive
}

function tallyOf(picture: Picture, nodes: Int32Array): Tally {
  const tally = { all: 0, alive: 0, public: 0, hostile: 0 }
  for (const v of nodes) {
    count(picture, picture.slotsById[v], tally)
    count(picture, picture.slotsByGroup[v], tally)
  }
  return tally
}

interface Tally {
  all: number
  alive: number
  /** Alive and public. */
  public: number
  hostile: number
}

function count(
  { alive, hidden, hostile }: Picture,
  slots: readonly number[] | undefined,
  tally: Tally,
): void {
  for (const w of slots ?? []) {
    tally.all++
    if (hostile[w] === 1) tally.hostile++
    if (alive[w] === 0) continue
    tally.alive++
    if (hidden[w] === 0) tally.public++
  }
}

/** In how many id-ranked slots each of `nodes` is; two slots of one holder are two. */
function inDegrees({ size, slotsById }: Picture, nodes: Int32Array): Float64Array {
  const held = new Int32Array(size)
  for (const v of nodes) {
    for (const w of slotsById[v] ?? []) held[w] = (held[w] as number) + 1
  }
  return Float64Array.from(nodes, (v) => held[v] as number)
}

/** Of all nodes that are alive, hostile ones too: anybody alive can be in a slot. */
function publicShare({ size, alive, hidden }: Picture): number {
  let living = 0
  let open = 0
  for (let v = 0; v < size; v++) {
    if (alive[v] === 0) continue
    living++
    if (hidden[v] === 0) open++
  }
  return open / living
}
