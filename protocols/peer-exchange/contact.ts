import type { PeerKey } from './record.ts'
import type { Sent } from './sent.ts'

/** A peer we hold at least one connection to. */
export interface Contact {
  peer: PeerKey
  /** Every connection to it is limited: good for a greeting, not for fetching the overlay. */
  limited: boolean
  dialled: boolean
  /** The address we see it at, in bytes; empty when a relay hides it. */
  seenAddr: Uint8Array
  greeting: 'waiting' | 'asked' | 'done'
  /** Kept by both sides, and who chose it; undefined for whoever is only connected. */
  neighbour: 'chosen' | 'accepted' | undefined
  /** How often it was pulled from. */
  pulls: number
  /** What it has from us, or we from it. */
  sent: Sent
}

/** A contact that has just appeared. */
export function newContact(
  peer: PeerKey,
  { limited, dialled }: Pick<Contact, 'limited' | 'dialled'>,
  sent: Sent,
): Contact {
  const seenAddr = new Uint8Array()
  const [greeting, neighbour, pulls] = ['waiting', undefined, 0] as const
  return { peer, limited, dialled, seenAddr, greeting, neighbour, pulls, sent }
}
