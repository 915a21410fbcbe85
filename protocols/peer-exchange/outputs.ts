import type { Removal, Source } from './address-book.ts'
import type { Fault } from './codec.ts'
import type { Signed } from './envelope.ts'
import type { Frame } from './messages.ts'
import type { PeerKey } from './record.ts'

/** What peer exchange wants done, and what it tells. */
export type Output =
  | { type: 'sign'; seq: number; payload: Uint8Array }
  | { type: 'verify'; job: number; signed: Signed }
  /** Open a stream to a linked peer, send, and bring the one frame that answers. */
  | { type: 'ask'; exchange: number; peer: PeerKey; frame: Frame }
  /** Open a stream to a linked peer, send, close. */
  | { type: 'tell'; peer: PeerKey; frame: Frame }
  /** Answer a request (always in the same step), or close its stream when there is nothing to say. */
  | { type: 'reply'; exchange: number; frame: Frame | undefined }
  | { type: 'found'; peer: PeerKey; from: Source }
  | { type: 'changed'; peer: PeerKey }
  | { type: 'gone'; peer: PeerKey; reason: Removal }
  /** Both sides have each other's record. */
  | { type: 'greeted'; peer: PeerKey }
  /** A pull is over, whatever it brought. */
  | { type: 'pulled'; peer: PeerKey }
  /** A peer says at which address it sees us. One peer's word: evidence, not a fact. */
  | { type: 'observed'; by: PeerKey; address: string }
  /** A resolve is over; whether the book now holds the peer is for the asker to see. */
  | { type: 'resolved'; peer: PeerKey }
  | { type: 'searched'; search: number; peers: PeerKey[] }
  | { type: 'fault'; peer: PeerKey; fault: Fault }
  /** The farewell has been handed out. */
  | { type: 'left' }
