import { bad, ok } from './codec.ts'
import type { Result } from './codec.ts'
import { openEnvelope } from './envelope.ts'
import type { Signed } from './envelope.ts'
import { readPayload } from './record.ts'
import type { Notation, PeerRecord } from './record.ts'

/** A record that is well-formed. Whether its signature is right is still to be seen. */
export interface ReadRecord {
  record: PeerRecord
  signed: Signed
}

export type ReadEnvelope = (envelope: Uint8Array, notation: Notation) => Result<ReadRecord>

/** Reads the bytes of a signed record: form only. */
export const readEnvelope: ReadEnvelope = (envelope, notation) => {
  const opened = openEnvelope(envelope)
  if (!opened.ok) return opened
  const peer = notation.peerText(opened.value.signer)
  if (peer === undefined) return bad('key-unsupported')
  const record = readPayload(opened.value.payload, peer, notation)
  return record.ok ? ok({ record: record.value, signed: opened.value.signed }) : record
}
