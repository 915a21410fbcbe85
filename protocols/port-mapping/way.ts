import type { Instant } from '../kernel/machine.ts'

/** How a gateway is asked, best first: PCP owns what it maps, UPnP lets anybody take it away. */
export const PROTOCOLS = ['pcp', 'nat-pmp', 'upnp'] as const

export type Protocol = (typeof PROTOCOLS)[number]

/** What is asked over UDP. */
export type DatagramProtocol = Exclude<Protocol, 'upnp'>

/** Where we are: the gateway, and the endpoint on our side that strangers shall reach. */
export interface Network {
  gateway: string
  /** Our address on the gateway's network, and the TCP port listened on there. */
  ip: string
  port: number
}

/** What one protocol is asked to do; one task at a time. */
export type Task =
  /** Find out whether the gateway speaks it. */
  | { do: 'ask' }
  /** Make or renew the mapping, at this external port if possible. */
  | { do: 'map'; port: number }
  /** Find out whether the gateway still knows it. */
  | { do: 'check'; port: number }
  | { do: 'release'; port: number }

/** Why a gateway does not do what it was asked. */
export type Refusal =
  | 'unsupported' // it speaks another version, or does not know the request
  | 'not-authorized' // switched off, or not for this host
  | 'no-network' // it has no address on the internet itself
  | 'no-resources' // no port or memory left
  | 'port-taken' // by another host, with every port that was tried
  | 'mismatch' // it sees us at another address: a NAT stands between us
  | 'garbage' // an answer that makes no sense
  | 'failed' // it says no, and nothing more

/** What a gateway gave. */
export interface Grant {
  port: number
  /** As it says; may be wrong, private, or absent. */
  externalIp?: string
  seconds: number
}

/** What came of a task. */
export type Outcome =
  | { type: 'present'; externalIp?: string }
  | { type: 'granted'; grant: Grant }
  /** The gateway still knows the mapping, as far as it tells. */
  | { type: 'standing'; externalIp?: string }
  /** It has forgotten the mapping. */
  | { type: 'forgotten' }
  | { type: 'released' }
  | { type: 'refused'; reason: Refusal }
  | { type: 'silent' }

/** What comes from the gateway; drivers let nothing else through. */
export type WayInput =
  | { type: 'tick' }
  | { type: 'datagram'; bytes: Uint8Array }
  /** ICMP: nobody listens at that port. */
  | { type: 'unreachable' }
  /** An answer to our search. */
  | { type: 'found'; text: string }
  /** What came of a request: undefined when nothing did, within time and size. */
  | { type: 'answered'; id: number; answer: HttpAnswer | undefined }

export interface HttpAnswer {
  status: number
  body: string
}

/** A request to the gateway itself; there is no other host it could go to. */
export interface HttpRequest {
  id: number
  method: 'GET' | 'POST'
  port: number
  path: string
  headers: Record<string, string>
  body: string
}

/** What a protocol wants done; `done` ends the task. */
export type WayOutput =
  | { type: 'send'; bytes: Uint8Array }
  | { type: 'search'; texts: string[] }
  | { type: 'request'; request: HttpRequest }
  | { type: 'done'; task: Task; outcome: Outcome }

/** One protocol towards one gateway. */
export interface Way {
  readonly protocol: Protocol
  /** Starts a task; one that is under way is dropped. */
  begin(task: Task, now: Instant): WayOutput[]
  step(input: WayInput, now: Instant): WayOutput[]
  nextWake(): Instant | undefined
}
