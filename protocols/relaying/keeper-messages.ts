import type { Instant, Tick } from '../kernel/machine.ts'
import type { Candidate, Entry, Failure } from './candidates.ts'

/** `unclear`: the relay could not be asked, or our own connection is the problem. */
export type TestOutcome = 'forwards' | 'silent' | 'unclear'

export type KeeperInput =
  | Tick
  /** Whether this node needs relays at all. */
  | { type: 'need'; need: boolean }
  | ({ type: 'candidate' } & Candidate)
  | { type: 'candidate-gone'; peer: string }
  /** There is a direct connection to it, and it speaks the relay protocol. */
  | { type: 'reached'; peer: string }
  /** Its last direct connection closed. */
  | { type: 'cut'; peer: string }
  | { type: 'granted'; peer: string; until: Instant }
  /** It could not be reached, did not grant, or did not renew. */
  | { type: 'failed'; peer: string; failure: Failure }
  | { type: 'lost'; peer: string; reason: string }
  /** A circuit to ourselves; `ms` is what its question and answer took. */
  | { type: 'tested'; peer: string; outcome: TestOutcome; ms?: number }
  /** Round trips: to the relay, or through it to a peer and back. */
  | { type: 'measured'; peer: string; rttMs?: number; pathMs?: number }

export type KeeperOutput =
  /** Make a direct connection, then `reached` or `failed`. */
  | { type: 'reach'; peer: string }
  /** Ask for a reservation on the connection that there is, then `granted` or `failed`. */
  | { type: 'reserve'; peer: string }
  /** The same again, while the reservation is held. */
  | { type: 'renew'; peer: string }
  /** Open a circuit to ourselves through it, then `tested`. */
  | { type: 'test'; peer: string }
  | { type: 'release'; peer: string }
  | { type: 'relay.held'; peer: string; until: Instant }
  | { type: 'relay.renewed'; peer: string; until: Instant }
  | { type: 'relay.lost'; peer: string; reason: string }

export interface KeptRelay {
  peer: string
  /** `warm`: connected and next in turn. */
  state: 'held' | 'reserving' | 'warm'
  until?: Instant
  rttMs?: number
  /** What the last test said; absent before the first. */
  forwards?: boolean
}

/** A candidate in the words of whoever asks what is kept. */
export function described(entry: Entry, state: KeptRelay['state']): KeptRelay {
  const { peer, until, rttMs, silent, provedAt } = entry
  const tested = silent > 0 || provedAt !== undefined
  return {
    peer,
    state,
    ...(until === undefined ? {} : { until }),
    ...(rttMs === undefined ? {} : { rttMs }),
    ...(tested && state === 'held' ? { forwards: silent === 0 } : {}),
  }
}
