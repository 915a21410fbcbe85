import { attempt } from '../kernel/protobuf-bytes.ts'
import { bad, ok } from './codec.ts'
import type { EnvelopeFault, Result } from './codec.ts'
import { limits } from './limits.ts'
import { Envelope, PublicKey } from './messages.ts'

/** The domain string that separates these signatures from every other use of the key. */
export const DOMAIN = 'warren-peer-record'

/** `uvarint(0x300001)`: of the multicodec range for private use. */
export const PAYLOAD_TYPE = Uint8Array.of(0x81, 0x80, 0xc0, 0x01)

/** RSA and the curves cost up to ten times the CPU and their keys more bytes than the rest of a record. */
const ED25519 = 1
const ED25519_KEY_BYTES = 32
const ED25519_SIGNATURE_BYTES = 64

/** What must be checked with whose key: made from the very fields that are used, so that no other reader is trusted. */
export interface Signed {
  /** The 32 bytes of an Ed25519 key. */
  key: Uint8Array
  bytes: Uint8Array
  signature: Uint8Array
}

/** An envelope taken apart. Nothing in it may be believed before its signature was checked. */
export interface OpenedEnvelope {
  /** The signer's peer id in bytes: the identity multihash of its public key. */
  signer: Uint8Array
  payload: Uint8Array
  signed: Signed
}

/** The checks of an envelope that come before its signature, in the order of SPEC.md section 4. */
export function openEnvelope(bytes: Uint8Array): Result<OpenedEnvelope, EnvelopeFault> {
  if (bytes.length > limits.envelopeBytes) return bad('envelope-too-large')
  const envelope = attempt(() => Envelope.decode(bytes))
  if (envelope === undefined) return bad('envelope-malformed')
  const { payloadType, payload, signature } = envelope
  if (!equal(payloadType, PAYLOAD_TYPE)) return bad('payload-type-wrong')
  const key = attempt(() => PublicKey.decode(envelope.publicKey))
  if (key?.type !== ED25519 || key.data.length !== ED25519_KEY_BYTES) return bad('key-unsupported')
  if (signature.length !== ED25519_SIGNATURE_BYTES) return bad('envelope-malformed')
  // Written anew, so that one key cannot appear as two peer ids.
  const publicKey = PublicKey.encode(key)
  return ok({
    signer: Uint8Array.of(0, publicKey.length, ...publicKey),
    payload,
    signed: { key: key.data, bytes: signedBytes(payload), signature },
  })
}

/** What a signature covers by RFC 0002: domain, payload type and payload, each after its length. */
function signedBytes(payload: Uint8Array): Uint8Array {
  const domain = new TextEncoder().encode(DOMAIN)
  const parts = [domain, PAYLOAD_TYPE, payload].flatMap((part) => [uvarint(part.length), part])
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Payloads are under 16 kB: two bytes hold every length. */
function uvarint(value: number): Uint8Array {
  return value < 0x80 ? Uint8Array.of(value) : Uint8Array.of((value & 0x7f) | 0x80, value >> 7)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
