import { endpoint, endpointAddress, parseAddress } from '../../protocols/kernel/address.ts'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { explain, methodOf, withoutPunching } from '../../protocols/hole-punching/explain.ts'
import type { SideFacts } from '../../protocols/hole-punching/facts.ts'
import type { Attempt } from '../../protocols/hole-punching/outputs.ts'
import { describeSide, predict } from '../../protocols/hole-punching/predict.ts'
import { isoOf } from '../drivers/clock.ts'
import { readTarget } from './connector.ts'
import type { Parts } from './parts.ts'
import type { Explanation, Path, PunchAttempt, SideNetwork } from '../types.ts'

type Needed = Pick<Parts, 'self' | 'links' | 'overlay' | 'meeting' | 'libp2p'>

/** Why the path to a peer is what it is, from what this node remembers; asks nobody. */
export function explanationOf(target: string, parts: Needed): Explanation {
  const { peer } = readTarget(target)
  const { links, meeting } = parts
  assertKnown(peer, parts)
  const [own, remote] = [meeting.ownFacts(), meeting.factsOf(peer)]
  const { ok, reason } = parts.libp2p.transport.portReuse
  const off = ok ? undefined : (reason ?? 'dials cannot leave from the listening port')
  const networks = predict(own, remote)
  const prediction = off === undefined ? networks : withoutPunching(networks, off)
  const path = links.path(peer)
  const attempts = meeting.attempts(peer)
  const { text, next, remedy } = explain({
    path,
    prediction,
    attempts,
    off,
    active: meeting.punching.isActive(peer),
    againAt: meeting.punching.history(peer).againAt,
    relays: meeting.relaysOf(peer).length,
  })
  return {
    peer,
    text,
    ...(path === undefined ? {} : { path }),
    prediction,
    own: sideOf(own),
    remote: sideOf(remote),
    candidates: candidatesOf(peer, path, attempts, parts),
    attempts: attempts.map(readable),
    ...(next === undefined
      ? {}
      : { next: { ...(next.at !== undefined && { at: isoOf(next.at) }), text: next.text } }),
    ...(remedy === undefined ? {} : { remedy }),
  }
}

function assertKnown(peer: string, { self, links, overlay, meeting }: Needed): void {
  if (peer === self) {
    throw new WarrenError('ERR_PEER_INVALID', 'that is this node itself', {
      remedy: 'name another peer; `warren doctor` tells what this network lets the node do',
    })
  }
  if (overlay.get(peer) !== undefined || links.has(peer) || meeting.attempts(peer).length > 0)
    return
  throw new WarrenError('ERR_PEER_UNKNOWN', `no peer ${peer} is known`, {
    remedy: '`warren peers` lists who is; `warren connect` asks others for it',
  })
}

function sideOf(facts: SideFacts): SideNetwork {
  const { reachability, mapping, filtering, external } = facts
  return {
    reachability,
    mapping,
    filtering,
    external: external.map(({ ip, port }) => endpoint(ip, port)),
    text: describeSide(facts),
  }
}

type Candidate = Explanation['candidates'][number]

const ORIGINS = { direct: 'record', external: 'record', lan: 'lan', relayed: 'relay' } as const

/** What the record lists, then what only the peer itself has told; each with what became of it. */
function candidatesOf(
  peer: string,
  path: Path | undefined,
  attempts: readonly Attempt[],
  { overlay }: Needed,
): Candidate[] {
  const tried = new Set(attempts.flatMap(({ candidates }) => candidates).map(endpointAddress))
  const inUse = path?.kind === 'direct' ? bare(path.address) : undefined
  const via = path?.kind === 'relayed' ? path.via : undefined
  const candidates: Candidate[] = []
  const seen = new Set<string>()
  const add = (address: string, origin: Candidate['origin']): void => {
    if (seen.has(bare(address))) return
    seen.add(bare(address))
    const used = origin === 'relay' ? parseAddress(address)?.relay === via : bare(address) === inUse
    const state = used ? 'in-use' : tried.has(bare(address)) ? 'tried' : 'known'
    candidates.push({ address, origin, state })
  }
  for (const { address, kind } of overlay.get(peer)?.addresses ?? []) add(address, ORIGINS[kind])
  for (const address of tried) add(address, 'told')
  return candidates
}

/** Without the peer at the end, so that one endpoint is one address. */
function bare(address: string): string {
  return address.includes('/p2p-circuit') ? address : address.replace(/\/p2p\/[^/]+$/, '')
}

function readable(attempt: Attempt): PunchAttempt {
  const { at, side, round, carrier, outcome, ms, reason, address, candidates, steps } = attempt
  return {
    at: isoOf(at),
    side,
    round,
    method: methodOf(attempt),
    carrier: carrier === 'circuit' ? 'relayed' : 'signal',
    outcome,
    ms,
    ...(reason === undefined ? {} : { reason }),
    ...(address === undefined ? {} : { address }),
    candidates: [...candidates],
    // A connection that was on its way already is older than the attempt.
    steps: steps.map(({ name, ms }) => ({ name, ms: Math.max(0, ms) })),
  }
}
