import type { Behaviour, Endpoint } from './types.ts'
import { LIMITS } from './limits.ts'
import type { Consensus } from './observed-addresses.ts'
import type { Samples } from './samples.ts'

/** How the router maps the listening port, by those who saw it (SPEC.md section 3). */
export function mappingOf(consensus: Consensus, own: Endpoint[], samples: Samples): Behaviour {
  const [winner] = consensus.endpoints
  if (winner === undefined) return 'unknown'
  if (own.some(({ ip }) => ip === winner.ip)) return 'none'
  if (agree(consensus)) return 'endpoint-independent'
  return byOtherPorts(consensus, samples)
}

/** Two witnesses at different addresses, and more than half of all, saw the same port at one of a few addresses. */
function agree({ endpoints, voters }: Consensus): boolean {
  const byPort = [...Map.groupBy(endpoints, ({ port }) => port).values()]
  // Routers with two addresses may also keep a port for each.
  const shared = endpoints.filter(({ votes }) => votes >= 2).slice(0, LIMITS.maxExternalPerFamily)
  return [...byPort.filter(({ length }) => length <= LIMITS.maxExternalPerFamily), shared].some(
    (seen) => votesIn(seen) >= 2 && votesIn(seen) * 2 > voters,
  )
}

function votesIn(seen: Consensus['endpoints']): number {
  return seen.reduce((sum, { votes }) => sum + votes, 0)
}

/** With one witness, or when they differ, what one host sees at two of its ports decides. */
function byOtherPorts({ voters, endpoints }: Consensus, samples: Samples): Behaviour {
  // Of two that differ one may lie; the one that the operator chose is believed.
  const few = voters <= 2 && endpoints.some(({ trusted }) => trusted)
  const trusted = few ? samples.sameForOtherPort({ trustedOnly: true }) : undefined
  if (trusted !== undefined) {
    return trusted ? 'endpoint-independent' : 'address-and-port-dependent'
  }
  const same = samples.sameForOtherPort({ trustedOnly: false })
  if (voters >= 2) return same === true ? 'address-dependent' : 'address-and-port-dependent'
  if (same === undefined) return 'unknown'
  return same ? 'endpoint-independent' : 'address-and-port-dependent'
}
