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
