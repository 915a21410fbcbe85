import type { SideFacts } from '../../protocols/hole-punching/facts.ts'
import type { Container } from '../net/container.ts'
import type { DoctorCheck, NodeStatus, PeerStatus } from '../types.ts'
import { clock } from './doctor-clock.ts'
import { addresses, container, portReuse } from './doctor-host.ts'
import { portMapping } from './doctor-mapping.ts'
import { mapping, outlook, reachability } from './doctor-network.ts'
import { stillOpen } from './doctor-pending.ts'
import type { Underway } from './doctor-pending.ts'
import type { MappingFacts } from './mapping-keeper.ts'

/** What the doctor goes by. */
export interface Findings {
  status: NodeStatus
  peers: PeerStatus[]
  own: SideFacts
  router: MappingFacts
  underway: Underway
  container: Container | undefined
  /** How far the clocks of peers are ahead of ours, in milliseconds. */
  clocks: number[]
  /** Unix time. */
  now: number
}

/** What this network lets the node do, judged from what the running node has found out. */
export function examine(found: Findings): DoctorCheck[] {
  const { status, own, router, now } = found
  const open = stillOpen(found)
  const checks = [
    portReuse(status),
    addresses(status),
    overlay(found),
    openness(status),
    reachability(status),
    mapping(status),
    portMapping(status, router, found.container),
    outlook(status, own),
    relays(status),
    clock(now, found.clocks),
    ...container(status, found.container),
    ...status.conditions.filter(({ code }) => !TOLD.has(code)).map(asCheck),
  ]
  return checks.map((check) => {
    const pending = open.get(check.code)
    return pending === undefined ? check : { ...check, pending }
  })
}

/** Conditions that checks tell with more about them. */
const TOLD = new Set(['overlay.alone', 'transport.no-port-reuse', 'nat.double'])

const RESULTS = { broken: 'problem', degraded: 'warning', info: 'ok' } as const

function asCheck({ code, severity, text, remedy }: NodeStatus['conditions'][number]): DoctorCheck {
  const title = code.startsWith('bootstrap.') ? 'Bootstraps' : 'Condition'
  const result = RESULTS[severity]
  return { code, title, result, text, ...(remedy === undefined ? {} : { remedy }) }
}

function overlay({ status, peers, underway }: Findings): DoctorCheck {
  const { links, peersKnown } = status
  const check = { code: 'overlay.links', title: 'Links' }
  const linked = links.direct + links.relayed
  const text = `${linked} linked (${links.direct} direct, ${links.relayed} relayed), ${peersKnown} known`
  if (linked > 0) return { ...check, result: 'ok', text }
  const meaning = 'this node is alone, and nobody can tell it how its network looks from outside'
  if (underway.bootstraps === 0 && peers.length === 0) {
    const remedy = 'name a member to join through: --bootstrap /ip4/…/tcp/4001/p2p/…'
    return { ...check, result: 'warning', text, meaning, remedy }
  }
  const remedy =
    underway.bootstraps > 0
      ? 'see that the bootstraps run, that their addresses are right, and that they can be dialled from here'
      : 'see whether this host is online; name a member that runs with --bootstrap'
  return { ...check, result: 'problem', text, meaning, remedy }
}

/** Below this many honest members a few hostile ones that are there from the beginning can surround newcomers. */
const YOUNG = 300

/** What an open overlay cannot defend itself against; see protocols/peer-exchange/SPEC.md, section 11. */
function openness({ overlay: { closed, estimatedSize }, peersKnown }: NodeStatus): DoctorCheck {
  const check = { code: 'overlay.openness', title: 'Who may join' }
  if (closed) return { ...check, result: 'ok', text: 'members share a network key' }
  const size = Math.max(estimatedSize ?? 0, peersKnown)
  if (size === 0) return { ...check, result: 'ok', text: 'anybody may; no other member is known' }
  const text = `anybody may join; ${size} other ${size === 1 ? 'member' : 'members'}, as far as known`
  if (size >= YOUNG) return { ...check, result: 'ok', text }
  return {
    ...check,
    result: 'warning',
    text,
    meaning:
      'while an overlay is small, whoever brings many identities from the beginning can take the places for neighbours and surround newcomers',
    remedy: 'start small or young networks with a key that all members share: --network-key FILE',
  }
}

function relays({ relays: held, reachability: { verdict }, serving }: NodeStatus): DoctorCheck {
  const check = { code: 'relay.held', title: 'Relays' }
  const count = held.filter(({ state }) => state === 'held').length
  if (verdict === 'unknown' && held.length === 0 && !serving.relay)
    return { ...check, result: 'unknown', text: 'whether this node needs any is not known' }
  if (verdict === 'public' || (verdict === 'unknown' && held.length === 0))
    return { ...check, ...asRelay(serving) }
  const silent = held.filter(({ forwards }) => forwards === false)
  if (silent.length > 0) {
    return {
      ...check,
      result: 'warning',
      text: `${silent.map(({ peer }) => peer).join(', ')} passes nothing on`,
      meaning: 'another relay is looked for',
    }
  }
  if (count >= 2) return { ...check, result: 'ok', text: `${count} relays held` }
  return {
    ...check,
    result: count === 1 ? 'warning' : 'problem',
    text: count === 1 ? 'one relay held' : 'no relay held',
    meaning:
      count === 1
        ? 'when it goes, nobody can reach this node until another is found'
        : 'nobody can reach this node',
    remedy: 'the overlay needs public members that relay: run one with a public address',
  }
}

/** What a node that needs no relay is for others. */
function asRelay({ relay, reservations, circuits, budgets }: NodeStatus['serving']) {
  if (!relay) return { result: 'ok' as const, text: 'needs no relay' }
  const { limit } = budgets.reservations
  const text = `relays for others: ${reservations} of ${limit} reservations, ${circuits} circuits`
  const { limitedBy } = budgets
  if (limitedBy === 'configuration' || limit > SMALL_RELAY) return { result: 'ok' as const, text }
  return {
    result: 'warning' as const,
    text: `${text}, as ${limitedBy} are scarce`,
    remedy: 'give it more memory and open files, or --relay off',
  }
}

/** A relay with fewer places than this is of little use to an overlay. */
const SMALL_RELAY = 32
