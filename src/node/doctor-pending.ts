import type { NodeStatus } from '../types.ts'
import type { MappingFacts } from './mapping-keeper.ts'

/** What a node is about, as far as the doctor has to know whether to wait for it. */
export interface Underway {
  /** How long the node has been running. */
  ageMs: number
  bootstraps: number
  /** Peers that could be asked about the NAT, and whether any is being asked or is about to be. */
  probes: { helpers: number; busy: boolean }
  /** New evidence speaks against the verdict and has not stood long enough yet. */
  wavers: boolean
}

export interface Waiting {
  status: NodeStatus
  router: MappingFacts
  underway: Underway
}

/** The first peers are met, and identified, within this: before, that nobody can be asked means nothing. */
const YOUNG_MS = 3_000
/** The routing table has been read by then. */
const NEWBORN_MS = 500
/** Links to members that an earlier run knew are tried for about this long. */
const REJOIN_MS = 10_000
/** A node that has just found out that it is hidden looks for relays now. */
const RELAYS_MS = 3_000

/** What is still being found out, by the code of the check that it is about: words for whoever waits. */
export function stillOpen(waiting: Waiting): Map<string, string> {
  const open: [string, string | undefined][] = [
    ['overlay.links', linksOf(waiting)],
    ['reachability.verdict', verdictOf(waiting)],
    ['nat.mapping', natOf(waiting)],
    ['nat.port-mapping', routerOf(waiting)],
    ['relay.held', relaysOf(waiting)],
  ]
  return new Map(open.filter((one): one is [string, string] => one[1] !== undefined))
}

const linked = ({ links }: NodeStatus): number => links.direct + links.relayed
const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

function linksOf({ status, underway }: Waiting): string | undefined {
  if (linked(status) > 0) return undefined
  const { bootstraps, ageMs } = underway
  if (status.conditions.some(({ code }) => code === 'bootstrap.unreachable')) return undefined
  if (bootstraps > 0) return `linking to ${counted(bootstraps, 'bootstrap')}`
  if (status.peersKnown === 0 || ageMs > REJOIN_MS) return undefined
  return `linking to ${counted(status.peersKnown, 'member')} known from before`
}

/** Whether peers are being asked about our network, or are about to be found to ask. */
function isProbing({ status, underway }: Waiting): boolean {
  return underway.probes.busy || (linked(status) > 0 && underway.ageMs < YOUNG_MS)
}

function verdictOf(waiting: Waiting): string | undefined {
  const { verdict, evidence } = waiting.status.reachability
  if (waiting.underway.wavers) return 'seeing whether new evidence stands'
  const tried = evidence.some(({ kind }) => kind !== 'observers')
  if ((verdict !== 'unknown' && tried) || !isProbing(waiting)) return undefined
  return 'seeing whether strangers get in'
}

function natOf(waiting: Waiting): string | undefined {
  const { mapping, filtering } = waiting.status.nat
  if ((mapping !== 'unknown' && filtering !== 'unknown') || !isProbing(waiting)) return undefined
  const { helpers } = waiting.underway.probes
  if (helpers === 0) return 'looking for peers on the internet that can be asked'
  const known = mapping === 'unknown' ? '' : `mapping ${mapping}; `
  return `${known}asking ${counted(helpers, 'peer')} what it does`
}

function routerOf({ router, underway }: Waiting): string | undefined {
  const { on, ip4, ip6, confirmed, doubt } = router
  if (!on || confirmed || doubt !== undefined) return undefined
  if (ip4.mapping !== undefined)
    return underway.probes.busy ? 'asking peers to try the port that the router opened' : undefined
  const asked = [ip4, ip6].filter(({ network }) => network !== undefined)
  // Who is present is being asked for the mapping.
  const asking = asked.find(({ answers }) =>
    Object.values(answers).some((answer) => answer === 'asking' || answer === 'present'),
  )
  if (asking !== undefined) return `asking the router ${asking.network?.gateway} to open the port`
  return asked.length === 0 && underway.ageMs < NEWBORN_MS ? 'looking for the router' : undefined
}

function relaysOf({ status }: Waiting): string | undefined {
  const { relays, reachability } = status
  if (reachability.verdict !== 'private') return undefined
  const held = relays.filter(({ state }) => state === 'held').length
  if (held >= 2) return undefined
  const hiddenMs = Date.now() - Date.parse(reachability.since)
  const asking = relays.some(({ state }) => state === 'reserving')
  if (!asking && hiddenMs >= RELAYS_MS) return undefined
  return held === 0 ? 'looking for relays' : 'one is held, looking for another'
}
