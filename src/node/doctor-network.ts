import { COMMON_NETWORKS, OPEN_ONE_SIDE, predict } from '../../protocols/hole-punching/predict.ts'
import type { ExpectedMethod } from '../../protocols/hole-punching/predict.ts'
import type { SideFacts } from '../../protocols/hole-punching/facts.ts'
import { natClass } from '../../protocols/reachability/nat-class.ts'
import type { DoctorCheck, NodeStatus } from '../types.ts'
import { firstFew } from './doctor-host.ts'

/** NATs cannot be seen from within: it takes somebody outside to say what they do. */
const MEMBER = 'link to a public member, e.g. with --bootstrap'

/** Whether strangers can reach this node. */
export function reachability({
  reachability: { verdict, evidence },
  addresses,
  nat,
}: NodeStatus): DoctorCheck {
  const check = { code: 'reachability.verdict', title: 'Reachability' }
  const shown = addresses.filter((address) => !address.includes('/p2p-circuit')).map(withoutPeer)
  const because = evidence.map(inWords).join('; ')
  if (verdict === 'public') {
    return {
      ...check,
      result: 'ok',
      text: `public at ${firstFew(shown) || 'no address'}: ${because}`,
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
    text: 'not known: no peer on the internet has told what it sees',
    remedy: `${MEMBER}, and ask again`,
  }
}

const withoutPeer = (address: string): string => address.replace(/\/p2p\/[^/]+$/, '')

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

/** What the NAT before this node does. */
export function mapping({ nat, links, conditions }: NodeStatus): DoctorCheck {
  const check = { code: 'nat.mapping', title: 'NAT' }
  const cutOff =
    links.direct + links.relayed === 0 &&
    conditions.some(({ code }) => code === 'bootstrap.unreachable')
  const known = (['mapping', 'filtering', 'ports'] as const)
    .filter((fact) => nat[fact] !== 'unknown')
    .map((fact) => `${fact} ${nat[fact]}`)
  const seen =
    nat.externalAddresses.length > 0 ? [`seen as ${firstFew(nat.externalAddresses)}`] : []
  const name = natClass({ ...nat, cutOff })
  const text = [name === 'unknown' ? 'not known yet' : name, ...known, ...seen].join(', ')
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
      meaning: 'a NAT cannot be seen from within: peers on the internet have to tell what they see',
      remedy: MEMBER,
    }
  }
  if (nat.mapping === 'none' && nat.filtering === 'none') return { ...check, result: 'ok', text }
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
export function outlook({ nat, transport }: NodeStatus, own: SideFacts): DoctorCheck {
  const check = { code: 'nat.outlook', title: 'Direct paths' }
  if (!transport.portReuse) {
    const text = 'only with public peers and neighbours, as hole punching is off'
    return { ...check, result: 'problem', text, remedy: 'run Node.js 24.21 or newer on Linux' }
  }
  if (nat.mapping === 'unknown' && own.reachability !== 'public') {
    const text = 'how this node fares with others is not known yet'
    return { ...check, result: 'unknown', text }
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
