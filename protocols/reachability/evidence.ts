import type { Family } from '../kernel/address.ts'
import { endpoint } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { FilterWords } from './filtering.ts'
import { LIMITS } from './limits.ts'
import { mappingOf } from './mapping.ts'
import type { Consensus } from './observed-addresses.ts'
import type { PortChoice, Samples } from './samples.ts'
import type { Behaviour, Endpoint, Verdict } from './types.ts'
import { areEnough, LISTENING, networksIn } from './words.ts'
import type { Word, Words } from './words.ts'

/** Everything known about one family at one moment. */
export interface FamilyEvidence {
  family: Family
  /** Listening endpoints on addresses of this host. */
  own: Endpoint[]
  ownPublic: Endpoint[]
  /** Seen by peers on the internet, and by peers on our local networks. */
  internet: Consensus
  local: Consensus
  /** Who got in, and who did not. */
  words: Words
  filters: FilterWords
  samples: Samples
  /** The place that our router is said to map to us. */
  mapped: Endpoint | undefined
  /** Since when there is a firewall of our router's that is closed. */
  firewalledAt: Instant | undefined
}

export interface Assessment {
  verdict: Verdict
  /** Somebody has tried to get in, so that the verdict is more than what observers let expect. */
  tried: boolean
  confirmations: number
  mapping: Behaviour
  filtering: Behaviour
  ports: PortChoice
  /** Best first. */
  external: Endpoint[]
  /** Endpoints that strangers can dial. */
  dialable: Endpoint[]
}

/** The rules of SPEC.md section 3 for one family. */
export function assess(evidence: FamilyEvidence): Assessment {
  return evidence.ownPublic.length > 0 ? onTheInternet(evidence) : behindSomething(evidence)
}

/**
 * A host with a public address of its own may still sit behind a firewall, as most homes with IPv6 do: it is public once
 * somebody got in. Until somebody failed its address is announced all the same, so that a first node can be joined.
 */
function onTheInternet({ ownPublic, words, filters, firewalledAt }: FamilyEvidence): Assessment {
  const good = words.good()
  const bad = words.bad()
  const reached = networksIn(good)
  const firewalled = firewalledAt !== undefined
  const verdict = reached > 0 ? 'public' : firewalled || areEnough(bad) ? 'private' : 'unknown'
  return {
    verdict,
    tried: true,
    confirmations: verdict === 'public' ? reached : networksIn(bad),
    mapping: 'none',
    filtering: reached > 0 ? 'none' : filters.behaviour(),
    ports: 'preserved',
    external: ownPublic.slice(0, LIMITS.maxExternalPerFamily),
    dialable: reached > 0 || (bad.length === 0 && !firewalled) ? ownPublic : [],
  }
}

/** Without a public address of its own a host is behind a NAT, or its network knows no internet. */
function behindSomething(evidence: FamilyEvidence): Assessment {
  const { internet, local, own, words, filters, samples } = evidence
  const consensus = internet.voters > 0 ? internet : local
  const seen = seenOutside(consensus, own)
  const mapping = mappingOf(consensus, own, samples)
  const nat = { mapping, ports: mapping === 'none' ? 'preserved' : samples.portChoice() } as const
  const strangers = words.good().filter((word) => countsBehindNat(word, mapping))
  if (strangers.length > 0) {
    const dialable = provenEndpoints(strangers, evidence, seen)
    return {
      ...nat,
      verdict: 'public',
      tried: true,
      confirmations: networksIn(strangers),
      filtering: cameElsewhere(strangers, evidence) ? 'endpoint-independent' : filters.behaviour(),
      external: unique([...dialable, ...seen]).slice(0, LIMITS.maxExternalPerFamily),
      dialable,
    }
  }
  return {
    ...nat,
    verdict: seen.length > 0 ? 'private' : 'unknown',
    tried: words.bad().length > 0,
    confirmations: seen.length > 0 ? (consensus.endpoints[0]?.votes ?? 0) : 0,
    filtering: mapping === 'none' ? 'unknown' : filters.behaviour(),
    external: seen,
    dialable: [],
  }
}

/**
 * Only strangers count behind a NAT. One that came by the outside port that a single helper sees proves nothing to others when
 * they would see another port; an inbound connection tells by itself where it came in.
 */
function countsBehindNat({ stranger, kind, door }: Word, mapping: Behaviour): boolean {
  const symmetric = mapping === 'address-dependent' || mapping === 'address-and-port-dependent'
  return stranger && !(symmetric && kind === 'probe' && door === LISTENING)
}

/** Who came by a mapped port says nothing about the others; who does not say where may have come there. */
function cameElsewhere(strangers: Word[], { mapped }: FamilyEvidence): boolean {
  if (mapped === undefined) return true
  const there = endpoint(mapped.ip, mapped.port)
  return strangers.some(({ door }) => door !== '' && door !== there)
}

/**
 * Where strangers came in, as far as that can be believed: at an address where most see us, or at a port that the router says it
 * forwards. What one peer alone says it has dialled would be announced to everybody.
 */
function provenEndpoints(
  strangers: Word[],
  { mapped, internet }: FamilyEvidence,
  seen: Endpoint[],
): Endpoint[] {
  const hosts = new Set((internet.voters > 0 ? seen : []).map(({ ip }) => ip))
  const named = new Set(strangers.map(({ door }) => door))
  const forwarded =
    mapped !== undefined && named.has(endpoint(mapped.ip, mapped.port)) ? [mapped] : []
  const told = strangers.flatMap(({ via }) =>
    via !== undefined && (hosts.size === 0 || hosts.has(via.ip)) ? [via] : [],
  )
  const proven = unique([...forwarded, ...told])
  return proven.length > 0 ? proven : seen.slice(0, 1)
}

/** The endpoints others saw that no interface of ours has. The strongest vote decides which it is. */
function seenOutside({ endpoints }: Consensus, own: Endpoint[]): Endpoint[] {
  const [winner] = endpoints
  if (winner === undefined || own.some(({ ip }) => ip === winner.ip)) return []
  return endpoints
    .filter(({ ip }) => !own.some((mine) => mine.ip === ip))
    .slice(0, LIMITS.maxExternalPerFamily)
    .map(({ ip, port }) => ({ ip, port }))
}

function unique(endpoints: Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((at) => [endpoint(at.ip, at.port), at])).values()]
}
