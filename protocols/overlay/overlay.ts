import type { Machine, Tick } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Removal, Source } from '../peer-exchange/address-book.ts'
import type { Fault } from '../peer-exchange/codec.ts'
import type { Signed } from '../peer-exchange/envelope.ts'
import type { Scope } from '../peer-exchange/hygiene.ts'
import type { Frame } from '../peer-exchange/messages.ts'
import type { ReadEnvelope } from '../peer-exchange/read-envelope.ts'
import type { Notation, PeerKey, SelfFacts } from '../peer-exchange/record.ts'
import type { Restored } from '../peer-exchange/snapshot.ts'

export type Path = 'direct' | 'relayed'

/** What the world tells an overlay node. */
export type Input =
  | Tick
  /** Begin: join through these and through what an earlier run knew. */
  | { type: 'start'; bootstraps: { peer: PeerKey; addresses: string[] }[] }
  | { type: 'restore'; ownSeq: number; entries: Restored[] }
  /** What this node says about itself from now on; signed and told to others. */
  | { type: 'self'; facts: SelfFacts }
  | { type: 'scope'; scope: Scope }
  /** There is a connection to a peer that speaks the protocol, or its best connection is another one now. */
  | {
      type: 'linked'
      peer: PeerKey
      path: Path
      /** Every connection to it goes through a relay that limits bytes and time. */
      limited: boolean
      /** We dialled the first connection. */
      dialled: boolean
      /** The peer's address as we see it; absent over a relay. */
      address?: string
      /** Over a relay: the relayed address that led there, if we dialled. */
      through?: string
      /** Not known to speak the protocol yet; `linked` is said again once it is. */
      stranger?: boolean
    }
  /** The last connection to the peer is gone. */
  | { type: 'unlinked'; peer: PeerKey }
  /** How a `dial` ended: with a connection of any kind (`linked` was said before), or without. */
  | { type: 'dial-done'; peer: PeerKey }
  | { type: 'dial-failed'; peer: PeerKey }
  /** A peer opened stream `exchange` and sent this. */
  | { type: 'request'; exchange: number; peer: PeerKey; frame: Frame }
  /** What came back on a stream that `ask` opened; undefined when nothing usable did. */
  | { type: 'answer'; exchange: number; frame: Frame | undefined }
  | { type: 'garbage'; peer: PeerKey; fault: Fault }
  /** The answers to `sign` and `verify`. */
  | { type: 'signed'; seq: number; envelope: Uint8Array }
  | { type: 'verified'; job: number; valid: boolean }
  /** Find an address of a peer; answered by `resolved`. */
  | { type: 'resolve'; peer: PeerKey }
  /** Find peers that offer a service, or relay; answered by `searched`. */
  | { type: 'search'; search: number; service?: string; relay?: boolean }
  /** Say farewell; nothing is learnt or answered afterwards. */
  | { type: 'leave' }

/** What an overlay node wants done, and what it tells. */
export type Output =
  | { type: 'sign'; seq: number; payload: Uint8Array }
  | { type: 'verify'; job: number; signed: Signed }
  /** Open a stream to a linked peer, send, and bring the one frame that answers. */
  | { type: 'ask'; exchange: number; peer: PeerKey; frame: Frame }
  /** Open a stream to a linked peer, send, close. */
  | { type: 'tell'; peer: PeerKey; frame: Frame }
  /** Answer a request (always in the same step), or close its stream when there is nothing to say. */
  | { type: 'reply'; exchange: number; frame: Frame | undefined }
  /**
   * Connect to a peer. `visit`: to see whether it is there and to ask it once; a relayed connection will do, no hole
   * need be punched.
   */
  | { type: 'dial'; peer: PeerKey; addresses: string[]; purpose: 'neighbour' | 'visit' }
  /** The relayed connection to the peer does not do: punch a hole, unless that is under way. */
  | { type: 'want-direct'; peer: PeerKey }
  /** The overlay needs no connection to the peer any more: close it unless others use it. */
  | { type: 'release'; peer: PeerKey }
  /** A link became one that both sides agreed to keep, or stopped being one. `chosen`: by this side. */
  | { type: 'neighbour'; peer: PeerKey; role: Role }
  | { type: 'neighbour-lost'; peer: PeerKey }
  | { type: 'found'; peer: PeerKey; from: Source }
  | { type: 'changed'; peer: PeerKey }
  | { type: 'gone'; peer: PeerKey; reason: Removal }
  | { type: 'observed'; by: PeerKey; address: string }
  | { type: 'resolved'; peer: PeerKey }
  | { type: 'searched'; search: number; peers: PeerKey[] }
  | { type: 'fault'; peer: PeerKey; fault: Fault }
  /** Bootstraps that cannot be reached; none when the list is empty. */
  | { type: 'bootstraps-unreachable'; peers: PeerKey[] }
  | { type: 'alone'; alone: boolean }
  /** The overlay was split, as far as can be told, and links are mixed faster for a while. */
  | { type: 'healing'; healing: boolean }
  /** The farewell has been handed out. */
  | { type: 'left' }

/** `chosen`: a neighbour we picked and dialled. `accepted`: it picked us. */
export type Role = 'chosen' | 'accepted'

export interface OverlayOptions {
  self: PeerKey
  networkId: bigint
  scope: Scope
  notation: Notation
  rng: Rng
  /** Members of a network with a key trust each other: no limits by address group. */
  trusted?: boolean
  /** How records are read; a simulator that passes the same bytes to thousands reads them once. */
  read?: ReadEnvelope
}

/** For metrics, pages and tests: what can be read from a running overlay node. */
export interface OverlayView extends Machine<Input, Output> {
  /** Neighbours and who chose them. */
  neighbours(): { peer: PeerKey; role: Role }[]
  /** Peers in the sampler's slots, as many as have one, repeated if they hold several. */
  sample(): { peer: PeerKey; rankedBy: 'id' | 'group' }[]
  sizes(): { heard: number; reached: number; lost: number; linked: number }
  /** Own estimate of the overlay's size; undefined before the sampler has seen enough. */
  estimate(): number | undefined
  readonly healing: boolean
}

export type MakeOverlay = (options: OverlayOptions) => OverlayView
export type { Rng }
