/** Text for people. Peer ids are printed whole, because people copy them into the next command. */
import type {
  Condition,
  ForwardInfo,
  NodeEvent,
  NodeStatus,
  Path,
  PeerStatus,
  ServiceInfo,
} from '../client/index.ts'

/** Rows as aligned columns; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[], gap = 2): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, text.length)
  return rows
    .map((row) =>
      row
        .map((text, i) => text.padEnd((widths[i] ?? 0) + gap))
        .join('')
        .trimEnd(),
    )
    .join('\n')
}

/** What a peer sent, made harmless for a terminal: no escape sequences, no line breaks. */
export function clean(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu, '?')
}

/** A duration to read at a glance. */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '-'
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

/** How long ago an ISO time was. */
export function formatAgo(iso: string, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000))
  if (Number.isNaN(seconds)) return 'unknown'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h ago`
    : `${Math.round(seconds / 86_400)} d ago`
}

/** A path in words, without the peer's id: whoever reads this has it before their eyes. */
export function formatPath(path: Path): string {
  return path.kind === 'direct'
    ? `direct via ${bare(path.address)} (${path.method})`
    : `relayed via ${path.via}`
}

/** The address without the peer at its end. */
export const bare = (address: string): string => address.replace(/\/p2p\/[^/]+$/, '')

/** The time of day, in UTC. */
export const clock = (iso: string): string => iso.slice(11, 19)

/** Singular or plural, with the number. */
const number = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`

function overlayLine({
  chosen,
  accepted,
  reached,
  estimatedSize,
  healing,
}: NodeStatus['overlay']): string {
  const size =
    estimatedSize === undefined ? '' : `, about ${number(estimatedSize, 'other member')} in all`
  const mending = healing ? '; healing after a split' : ''
  return `${number(chosen, 'neighbour')} chosen, ${accepted} accepted; ${reached} reached${size}${mending}`
}

/** `warren status`. */
export function renderStatus(status: NodeStatus): string {
  const { reachability, nat, serving, links, transport } = status
  const mapping = nat.portMapping === 'none' ? '' : `, port mapping by ${nat.portMapping}`
  const confirmed =
    reachability.confirmations === 0
      ? ''
      : `, ${number(reachability.confirmations, 'confirmation')}`
  const quiet = status.listening.filter((address) => !status.addresses.includes(address))
  const rows: string[][] = [
    ['Peer id', status.peerId],
    ['Network', `${status.network} (${status.phase}, Warren ${status.version})`],
    ...list('Announced', status.addresses, 'nothing yet'),
    ...(quiet.length === 0 ? [] : list('Listening', quiet, 'nowhere')),
    [
      'Reachability',
      `${reachability.verdict}${confirmed}, changed ${formatAgo(reachability.since)}`,
    ],
    ...list('Evidence', reachability.evidence.map(evidenceLine), 'none yet'),
    ['NAT', `mapping ${nat.mapping}, filtering ${nat.filtering}, ports ${nat.ports}${mapping}`],
    ...list('Seen as', nat.externalAddresses, 'nobody has said yet'),
    ...list('Relays', status.relays.map(relayLine), 'none held'),
    ['Relaying', serving.relay ? `for others: ${servingLine(serving)}` : 'not for others'],
    [
      'Links',
      `${links.direct} direct, ${links.relayed} relayed; ${number(status.peersKnown, 'peer')} known`,
    ],
    ['Overlay', overlayLine(status.overlay)],
    ['Services', status.services.join(', ') || 'none shared'],
    [
      'Hole punching',
      transport.portReuse ? 'possible' : `off: ${transport.reason ?? 'ports cannot be shared'}`,
    ],
  ]
  const conditions = status.conditions.map((condition) => `\n${renderCondition(condition)}`)
  return columns(rows) + (conditions.length === 0 ? '' : `\n${conditions.join('')}`)
}

function list(title: string, lines: readonly string[], none: string): string[][] {
  if (lines.length === 0) return [[title, none]]
  return lines.map((line, i) => [i === 0 ? title : '', clean(line)])
}

/** What each sort of evidence is, as the beginning of a sentence. */
const EVIDENCE: Record<Evidence['kind'], string> = {
  configuration: 'the configuration says so',
  inbound: 'strangers came in',
  'port-mapping': 'a port that the router opened',
  probe: 'peers dialled back',
  autonat: 'AutoNAT',
  observers: 'peers see another address than its own',
}

type Evidence = NodeStatus['reachability']['evidence'][number]

function evidenceLine({ kind, says, networks, at }: Evidence): string {
  const from = networks === 0 ? '' : `, ${number(networks, 'network')}`
  return `${says}: ${EVIDENCE[kind]}${from}, ${formatAgo(at)}`
}

function relayLine({ peer, state, until, rttMs, forwards }: NodeStatus['relays'][number]): string {
  const end = until === undefined ? '' : ` until ${clock(until)}`
  const far = rttMs === undefined ? '' : `, ${formatMs(rttMs)}`
  return `${peer} ${state}${end}${far}${forwards === false ? ', passes nothing on' : ''}`
}

function servingLine({ reservations, circuits, budgets }: NodeStatus['serving']): string {
  const { limitedBy, bytes, busy } = budgets
  const why = limitedBy === 'configuration' ? '' : `, as ${limitedBy} allow`
  const left = `${Math.floor((100 * bytes.left) / bytes.limit)} % of the bytes left`
  const most = `${number(reservations, 'reservation')} of ${budgets.reservations.limit}${why}`
  return `${most}, ${number(circuits, 'circuit')}, ${left}${busy ? '; too busy for more' : ''}`
}

