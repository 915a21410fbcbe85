import { COMMON_NETWORKS, OPEN_ONE_SIDE, predict } from '../../protocols/hole-punching/predict.ts'
import type { ExpectedMethod } from '../../protocols/hole-punching/predict.ts'
import type { SideFacts } from '../../protocols/hole-punching/facts.ts'
import { natClass } from '../../protocols/reachability/nat-class.ts'
import type { DoctorCheck, NodeStatus, PeerStatus } from '../types.ts'
import { portMapping } from './doctor-mapping.ts'
import type { MappingFacts } from './mapping-keeper.ts'

/** What this network lets the node do, judged from what the running node has found out. */
export function examine(
  status: NodeStatus,
  peers: PeerStatus[],
  own: SideFacts,
  router: MappingFacts,
): DoctorCheck[] {
  return [
    portReuse(status),
    overlay(status, peers),
    openness(status),
    reachability(status),
    mapping(status),
    portMapping(status, router),
    outlook(status, own),
    relays(status),
    clock(),
    ...status.conditions.map((condition): DoctorCheck => ({
      code: condition.code,
      title: 'Condition',
      result: condition.severity === 'broken' ? 'problem' : 'warning',
      text: condition.text,
      ...(condition.remedy === undefined ? {} : { remedy: condition.remedy }),
    })),
  ]
}

function portReuse({ transport }: NodeStatus): DoctorCheck {
  const check = { code: 'transport.port-reuse', title: 'Dialling from the listening port' }
  if (transport.portReuse)
    return { ...check, result: 'ok', text: 'dials leave from the listening port' }
  return {
    ...check,
    result: 'problem',
    text: transport.reason ?? 'dials leave from other ports',
    meaning: 'hole punching is off: peers behind NATs are reached through relays only',
    remedy: 'run Node.js 24.21 or newer on Linux',
  }
}

function overlay({ links, peersKnown }: NodeStatus, peers: PeerStatus[]): DoctorCheck {
  const check = { code: 'overlay.links', title: 'Links' }
  const linked = links.direct + links.relayed
  const text = `${linked} linked (${links.direct} direct, ${links.relayed} relayed), ${peersKnown} known`
  if (linked > 0) return { ...check, result: 'ok', text }
  return {
    ...check,
    result: peers.length > 0 ? 'problem' : 'warning',
    text,
    meaning: 'this node is alone',
    remedy: 'join through a member: warren up --bootstrap /ip4/…/tcp/4001/p2p/…',
  }
}

/** Below this many honest members a few hostile ones that are there from the beginning can surround newcomers. */
const YOUNG = 300

/** What an open overlay cannot defend itself against; see protocols/peer-exchange/SPEC.md, section 11. */
function openness({ overlay: { closed, estimatedSize }, peersKnown }: NodeStatus): DoctorCheck {
  const check = { code: 'overlay.openness', title: 'Who may join' }
  if (closed) return { ...check, result: 'ok', text: 'members share a network key' }
  const size = Math.max(estimatedSize ?? 0, peersKnown)
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

function reachability({
  reachability: { verdict, evidence },
  addresses,
  nat,
}: NodeStatus): DoctorCheck {
  const check = { code: 'reachability.verdict', title: 'Reachability' }
  const because = evidence.map(inWords).join('; ')
  if (verdict === 'public') {
    return {
      ...check,
      result: 'ok',
      text: `public at ${addresses.join(', ')}: ${because}`,
      meaning: 'everybody can dial this node, and it can relay for others',
    }
  }
  if (verdict === 'private') {
    return {
      ...check,
      result: 'ok',
      text: `hidden behind a NAT or firewall: ${because}`,
      meaning: 'others reach this node through its relays, and directly by hole punching',
      remedy:
        'to be reachable without help, forward a port on the router and give it with --announce',
    }
  }
  if (nat.mapping === 'none') {
    return {
      ...check,
      result: 'unknown',
      text: 'this host has a public address, but no stranger has got in yet',
      meaning:
        'when a firewall stands before it, others reach this node through relays and hole punching',
      remedy: 'open the listening TCP port in the firewall, or wait until somebody dials this node',
    }
  }
  return {
    ...check,
    result: 'unknown',
    text: 'not known yet: no peer on the internet has told what it sees',
    remedy: 'link to at least one public member',
  }
}

type Evidence = NodeStatus['reachability']['evidence'][number]

const SAYS: Record<Evidence['kind'], Record<Evidence['says'], string>> = {
  configuration: alike('the configuration says so'),
  inbound: alike('strangers came in'),
  'port-mapping': did('a port that the router opened', 'leads here', 'leads nowhere'),
  probe: did('peers that were asked to dial back', 'got in', 'did not get in'),
  autonat: did('AutoNAT servers', 'got in', 'did not get in'),
  observers: alike('peers see another address than its own'),
}

function alike(text: string): Record<Evidence['says'], string> {
  return { public: text, private: text, unknown: text }
}

function did(who: string, well: string, badly: string): Record<Evidence['says'], string> {
  return { public: `${who} ${well}`, private: `${who} ${badly}`, unknown: who }
}

function inWords({ kind, says, networks, at }: Evidence): string {
  const from = networks === 0 ? '' : ` (${networks} ${networks === 1 ? 'network' : 'networks'})`
  return `${SAYS[kind][says]}${from}, ${ageOf(at)} old`
}

function ageOf(iso: string): string {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(iso)) / 1000))
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

