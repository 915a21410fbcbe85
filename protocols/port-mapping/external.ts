import { sameNetwork, scopeOf } from '../kernel/address.ts'
import type { PortMappingState } from './io.ts'

/** What the address that a gateway calls its own says about what lies behind it. */
export type ExternalVerdict =
  | 'agrees' // peers see us there
  | 'unsaid' // it names none
  | 'unseen' // no peer on the internet has told yet what it sees
  | 'shared' // carrier-grade: a provider's NAT stands before it (RFC 6598)
  | 'private' // another router stands before it
  | 'elsewhere' // public, but peers see us at another: one more NAT, or a lie

/** Compares what the gateway says with what peers see, both as plain addresses. */
export function judgeExternal(said: string | undefined, seen: readonly string[]): ExternalVerdict {
  if (said === undefined) return 'unsaid'
  if (seen.includes(said)) return 'agrees'
  if (sameNetwork(said, '100.64.0.0', 10)) return 'shared'
  if (scopeOf(said) !== 'public') return 'private'
  return seen.length === 0 ? 'unseen' : 'elsewhere'
}

/** Something that stands between the router and the internet, in words for people. */
export interface Doubt {
  text: string
  remedy: string
}

const OUTER_ROUTER =
  'forward the port on the outer router too, make the inner one its exposed host, or let it only bridge'

/** Why a port that the router opens leads nowhere; undefined where nothing speaks against it. `tried`: in vain, by peers. */
export function doubtOf(
  { mapping, answers }: Pick<PortMappingState, 'mapping' | 'answers'>,
  seen: readonly string[],
  tried: boolean,
): Doubt | undefined {
  if (mapping === undefined) return withoutAddress(answers, seen)
  const said = mapping.externalIp
  const verdict = judgeExternal(said, seen)
  if (verdict === 'shared')
    return {
      text: `the router's own address ${said} is one of a provider's NAT, which many customers share`,
      remedy: 'ask the provider for a public IPv4 address, or use IPv6',
    }
  if (verdict === 'private')
    return {
      text: `the router's own address ${said} is private: another router stands before it`,
      remedy: OUTER_ROUTER,
    }
  if (verdict === 'elsewhere')
    return {
      text: `the router says that its address is ${said}, but peers see this node at ${seen.join(', ')}`,
      remedy: 'look for a second router or a VPN between this network and the internet',
    }
  if (!tried) return undefined
  return {
    text: `the router opened port ${mapping.externalPort}, but nobody gets in there: another NAT or a firewall stands before it`,
    remedy: OUTER_ROUTER,
  }
}

/** A careful router opens nothing where its own address is of no use; without an uplink it says the same. */
function withoutAddress(
  answers: PortMappingState['answers'],
  seen: readonly string[],
): Doubt | undefined {
  if (!Object.values(answers).includes('no-network') || seen.length === 0) return undefined
  return {
    text: `the router opens no port because it has no public address, yet peers see this node at ${seen.join(', ')}: another NAT stands between`,
    remedy: `${OUTER_ROUTER}; where it is the provider's, ask for a public IPv4 address, or use IPv6`,
  }
}
