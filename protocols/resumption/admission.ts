import type { RefusalCode } from './codec.ts'
import { RESUMPTION_LIMITS } from './limits.ts'

/** What is known when a peer asks for a new session. */
export interface Question {
  /** Whether somebody here answers the protocol. */
  handled: boolean
  /** Sessions that are kept now. */
  ofPeer: number
  inAll: number
}

/** Why the session cannot be had; undefined when it can. */
export function refusal({ handled, ofPeer, inAll }: Question): RefusalCode | undefined {
  if (!handled) return 'unknown-protocol'
  const { sessionsPerPeer, sessions } = RESUMPTION_LIMITS
  return ofPeer >= sessionsPerPeer || inAll >= sessions ? 'busy' : undefined
}
