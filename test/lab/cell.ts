/** The words of the matrix: a cell, how it is played, and what one try of it came to. */
import type { PathMethod } from '../../src/types.ts'
import type { Expectation } from './expectation.ts'
import type { PlaceKind } from './world.ts'

/** One row of the matrix: A connects to B. */
export interface Cell extends Expectation {
  a: PlaceKind
  b: PlaceKind
}

export const cellName = ({ a, b }: Pick<Cell, 'a' | 'b'>): string => `${a}×${b}`

export interface CellOptions {
  tries: number
  rttMs: number
  lossPercent: number
  /** Frames towards A take this much longer than frames from A. */
  skewMs: number
  /** Each frame takes up to this much longer, each by chance. */
  jitterMs: number
  /** Which addresses and ports are handed out; 0 for the usual ones. */
  rangeSeed: number
  /** Whether A and B join through the same public node, or each through another. */
  relays: 'shared' | 'split'
  /** How many tries are played at the same time; with more than one the times are not to be quoted. */
  parallel: number
}

/** One step of an attempt, as the node that made it tells. */
export interface TraceStep {
  name: string
  ms: number
}

/** What one try came to. */
export interface Try {
  ok: boolean
  /** From both being usable until A knows an address of B by peer exchange. */
  knownMs: number | null
  /** The two were linking to each other already when the connect call was made: the times below are too short. */
  early: boolean
  /** From the connect call to a direct path. */
  directMs: number | null
  /** From the connect call to the first relayed link. */
  relayedMs: number | null
  method: PathMethod | 'relayed' | null
  /** Packets that A and B sent to each other's addresses until the path was direct. */
  packets: { a: number; b: number } | null
  /** What `explain` tells of the attempt; null where the node does not tell. */
  trace: TraceStep[] | null
  /** Why it failed. */
  failure: string | null
}

/** A try of which nothing is known yet. */
export const untried = (): Try => ({
  ok: false,
  knownMs: null,
  early: false,
  directMs: null,
  relayedMs: null,
  method: null,
  packets: null,
  trace: null,
  failure: null,
})
