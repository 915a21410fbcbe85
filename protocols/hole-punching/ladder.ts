import type { RoundMethod } from './codec.ts'
import { isStable, isSymmetric } from './facts.ts'
import type { SideFacts } from './facts.ts'
import { LIMITS } from './limits.ts'

/** One rung: both sides try one method for a while. */
export interface Round {
  method: RoundMethod
  /** In a search: whether the caller opens the many sockets while the callee probes. */
  callerOpens: boolean
  /** How long to try, given the round trip between the two through a relay. */
  patienceMs(rttMs: number): number
}

const MEET: Round = {
  method: 'meet',
  callerOpens: false,
  patienceMs: (rttMs) => within(rttMs * LIMITS.meetRoundTrips, LIMITS.meetLeastMs),
}

/** With a search to follow, which the meeting would only delay. */
const SHORT_MEET: Round = {
  ...MEET,
  patienceMs: (rttMs) => within(rttMs * LIMITS.shortMeetRoundTrips, LIMITS.shortMeetLeastMs),
}

const BURST: Round = {
  method: 'burst',
  callerOpens: false,
  patienceMs: (rttMs) => within(rttMs * LIMITS.meetRoundTrips, LIMITS.burstMs),
}

const search = (callerOpens: boolean): Round => ({
  method: 'search',
  callerOpens,
  patienceMs: (rttMs) =>
    within(LIMITS.searchMs + rttMs * LIMITS.meetRoundTrips, LIMITS.searchMs + LIMITS.meetLeastMs),
})

/**
 * The rounds of a campaign, in order: every one differs from the one before, because identical tries add next to nothing. What is
 * known of the NATs decides the order only. A search between two symmetric NATs is the one thing left out: with neither
 * port known it would take 65,000 times as many probes.
 */
export function ladder(caller: SideFacts, callee: SideFacts, worked?: RoundMethod): Round[] {
  if (isSymmetric(caller) && isSymmetric(callee)) return [MEET, BURST]
  const callerOpens = opens(caller, callee)
  const opener = callerOpens ? caller : callee
  if (isSymmetric(opener) || worked === 'search') {
    return [SHORT_MEET, search(callerOpens), BURST, search(callerOpens)]
  }
  // Whose mapping nobody knows, and did not meet at once, is symmetric more often than not.
  return isStable(opener)
    ? [MEET, BURST, search(callerOpens)]
    : [MEET, search(callerOpens), BURST, search(!callerOpens)]
}

/** Whose port nobody knows: the side that is less certain to keep one for everybody opens many. */
function opens(caller: SideFacts, callee: SideFacts): boolean {
  return certainty(caller) < certainty(callee)
}

/** That all destinations see one port. */
function certainty(side: SideFacts): number {
  if (isSymmetric(side)) return 0
  if (isStable(side)) return 3
  return side.preservesPort ? 2 : 1
}

function within(ms: number, least: number): number {
  return Math.min(Math.max(ms, least), LIMITS.meetMostMs)
}
