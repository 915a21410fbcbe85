import type { Entry, Frame } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'

export type Purpose = 'neighbour' | 'visit'
export type Role = 'chosen' | 'accepted'

/** What a membership wants done, or told. */
export type Output =
  | { type: 'dial'; peer: PeerKey; addresses: string[]; purpose: Purpose }
  /** A relayed connection does not do. */
  | { type: 'want-direct'; peer: PeerKey }
  | { type: 'release'; peer: PeerKey }
  | { type: 'ask'; exchange: number; peer: PeerKey; frame: Frame }
  | { type: 'tell'; peer: PeerKey; frame: Frame }
  | { type: 'reply'; exchange: number; frame: Frame | undefined }
  | { type: 'neighbour'; peer: PeerKey; role: Role }
  | { type: 'neighbour-lost'; peer: PeerKey }
  /** For peer exchange: a dial was not answered by the peer; ask it; it gave us these. */
  | { type: 'missed'; peer: PeerKey }
  | { type: 'pull'; peer: PeerKey }
  | { type: 'offered'; peer: PeerKey; entries: Entry[] }
  /** Bootstraps that cannot be reached; none when the list is empty. */
  | { type: 'bootstraps-unreachable'; peers: PeerKey[] }
  | { type: 'alone'; alone: boolean }
  | { type: 'healing'; healing: boolean }
