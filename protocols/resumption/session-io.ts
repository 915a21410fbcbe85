import type { Tick } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { MemoryBudget } from './budget.ts'
import type { Frame, RefusalCode, ResetCode } from './codec.ts'
import type { SeekOutput } from './seeker.ts'

/** What happens to a session. */
export type SessionInput =
  /** The opener begins. */
  | { type: 'start' }
  /** A connection was chosen for a carrier that was to be opened. */
  | { type: 'trying'; carrier: number; path: string }
  /** The carrier stands: it can be greeted. */
  | { type: 'opened'; carrier: number }
  | { type: 'unopened'; carrier: number }
  /** The best connection to the peer, whenever it is another one. */
  | { type: 'path'; best: string | undefined }
  | { type: 'frame'; carrier: number; frame: Frame }
  /** What was to be sent has been taken, and more will be. */
  | { type: 'writable'; carrier: number }
  /** The other side closed the carrier in order. */
  | { type: 'ended'; carrier: number }
  | { type: 'broken'; carrier: number }
  /** Bytes on the carrier were no frame. */
  | { type: 'garbage'; carrier: number; text: string }
  /** The application wrote (`append`). */
  | { type: 'written' }
  | { type: 'finished' }
  | { type: 'reset'; code: ResetCode }
  /** The application has closed the link to the peer. */
  | { type: 'leave' }
  /** The application has taken all bytes before the offset; follows every `deliver`. */
  | { type: 'consumed'; offset: number }
  | Tick

/** How a session ended. */
export type Outcome =
  | { type: 'complete' }
  /** The first carrier could not be had. */
  | { type: 'unopened' }
  | { type: 'refused'; code: RefusalCode }
  | { type: 'lost'; text: string }
  | { type: 'violation'; text: string }
  | { type: 'reset'; by: 'us' | 'peer' }

/** What it wants done. */
export type SessionOutput =
  | SeekOutput
  | { type: 'send'; carrier: number; frames: Frame[] }
  /** Close the carrier's write half once everything has left. */
  | { type: 'finish'; carrier: number }
  /** The session stands; `deliver` and `room` follow. */
  | { type: 'established' }
  | { type: 'deliver'; bytes: Uint8Array }
  /** Everything the other side wrote has been delivered. */
  | { type: 'ended' }
  /** There is room again for a writer that was turned away. */
  | { type: 'room' }
  /** Everything written has arrived, the end included. */
  | { type: 'flushed' }
  | { type: 'over'; outcome: Outcome }

/** What a session is made of. */
export interface SessionOptions {
  /** Of the opener: what it asks for. Undefined on the answering side. */
  opens: { session: Uint8Array; protocol: string; rng: Rng } | undefined
  budget: MemoryBudget
}
