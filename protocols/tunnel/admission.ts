import type { OpenAnswer } from './codec.ts'
import { TUNNEL_LIMITS } from './limits.ts'

/** Who may use a service: every member, or these peers. */
export type Allow = 'all' | readonly string[]

/** What is known when a peer asks for a service. */
export interface Question {
  /** The asking peer, as the encrypted connection has proved it. */
  peer: string
  service: string
  /** Undefined when no service of that name is offered. */
  allow: Allow | undefined
  /** Streams open now, this one left out. */
  openForPeer: number
  openInAll: number
}

/** Decides whether to open; undefined means yes, as far as the protocol is concerned. */
export function refusal(question: Question): Extract<OpenAnswer, { opened: false }> | undefined {
  const { peer, service, allow, openForPeer, openInAll } = question
  // Bounds come first, so that asking for names costs a flooding peer its own streams.
  if (openForPeer >= TUNNEL_LIMITS.streamsPerPeer) {
    return refuse('busy', `${TUNNEL_LIMITS.streamsPerPeer} streams of yours are open here already`)
  }
  if (openInAll >= TUNNEL_LIMITS.streamsTotal) {
    return refuse('busy', 'this node carries as many streams as it can')
  }
  if (allow === undefined) return refuse('unknown', `no service is called "${service}" here`)
  if (allow !== 'all' && !allow.includes(peer)) {
    return refuse('denied', `service "${service}" is not shared with you`)
  }
  return undefined
}

function refuse(
  code: 'busy' | 'unknown' | 'denied',
  message: string,
): Extract<OpenAnswer, { opened: false }> {
  return { opened: false, code, message }
}
