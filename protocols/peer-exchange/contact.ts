import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { limits } from './limits.ts'
import type { PeerKey } from './record.ts'

/** A peer we hold at least one connection to. */
export interface Contact {
  peer: PeerKey
  /** Every connection to it is limited: good for a greeting, not for fetching the overlay. */
  limited: boolean
  dialled: boolean
  /** The address we see it at, in bytes; empty when a relay hides it. */
  seenAddr: Uint8Array
  greeting: 'waiting' | 'asked' | 'done'
  pulledAt: Instant | undefined
  /** The version of each peer's record that this contact has from us, or we from it. */
  has: BoundedMap<PeerKey, number>
}

/** A contact that has just appeared. */
export function newContact(peer: PeerKey, limited: boolean, dialled: boolean): Contact {
  return {
    peer,
    limited,
    dialled,
    seenAddr: new Uint8Array(),
    greeting: 'waiting',
    pulledAt: undefined,
    has: new BoundedMap(limits.contactVersions),
  }
}