/** A condition with its remedy on a line of its own. */
export function renderCondition({ severity, code, text, remedy }: Condition): string {
  return `${severity}: ${clean(text)} (${code})${remedy === undefined ? '' : `\n  ${clean(remedy)}`}`
}

const rank = ({ state }: PeerStatus): number => (state === 'linked' ? 0 : 1)

/** `warren peers`: linked ones first. */
export function renderPeers(peers: readonly PeerStatus[]): string {
  if (peers.length === 0)
    return 'Nobody is known yet. `warren status` says how others join this node.'
  const rows = peers
    .toSorted((a, b) => rank(a) - rank(b) || (a.peer < b.peer ? -1 : 1))
    .map((peer) => [
      peer.peer,
      peer.state,
      formatMs(peer.path?.rttMs),
      peer.reachability,
      formatAgo(peer.lastSeen),
      peer.services.map(clean).join(',') || '-',
      peer.path === undefined ? '-' : formatPath(peer.path),
    ])
  return columns([['PEER', 'STATE', 'RTT', 'REACHABILITY', 'SEEN', 'SERVICES', 'PATH'], ...rows])
}

/** What `warren services` shows. */
export interface ServicesView {
  /** What this node shares. */
  shared: ServiceInfo[]
  /** Local ports that lead to peers' services. */
  forwards: ForwardInfo[]
  /** What peers say they share. */
  offered: { peer: string; services: string[] }[]
}

/** `warren services`. */
export function renderServices({ shared, forwards, offered }: ServicesView): string {
  const offers = offered.flatMap(({ peer, services }) =>
    services.map((name) => [clean(name), peer]),
  )
  const parts = [
    block(
      'Shared by this node',
      ['NAME', 'TARGET', 'WHO'],
      shared.map((s) => [s.name, s.target, formatAllow(s.allow)]),
    ),
    block(
      'Used by this node',
      ['LISTEN', 'NAME', 'PEER', 'OPEN', 'IN', 'OUT'],
      forwards.map((f) => [
        f.listen,
        f.service,
        f.peer,
        `${f.open}`,
        formatBytes(f.bytesIn),
        formatBytes(f.bytesOut),
      ]),
    ),
    block('Offered by peers', ['NAME', 'PEER'], offers),
  ]
  return parts.join('\n\n')
}

function block(title: string, heads: string[], rows: string[][]): string {
  return rows.length === 0 ? `${title}: none` : `${title}\n${columns([heads, ...rows])}`
}

/** Whom a service is for. */
export function formatAllow(allow: ServiceInfo['allow']): string {
  return allow === 'all' ? 'every member of this network' : allow.join(', ')
}

function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1024 ** 2
    ? `${(bytes / 1024).toFixed(1)} KiB`
    : `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}

/** An event as one line, with its time. */
export function renderEvent(event: NodeEvent): string {
  return clean(`${clock(event.at)}  ${describe(event)}`)
}

function describe(event: NodeEvent): string {
  switch (event.type) {
    case 'node:ready':
      return `ready: ${event.peerId}`
    case 'node:stopping':
      return `stopping: ${event.reason}`
    case 'addresses:changed':
      return `announces ${event.addresses.map(bare).join(', ') || 'no address'}`
    case 'reachability:changed':
      return `is ${event.verdict}: NAT mapping ${event.nat.mapping}, filtering ${event.nat.filtering}`
    case 'port-mapping:changed':
      return event.portMapping === 'none'
        ? `the router holds no port open any more: ${event.reason}`
        : `the router opened port ${event.externalPort} by ${event.portMapping}`
    case 'relay:held':
      return `holds relay ${event.peer} until ${clock(event.until)}`
    case 'relay:lost':
      return `lost relay ${event.peer}: ${event.reason}`
    case 'relay:serving':
      return `${event.on ? 'relays' : 'does not relay'} for others: ${event.reason}`
    case 'peer:found':
      return `found ${event.peer}, ${origin(event.from)}`
    case 'peer:linked':
      return `linked ${event.peer}, ${formatPath(event.path)}`
    case 'peer:path-changed':
      return `moved ${event.peer} after ${formatMs(event.ms)}: ${formatPath(event.from)} -> ${formatPath(event.to)}`
    case 'peer:gone':
      return `gone ${event.peer}: ${event.reason}`
    case 'punch:started':
      return `punches towards ${event.peer} (${event.method})`
    case 'punch:succeeded':
      return `punched through to ${event.peer} in ${formatMs(event.ms)} (${event.method}, ${event.address})`
    case 'punch:failed':
      return `could not punch to ${event.peer} in ${formatMs(event.ms)} (${event.method}): ${event.reason}`
    case 'condition:raised': {
      const { severity, text, remedy } = event.condition
      return `${severity}: ${text}${remedy === undefined ? '' : ` (${remedy})`}`
    }
    case 'condition:cleared':
      return `no longer: ${event.code}`
    case 'service:refused':
      return `refused ${event.service} to ${event.peer}: ${event.reason}`
    default:
      return unknownEvent(event)
  }
}

/** How a peer came to be known. */
function origin(from: Extract<NodeEvent, { type: 'peer:found' }>['from']): string {
  switch (from) {
    case 'bootstrap':
      return 'a bootstrap of this node'
    case 'config':
      return 'this node dialled it'
    case 'inbound':
      return 'it came to this node'
    case 'book':
      return 'met before'
    default:
      return `told by ${from}`
  }
}

/** A newer node may tell of things this command line has no words for; to the compiler there are none. */
function unknownEvent(event: never): string {
  return JSON.stringify(event)
}
