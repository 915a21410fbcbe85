import type { Behaviour } from './types.ts'

/** How STUN's first users named NATs: coarser than RFC 4787, and still what many people know. */
export type NatClass =
  | 'public'
  | 'unrestricted'
  | 'restricted'
  | 'symmetric'
  | 'blocked'
  | 'unknown'

/** The two behaviours as one word; `cutOff`: no connection to anybody can be made. */
export function natClass({
  mapping,
  filtering,
  cutOff = false,
}: {
  mapping: Behaviour
  filtering: Behaviour
  cutOff?: boolean
}): NatClass {
  if (cutOff) return 'blocked'
  if (mapping === 'address-dependent' || mapping === 'address-and-port-dependent')
    return 'symmetric'
  if (mapping === 'unknown' || filtering === 'unknown') return 'unknown'
  if (mapping === 'none' && filtering === 'none') return 'public'
  return filtering === 'endpoint-independent' || filtering === 'none'
    ? 'unrestricted'
    : 'restricted'
}
