/** RFC 4787 behaviour in the words of the public API. */
export type Behaviour =
  | 'none'
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'unknown'

export type Verdict = 'public' | 'private' | 'unknown'

export interface Endpoint {
  ip: string
  port: number
}
