import type { NodeStatus } from '../../client/index.ts'
import { columns } from '../render.ts'

/** More lines than this are not read; the first are the best. */
const MAX_SHOWN = 4

interface Circumstances {
  version: string
  api: string | null
  dataDir: string
  joins: readonly string[]
}

/** What `warren up` shows before the first event: what runs here, and how others join it. */
export function renderWelcome(
  status: NodeStatus,
  { version, api, dataDir, joins }: Circumstances,
): string {
  const page = api === null ? 'off' : api.startsWith('unix:') ? api : `http://${api}/`
  const about = columns([
    ['  peer id', status.peerId],
    ['  network', status.network],
    ['  API', page],
    ['  data', dataDir],
  ])
  return [
    `Warren ${version}`,
    about,
    '',
    joins.length > 0 ? joining(joins) : inviting(status),
    '',
  ].join('\n')
}

function joining(joins: readonly string[]): string {
  return ['Joining through', ...joins.map((address) => `  ${address}`)].join('\n')
}

/** Addresses that are only listened on count too: in one building, or on one machine, they are enough. */
function inviting({ addresses, listening }: NodeStatus): string {
  const all = [...new Set([...addresses, ...listening])]
  const [best, ...others] = all.toSorted((a, b) => remoteness(a) - remoteness(b))
  if (best === undefined)
    return 'No address is known yet under which others could join; `warren status` tells when one is.'
  const onlyHere = remoteness(best) === LOCAL
  const useful = [best, ...others.filter((address) => onlyHere || remoteness(address) < LOCAL)]
  return [
    `${onlyHere ? 'On this machine others' : 'Others'} join through this node with`,
    ...useful.slice(0, MAX_SHOWN).map((address) => `  warren up --bootstrap ${address}`),
  ].join('\n')
}

const LOCAL = 3

/** From how far away an address can be used: 0 is everywhere, `LOCAL` is this machine only. */
function remoteness(address: string): number {
  if (/^\/ip4\/127\.|^\/ip6\/::1\//.test(address)) return LOCAL
  if (
    /^\/ip4\/(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)|^\/ip6\/(f[cd]|fe[89ab])/i.test(
      address,
    )
  )
    return 2
  return address.includes('/p2p-circuit') ? 1 : 0
}
