import { Envelope, PublicKey } from '../../../../protocols/peer-exchange/messages.ts'
import { openEnvelope, PAYLOAD_TYPE } from '../../../../protocols/peer-exchange/envelope.ts'
import type { Signed } from '../../../../protocols/peer-exchange/envelope.ts'
import { keyOf } from './notation.ts'

const ED25519 = 1
const SIGNATURE_BYTES = 64

/** A real envelope with a signature that costs nothing: a hash over key and bytes, where Ed25519 would be. */
export function sealed(node: number, payload: Uint8Array): Uint8Array {
  const publicKey = PublicKey.encode({ type: ED25519, data: keyOf(node) })
  const parts = { publicKey, payloadType: PAYLOAD_TYPE, payload }
  const unsigned = openEnvelope(
    Envelope.encode({ ...parts, signature: new Uint8Array(SIGNATURE_BYTES) }),
  )
  if (!unsigned.ok) throw new Error(`own envelope is none: ${unsigned.fault}`)
  return Envelope.encode({ ...parts, signature: signatureOf(unsigned.value.signed) })
}

/** Thousands of nodes check the very same objects. */
const checked = new WeakMap<Signed, boolean>()

/** Whether the subject itself signed these bytes. */
export function isGenuine(signed: Signed): boolean {
  const before = checked.get(signed)
  if (before !== undefined) return before
  const isRight = isSignatureRight(signed)
  checked.set(signed, isRight)
  return isRight
}

function isSignatureRight(signed: Signed): boolean {
  const expected = signatureOf(signed)
  const { signature } = signed
  if (signature.length !== SIGNATURE_BYTES) return false
  for (let i = 0; i < SIGNATURE_BYTES; i++) if (signature[i] !== expected[i]) return false
  return true
}

function signatureOf({ key, bytes }: Pick<Signed, 'key' | 'bytes'>): Uint8Array {
  let hash = fnv(0x811c9dc5, key)
  hash = fnv(hash, bytes)
  const signature = new Uint8Array(SIGNATURE_BYTES)
  for (let i = 0; i < SIGNATURE_BYTES; i++) {
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) + i
    signature[i] = hash >>> 24
  }
  return signature
}

/** FNV-1a. */
function fnv(from: number, bytes: Uint8Array): number {
  let hash = from
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  return hash
}
