import { SERVING_LIMITS } from './limits.ts'

export type RelayMode = 'auto' | 'on' | 'off'

export interface ServingFacts {
  mode: RelayMode
  verdict: 'public' | 'private' | 'unknown'
  /** Some peer connected to us directly without our having dialled it. */
  reachedInbound: boolean
  /** It has just started, has a public address of its own, and nobody has failed to dial it. */
  hopeful: boolean
}

/** Whether this node should relay for others now, and the reason in words. */
export function shouldServe(facts: ServingFacts): { on: boolean; reason: string } {
  if (facts.mode === 'on') return { on: true, reason: 'the operator asked for it' }
  if (facts.mode === 'off') return { on: false, reason: 'the operator does not want it' }
  if (facts.verdict === 'public') return { on: true, reason: 'this node is publicly reachable' }
  if (facts.verdict === 'private') return { on: false, reason: 'strangers cannot reach this node' }
  // A network that knows no internet has no public nodes: whoever can be reached must do.
  if (facts.reachedInbound) return { on: true, reason: 'peers of this network reach this node' }
  // The first nodes of an overlay come to a bootstrap in its first seconds, and need its relay at once.
  if (facts.hopeful) return { on: true, reason: 'this node has just started on a public address' }
  return { on: false, reason: 'it is not known yet whether this node can be reached' }
}

/** Why a request is refused; the relay protocol has a status code for each. */
export type Refusal = 'full' | 'too-many-of-address' | 'too-many-circuits'

/** Whether one more reservation fits. A renewal always does. */
export function admitReservation(counts: {
  total: number
  ofIp: number
  renewal: boolean
}): Refusal | undefined {
  if (counts.renewal) return undefined
  if (counts.total >= SERVING_LIMITS.maxReservations) return 'full'
  if (counts.ofIp >= SERVING_LIMITS.maxReservationsPerIp) return 'too-many-of-address'
  return undefined
}

/** Whether one more circuit fits. */
export function admitCircuit(counts: {
  total: number
  ofSource: number
  ofTarget: number
}): Refusal | undefined {
  if (counts.total >= SERVING_LIMITS.maxCircuits) return 'full'
  const most = Math.max(counts.ofSource, counts.ofTarget)
  return most >= SERVING_LIMITS.maxCircuitsPerPeer ? 'too-many-circuits' : undefined
}
