import type { Instant } from '../kernel/machine.ts'
import type { PunchMessage, RoundMethod } from './codec.ts'
import type { Expected, Target } from './targets.ts'

/** What can carry a message to a peer. */
export interface Carrier {
  /** `signal`: a relay passes it on; `circuit`: a relayed connection. */
  kind: 'signal' | 'circuit'
  /** The relay's peer id. */
  relay: string
  /** Our own round trip to that relay (signal) or to the peer (circuit), if one was measured. */
  rttMs?: number
}

/** The part in handshake and muxer, however the connection came about: the smaller peer id is the client. */
export type Role = 'client' | 'server'

/** How an attempt ended, in the words of go-libp2p's metrics. */
export type Outcome = 'success' | 'failed' | 'cancelled' | 'no_suitable_address'

/** One wait of an attempt: what was waited for, and when it was over, counted from the attempt's start. */
export interface Step {
  name: 'asked' | 'answered' | 'dialled' | 'connected' | 'secured'
  ms: number
}

/** One round of a campaign, as `explain` shows it. */
export interface Attempt {
  peer: string
  at: Instant
  side: 'caller' | 'callee'
  round: number
  method: RoundMethod
  carrier: Carrier['kind']
  candidates: string[]
  outcome: Outcome
  ms: number
  /** Why it failed, in a few words. */
  reason?: string
  /** The address of the path, where one came about. */
  address?: string
  steps: Step[]
}

export type PunchOutput =
  | { type: 'send'; peer: string; carrier: Carrier; message: PunchMessage }
  /**
   * Dial these until met or `until`; replaces what was being dialled for the peer. Accepted connections from `expect` play our
   * role as well.
   */
  | {
      type: 'dial'
      peer: string
      role: Role
      targets: Target[]
      expect: Expected[]
      startAt: Instant
      until: Instant
      /** Whether dials leave from the listening port, as others expect them to. */
      fromListenPort: boolean
      /** A dial without an answer is given up and repeated after this long. */
      resendMs: number
      /** Pause after a refused dial: this long and up to `spreadMs` more. */
      pauseMs: number
      spreadMs: number
    }
  /** Send one SYN to each of these ports, from the listening port. */
  | {
      type: 'probe'
      peer: string
      role: Role
      ip: string
      ports: number[]
      until: Instant
    }
  /** Open many sockets to one endpoint. */
  | {
      type: 'knock'
      peer: string
      role: Role
      ip: string
      port: number
      sockets: number
      startAt: Instant
      until: Instant
    }
  /**
   * Dial the peer no more. When both have `met`, what is under way may finish for a moment, since the other side may have taken
   * that very connection for the winner; otherwise it only blocks its pair of ports.
   */
  | { type: 'stop'; peer: string; met: boolean }
  /** The time for another campaign has come: call again if the peer is still without a direct path. */
  | { type: 'due'; peer: string }
  | { type: 'started'; peer: string; method: RoundMethod; side: 'caller' | 'callee' }
  | { type: 'ended'; attempt: Attempt }
  /** A campaign is over without a direct path; `againAt` is when the next begins, if one is planned. */
  | { type: 'gave-up'; peer: string; reason: string; againAt?: Instant }
