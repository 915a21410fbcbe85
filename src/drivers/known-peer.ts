import type { AddressBook, BookEntry } from '../../protocols/peer-exchange/address-book.ts'
import type { SelfFacts } from '../../protocols/peer-exchange/record.ts'

/** What is known of a peer. Addresses end in `/p2p/<peer>` and are only those that this node may dial. */
export interface KnownPeer extends SelfFacts {
  peer: string
  /** A peer id, or `inbound` (it came to us), `config` (dialled by an address we were given), `book`. */
  knownFrom: string
  /** Unix times in milliseconds. */
  lastSeenAt: number
  expiresAt: number
  seq: number
}

/** An entry of the book in the words of the rest of the node. */
export function toKnownPeer(book: AddressBook, entry: BookEntry): KnownPeer {
  const { peer, record, source, lastSeenAt, expiresAt } = entry
  const { seq, reachability, mapping, filtering, services, relay } = record
  return {
    peer,
    addresses: book.addresses(peer),
    reachability,
    mapping,
    filtering,
    services,
    seq,
    knownFrom: source,
    lastSeenAt,
    expiresAt,
    ...(relay === undefined ? {} : { relay }),
  }
}
