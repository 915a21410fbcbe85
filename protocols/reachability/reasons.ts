import { endpoint } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { FamilyEvidence } from './evidence.ts'
import type { Verdict } from './types.ts'
import { networksIn } from './words.ts'
import type { Word } from './words.ts'

/** One sort of evidence for or against being reachable. */
export interface Reason {
  /**
   * `configuration`: the operator says so; `inbound`: strangers came in; `probe`: peers dialled back at our request;
   * `port-mapping`: the router opens a port, or has closed it again, as those found who tried it; `autonat`: AutoNAT v2; `observers`: peers see us at an
   * address that no interface of ours has.
   */
  kind: 'configuration' | 'inbound' | 'port-mapping' | 'probe' | 'autonat' | 'observers'
  says: Verdict
  /** How many networks say so. */
  networks: number
  /** The newest of it. */
  at: Instant
}

/** All that the verdict rests on, in the order in which it counts. */
export function reasonsOf(families: FamilyEvidence[], configuredAt: Instant | undefined): Reason[] {
  const configured: Reason[] =
    configuredAt === undefined
      ? []
      : [{ kind: 'configuration', says: 'public', networks: 0, at: configuredAt }]
  return merged([...configured, ...families.flatMap(reasonsOfFamily)])
}

function reasonsOfFamily(evidence: FamilyEvidence): Reason[] {
  const { words, mapped, ownPublic, firewalledAt } = evidence
  const place = mapped && endpoint(mapped.ip, mapped.port)
  // Behind a NAT it tells nothing that somebody got in whom we talk to anyway.
  const good = words.good().filter(({ stranger }) => stranger || ownPublic.length > 0)
  const sorts = (says: Verdict, all: Word[]): Reason[] =>
    [...Map.groupBy(all, (word) => sortOf(word, place))].map(([kind, some]) => ({
      kind,
      says,
      networks: networksIn(some),
      at: Math.max(...some.map(({ at }) => at)),
    }))
  const closed: Reason[] =
    firewalledAt === undefined
      ? []
      : [{ kind: 'port-mapping', says: 'private', networks: 0, at: firewalledAt }]
  return [
    ...sorts('public', good),
    ...closed,
    ...sorts('private', words.bad()),
    ...observers(evidence),
  ]
}

/** Whoever came, or did not, by the place that the router maps says something of that alone. */
function sortOf({ kind, door }: Word, place: string | undefined): Reason['kind'] {
  return kind !== 'inbound' && door === place ? 'port-mapping' : kind
}

/** Whoever sees us elsewhere than we are says that something translates in between. */
function observers({ internet, own, ownPublic }: FamilyEvidence): Reason[] {
  const [winner] = internet.endpoints
  if (winner === undefined || ownPublic.length > 0) return []
  if (own.some(({ ip }) => ip === winner.ip)) return []
  return [{ kind: 'observers', says: 'private', networks: internet.voters, at: internet.at }]
}

const ORDER: readonly Reason['kind'][] = [
  'configuration',
  'inbound',
  'port-mapping',
  'probe',
  'autonat',
  'observers',
]

/** IPv4 and IPv6 as one. */
function merged(reasons: Reason[]): Reason[] {
  const alike = Map.groupBy(reasons, ({ kind, says }) => `${kind} ${says}`)
  return [...alike.values()]
    .map((same) => ({
      ...(same[0] as Reason),
      networks: same.reduce((sum, { networks }) => sum + networks, 0),
      at: Math.max(...same.map(({ at }) => at)),
    }))
    .sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))
}
