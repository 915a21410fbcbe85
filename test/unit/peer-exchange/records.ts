import type { Learnt } from '../../../protocols/peer-exchange/address-book.ts'
import { mix32 } from '../../../protocols/peer-exchange/ids.ts'
import type { PeerRecord } from '../../../protocols/peer-exchange/record.ts'

/** What a book learns of a peer in a test that needs no signatures. */
export function learnt(
  peer: string,
  { source = 'teller', lastSeenAt, ...more }: Partial<PeerRecord & Learnt> & { issuedAt: number },
): Learnt {
  const record: PeerRecord = {
    peer,
    seq: 1,
    ttlMs: 7_200_000,
    networkId: 1n,
    leaving: false,
    addresses: [{ address: '/ip4/5.6.7.8/tcp/4001', kind: 'direct' }],
    reachability: 'public',
    mapping: 'none',
    filtering: 'none',
    services: [],
    ...more,
  }
  const envelope = new TextEncoder().encode(`${peer} ${record.seq}`)
  return {
    record,
    envelope,
    id: idOf(peer),
    source,
    lastSeenAt: lastSeenAt ?? record.issuedAt,
    namedFor: 'id',
  }
}

/** A number of 53 bits for a name. */
export function idOf(name: string): number {
  let [high, low] = [1, 2]
  for (let i = 0; i < name.length; i++) {
    low = mix32(low ^ name.charCodeAt(i))
    high = mix32(high ^ low)
  }
  return (high >>> 11) * 2 ** 32 + low
}
