import type { Machine, Tick } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Output as MembershipOutput, Role } from '../membership/outputs.ts'
import type { Fault } from '../peer-exchange/codec.ts'
import type { Scope } from '../peer-exchange/hygiene.ts'
import type { Frame } from '../peer-exchange/messages.ts'
import type { ReadEnvelope } from '../peer-exchange/read-envelope.ts'
import type { Output as ExchangeOutput } from '../peer-exchange/outputs.ts'
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

/** What the two halves tell each other stays inside. */
type Inner = 'greeted' | 'pulled' | 'missed' | 'pull' | 'offered'

/** What an overlay node wants done, and what it tells. */
export type Output = Exclude<ExchangeOutput | MembershipOutput, { type: Inner }>

export type { Role }

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
