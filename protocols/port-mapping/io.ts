import type { Instant, Tick } from '../kernel/machine.ts'
import type {
  DatagramProtocol,
  HttpAnswer,
  HttpRequest,
  Network,
  Outcome,
  Protocol,
  Refusal,
  Task,
} from './way.ts'

/** What happened towards the gateway. Nothing of it may come from any other host. */
export type PortMappingInput =
  | Tick
  /** Where we are now; undefined when there is no gateway, or nothing to map. */
  | { type: 'network'; network: Network | undefined }
  | { type: 'datagram'; protocol: DatagramProtocol; bytes: Uint8Array }
  | { type: 'unreachable'; protocol: DatagramProtocol }
  | { type: 'found'; text: string }
  | { type: 'answered'; id: number; answer: HttpAnswer | undefined }
  /** Somebody tried the mapped address in vain. */
  | { type: 'doubted' }
  /** Give back what is held, and do nothing more. */
  | { type: 'leave' }

/** A mapping that is held. */
export interface Mapping {
  protocol: Protocol
  network: Network
  externalPort: number
  /** As the gateway says it: evidence about the network, never an address to announce. */
  externalIp?: string
  until: Instant
}

export type PortMappingOutput =
  | { type: 'send'; protocol: DatagramProtocol; bytes: Uint8Array }
  /** A question over UDP is over: its socket is not needed any more. */
  | { type: 'hush'; protocol: DatagramProtocol }
  | { type: 'search'; texts: string[] }
  | { type: 'request'; request: HttpRequest }
  | { type: 'changed'; mapping: Mapping | undefined; reason: string }
  | { type: 'outcome'; protocol: Protocol; task: Task['do']; outcome: Outcome }
  | { type: 'left' }

/** What is worth knowing beside the mapping itself. */
export interface PortMappingState {
  network: Network | undefined
  mapping: Mapping | undefined
  /** What each protocol last came to; `asking` in the first round alone. */
  answers: Partial<Record<Protocol, 'asking' | 'present' | 'silent' | Refusal>>
}