function mapping({ nat, links, conditions }: NodeStatus): DoctorCheck {
  const check = { code: 'nat.mapping', title: 'NAT' }
  const cutOff =
    links.direct + links.relayed === 0 &&
    conditions.some(({ code }) => code === 'bootstrap.unreachable')
  const outside =
    nat.externalAddresses.length > 0 ? `, seen as ${nat.externalAddresses.join(', ')}` : ''
  const text = `${natClass({ ...nat, cutOff })}: mapping ${nat.mapping}, filtering ${nat.filtering}, ports ${nat.ports}${outside}`
  if (cutOff) {
    return {
      ...check,
      result: 'problem',
      text,
      meaning: 'nobody can be reached from here: connections to other ports may be blocked',
      remedy: 'ask for outgoing TCP connections to the ports of the bootstraps to be allowed',
    }
  }
  if (nat.mapping === 'unknown') {
    return {
      ...check,
      result: 'unknown',
      text,
      meaning: 'a public peer has to see two connections of this node before its mapping is known',
    }
  }
  if (nat.mapping === 'none' || nat.mapping === 'endpoint-independent') {
    return { ...check, result: 'ok', text, meaning: 'direct connections can be punched' }
  }
  return {
    ...check,
    result: 'warning',
    text,
    meaning: 'a symmetric NAT: nobody can know at which port this node will be seen',
    remedy: 'use another router setting ("full cone"), a forwarded port with --announce, or IPv6',
  }
}

/** How each method reads in a list of networks that it works with. */
const BY: Record<ExpectedMethod, string> = {
  dial: 'this node dials',
  reverse: 'they dial back',
  lan: 'in the local network',
  punch: 'hole punch',
  birthday: 'a search of seconds',
  relay: 'relayed only',
}

/** What this network lets expect with peers in the networks that are common. */
function outlook({ nat, transport }: NodeStatus, own: SideFacts): DoctorCheck {
  const check = { code: 'nat.outlook', title: 'Direct connections' }
  if (!transport.portReuse) {
    const text = 'only with public peers and neighbours, as hole punching is off'
    return { ...check, result: 'problem', text, remedy: 'run Node.js 24.21 or newer on Linux' }
  }
  if (nat.mapping === 'unknown' && own.reachability !== 'public') {
    const text = 'how this node fares with others is not known yet'
    return { ...check, result: 'unknown', text, remedy: 'link to at least two public members' }
  }
  const fortunes = COMMON_NETWORKS.map(({ name, facts }) => {
    const { method, chance } = predict(own, facts)
    return { name, method, chance }
  })
  const text = fortunes.map(({ name, method }) => `${name}: ${BY[method]}`).join('; ')
  const hopeless = fortunes.filter(({ chance }) => chance === 'none').map(({ name }) => name)
  if (hopeless.length === 0) return { ...check, result: 'ok', text }
  const meaning = `with peers behind ${hopeless.join(' and ')} everything goes over a relay`
  return { ...check, result: 'warning', text, meaning, remedy: OPEN_ONE_SIDE }
}

function relays({ relays: held, reachability: { verdict }, serving }: NodeStatus): DoctorCheck {
  const check = { code: 'relay.held', title: 'Relays' }
  const count = held.filter(({ state }) => state === 'held').length
  if (verdict === 'public' || (verdict === 'unknown' && held.length === 0)) {
    return { ...check, ...asRelay(serving) }
  }
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

/** Years in which no clock can honestly be. */
const BUILT = 2026

function clock(): DoctorCheck {
  const check = { code: 'host.clock', title: 'Clock' }
  const year = new Date().getUTCFullYear()
  if (year >= BUILT) return { ...check, result: 'ok', text: new Date().toISOString() }
  return {
    ...check,
    result: 'problem',
    text: `the clock says ${new Date().toISOString()}`,
    meaning: 'records signed now look long expired to others',
    remedy: 'set the clock (NTP)',
  }
}
