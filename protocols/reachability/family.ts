import type { Instant } from '../kernel/machine.ts'
import type { Assessment } from './evidence.ts'
import type { Endpoint, Verdict } from './types.ts'
import { FilterWords } from './filtering.ts'
import { LIMITS } from './limits.ts'
import type { Consensus } from './observed-addresses.ts'
import { Samples } from './samples.ts'
import { Words } from './words.ts'

/** What is known of one family, and what was made of it. */
export interface FamilyState {
  verdict: Verdict
  /** Whether somebody tried to get in before it was reached. */
  tried: boolean
  /** Since when the evidence has said something else. */
  contrarySince: Instant | undefined
  /** What strangers could dial when the evidence last agreed with the verdict. */
  dialable: Endpoint[]
  words: Words
  filters: FilterWords
  samples: Samples
  /** Where most on the internet last saw us. */
  outside: string | undefined
}

/** Nothing is known. */
export function freshFamily(): FamilyState {
  return {
    verdict: 'unknown',
    tried: false,
    contrarySince: undefined,
    dialable: [],
    words: new Words(),
    filters: new FilterWords(),
    samples: new Samples(),
    outside: undefined,
  }
}

/**
 * A first verdict counts at once; a different one only after it has held for a while. Until then the
 * addresses of the old one stay, so that announcements never flap faster than the verdict.
 */
export function settle(state: FamilyState, found: Assessment, now: Instant): void {
  if (found.verdict !== state.verdict && state.verdict !== 'unknown') {
    state.contrarySince ??= now
    if (now < state.contrarySince + holdOf(state)) return
    // It has stood against something: the next change has to hold as well.
    state.tried = true
  }
  state.verdict = found.verdict
  state.tried ||= found.tried
  state.contrarySince = undefined
  state.dialable = found.dialable
}

/** How long evidence against the verdict has to stand. */
export function holdOf({ verdict, tried }: FamilyState): number {
  return verdict === 'private' && !tried ? LIMITS.untriedHoldMs : LIMITS.holdMs
}

/** What was found out about the address that the router had before says nothing about the one it has now. */
export function watchOutside(state: FamilyState, { endpoints }: Consensus): void {
  const [winner] = endpoints
  if (winner === undefined || endpoints.some(({ ip }) => ip === state.outside)) return
  if (state.outside !== undefined) {
    for (const each of [state.words, state.filters, state.samples]) each.clear()
  }
  state.outside = winner.ip
}

/**
 * Proof for a place that is mapped no more is worth nothing, and a verdict that rested on it alone is over at once: nobody
 * should be sent there for as long as other changes have to hold.
 */
export function loseMapping(state: FamilyState, place: string): void {
  const proven = state.words.good().some(({ stranger, door }) => stranger && door === place)
  state.words.dropDoor(place)
  if (!proven) return
  // What it rests on besides counts anew, without a pause.
  state.verdict = 'unknown'
  state.contrarySince = undefined
}

/** When the verdict may change, or evidence grow too old, without anything happening. */
export function wakesOf(state: FamilyState): (Instant | undefined)[] {
  const { contrarySince, words, filters, samples } = state
  const changed = contrarySince === undefined ? undefined : contrarySince + holdOf(state)
  return [changed, ...[words, filters, samples].map((each) => each.nextExpiry())]
}
