import type { Tick } from '../kernel/machine.ts'
import type { Frame, FrameOf } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'

/** What a membership is told. */
export type Input =
  | Tick
  | { type: 'start'; bootstraps: { peer: PeerKey; addresses: string[] }[] }
  /** This node turned out to be public, or not. */
  | { type: 'self'; dependable: boolean }
  /** There is a connection now, or the best one of a peer changed. */
  | {
      type: 'linked'
      peer: PeerKey
      path: 'direct' | 'relayed'
      limited: boolean
      dialled: boolean
      address?: string
      through?: string
    }
  | { type: 'unlinked'; peer: PeerKey }
  /** Peer exchange: a peer became known or its record changed; both sides have greeted; a pull is over. */
  | { type: 'known'; peer: PeerKey }
  | { type: 'greeted'; peer: PeerKey }
  | { type: 'pulled'; peer: PeerKey }
  | { type: 'dial-done'; peer: PeerKey }
  | { type: 'dial-failed'; peer: PeerKey }
  | { type: 'request'; exchange: number; peer: PeerKey; frame: Request }
  | { type: 'answer'; exchange: number; frame: Frame | undefined }
  /** A peer was reached there in an earlier run. */
  | { type: 'proven'; address: string }
  /** Nothing is dialled or asked any more. */
  | { type: 'leave' }

export type Request = FrameOf<'neighbourReq' | 'neighbourEnd'>
