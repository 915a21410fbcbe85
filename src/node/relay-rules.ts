import { networksOf, parseAddress } from '../../protocols/kernel/address.ts'
import type { Candidate } from '../../protocols/relaying/candidates.ts'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import type { KnownPeer } from '../drivers/overlay.ts'
import type { RelayServiceInit } from '../drivers/relay-service.ts'
import { HostResources } from '../drivers/resources.ts'
import { MAX_CONNECTIONS } from './libp2p.ts'
import type { PeerKey } from '../types.ts'

/**
 * For whom this node relays how much. Behind a network key everybody is one of us, and nothing is limited; elsewhere
 * whoever has shown a record of our network is a member, and libp2p peers of any other kind are strangers.
 */
export function relayRules(
  { networkKey }: { networkKey?: Uint8Array },
  node: { isMember(peer: PeerKey): boolean; changed(): void },
): RelayServiceInit {
  const host = new HostResources(MAX_CONNECTIONS)
  return {
    resources: () => host.measure(),
    changed: () => node.changed(),
    limitFor: (source, target) => {
      if (networkKey !== undefined) return undefined
      const { member, stranger } = SERVING_LIMITS
      return node.isMember(source) && node.isMember(target) ? member : stranger
    },
  }
}

/** The peer as a candidate for a relay, if its record offers one. What it says of its slots is a hint, no more. */
export function relayOffered(known: KnownPeer | undefined): Candidate | undefined {
  if (known?.relay === undefined) return undefined
  const { slotsTotal, slotsFree, unlimited } = known.relay
  const group = groupOf(known)
  return {
    peer: known.peer,
    source: 'exchange',
    unlimited,
    ...(slotsTotal > 0 ? { free: slotsFree / slotsTotal } : {}),
    ...(group === undefined ? {} : { group }),
  }
}

/** The network of the address by which it can be dialled. */
function groupOf({ addresses }: KnownPeer): string | undefined {
  for (const { address, kind } of addresses) {
    const parsed = parseAddress(address)
    if (kind !== 'direct' || parsed === undefined || parsed.relayed) continue
    const group = networksOf(parsed.host)?.wide
    if (group !== undefined) return group
  }
  return undefined
}
