import { readEnvelope } from '../../../../protocols/peer-exchange/read-envelope.ts'
import type { ReadEnvelope } from '../../../../protocols/peer-exchange/read-envelope.ts'

/**
 * Reads every envelope once, however many nodes get it: here they all get the very same bytes. What comes out is shared as
 * well, which spares memory that real nodes would each need.
 */
export function readingOnce(): ReadEnvelope {
  const read = new WeakMap<Uint8Array, ReturnType<ReadEnvelope>>()
  return (envelope, notation) => {
    const known = read.get(envelope)
    if (known !== undefined) return known
    const result = readEnvelope(envelope, notation)
    read.set(envelope, result)
    return result
  }
}
