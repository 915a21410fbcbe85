import type { Mapping, PortMappingState } from '../../protocols/port-mapping/io.ts'
import type { Container } from '../net/container.ts'
import type { DoctorCheck, NodeStatus } from '../types.ts'
import type { MappingFacts } from './mapping-keeper.ts'

const NAMES = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' } as const

const ANSWERS = {
  asking: 'not answered yet',
  present: 'answers',
  silent: 'no answer',
  unsupported: 'not supported',
  'not-authorized': 'not allowed',
  'no-network': 'the router has no address on the internet',
  'no-resources': 'no ports left',
  'port-taken': 'the ports are taken',
  mismatch: 'a NAT stands between this host and the router',
  garbage: 'answers that make no sense',
  failed: 'refused',
} as const

/** What the router does for this node. */
export function portMapping(
  { reachability }: NodeStatus,
  router: MappingFacts,
  container?: Container,
): DoctorCheck {
  const check = { code: 'nat.port-mapping', title: 'Port mapping' }
  if (!router.on)
    return { ...check, result: 'ok', text: 'off, or --announce says what others dial' }
  const { ip4, ip6 } = router
  const held = ip4.mapping ?? ip6.mapping
  if (held !== undefined) return { ...check, ...opened(held, router) }
  const { doubt } = router
  if (doubt !== undefined)
    return { ...check, result: 'warning', ...doubt, meaning: 'strangers cannot dial this node' }
  const asked = ip4.network ?? ip6.network
  if (asked === undefined)
    return { ...check, result: 'ok', text: 'no router that this node would have to ask' }
  const text = `the router ${asked.gateway} opens no port: ${answers(ip4.network ? ip4 : ip6)}`
  if (reachability.verdict === 'public') return { ...check, result: 'ok', text }
  // What helps there is told with the container.
  if (container?.network === 'own')
    return { ...check, result: 'ok', text, meaning: "a container's router is mostly its host" }
  return {
    ...check,
    result: 'warning',
    text,
    meaning: 'strangers cannot dial this node; hole punching and relays do without',
    remedy:
      'switch on UPnP, NAT-PMP or PCP in the router, or forward a port and give it with --announce',
  }
}

function opened(
  held: Mapping,
  { confirmed, doubt, ip6 }: MappingFacts,
): Pick<DoctorCheck, 'result' | 'text' | 'meaning' | 'remedy'> {
  const { protocol, network, externalPort } = held
  const text = `the router ${network.gateway} leads port ${externalPort} to this node's ${network.port}, by ${NAMES[protocol]}`
  if (confirmed) return { result: 'ok', text, meaning: 'others got in there' }
  if (doubt !== undefined)
    return {
      result: 'warning',
      text: `${text}, but ${doubt.text}`,
      meaning: 'nobody has got in there',
      remedy: doubt.remedy,
    }
  if (held === ip6.mapping) return { result: 'ok', text }
  return { result: 'unknown', text, meaning: 'no peer has tried it yet' }
}

function answers({ answers: given }: PortMappingState): string {
  return Object.entries(given)
    .map(([protocol, answer]) => `${NAMES[protocol as keyof typeof NAMES]} ${ANSWERS[answer]}`)
    .join(', ')
}
