import type { Entry, Frame } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'

/** `visit`: to see whether it is there and to ask it once; a relayed connection will do, no hole need be punched. */
export type Purpose = 'neighbour' | 'visit'
/** `chosen`: a neighbour we picked and dialled. `accepted`: it picked us. */
export type Role = 'chosen' | 'accepted'

/** What a membership wants done, and what it tells. */
export type Output =
  | { type: 'dial'; peer: PeerKey; addresses: string[]; purpose: Purpose }
  /** The relayed connection to the peer does not do: punch a hole, unless that is under way. */
  | { type: 'want-direct'; peer: PeerKey }
  /** The overlay needs no connection to the peer any more: close it unless others use it. */
  | { type: 'release'; peer: PeerKey }
  /** Streams to peers, as in peer exchange. */
  | { type: 'ask'; exchange: number; peer: PeerKey; frame: Frame }
  | { type: 'tell'; peer: PeerKey; frame: Frame }
  | { type: 'reply'; exchange: number; frame: Frame | undefined }
  /** A link became one that both sides agreed to keep, or stopped being one. */
  | { type: 'neighbour'; peer: PeerKey; role: Role }
  | { type: 'neighbour-lost'; peer: PeerKey }
  /** For peer exchange: a dial was not answered by the peer; ask it; it gave us these. */
  | { type: 'missed'; peer: PeerKey }
  | { type: 'pull'; peer: PeerKey }
  | { type: 'offered'; peer: PeerKey; entries: Entry[] }
  /** Bootstraps that cannot be reached; none when the list is empty. */
  | { type: 'bootstraps-unreachable'; peers: PeerKey[] }
  | { type: 'alone'; alone: boolean }
  /** The overlay was split, as far as can be told, and links are mixed faster for a while. */
  | { type: 'healing'; healing: boolean }
