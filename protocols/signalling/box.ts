/** What is inside a sealed box, and what its key and its signature are bound to. The cryptography is not here. */
import { Writer } from '../kernel/protobuf-bytes.ts'
import { SIGNAL_LIMITS } from './limits.ts'

/** The domain string that separates these keys and signatures from every other use of the identity. */
export const BOX_DOMAIN = 'warren-signal-v1'

/** Length of X25519 and Ed25519 public keys. */
export const KEY_BYTES = 32

/** Length of the tag of ChaCha20-Poly1305. */
export const TAG_BYTES = 16

const TIME_BYTES = 8
const SIGNATURE_BYTES = 64

/** How many bytes a box has beyond its payload. */
export const BOX_OVERHEAD = KEY_BYTES + TIME_BYTES + SIGNATURE_BYTES + TAG_BYTES

/** The longest payload. */
export const PAYLOAD_BYTES = SIGNAL_LIMITS.sealedBytes - BOX_OVERHEAD

/** Who a box is between. Keys are the 32 bytes of Ed25519 keys, the ephemeral one of an X25519 key. */
export interface BoxContext {
  network: string
  sender: Uint8Array
  recipient: Uint8Array
  ephemeral: Uint8Array
}

/** What is encrypted. */
export interface BoxContent {
  /** Unix time in seconds. */
  time: number
  signature: Uint8Array
  payload: Uint8Array
}

/** Everything that key and signature are bound to, each part after its length. */
export function contextBytes({ network, sender, recipient, ephemeral }: BoxContext): Uint8Array {
  const writer = new Writer()
  writer.blob(new TextEncoder().encode(BOX_DOMAIN))
  writer.blob(new TextEncoder().encode(network))
  for (const key of [sender, recipient, ephemeral]) writer.blob(key)
  return writer.finish()
}

/** What the sender signs. */
export function signedBytes(context: Uint8Array, time: number, payload: Uint8Array): Uint8Array {
  return concat([context, timeBytes(time), payload])
}

/** The content as it is encrypted. */
export function contentBytes({ time, signature, payload }: BoxContent): Uint8Array {
  return concat([timeBytes(time), signature, payload])
}

/** Takes a decrypted content apart; undefined when it is too short, or its time beyond what numbers hold. */
export function readContent(bytes: Uint8Array): BoxContent | undefined {
  const head = TIME_BYTES + SIGNATURE_BYTES
  if (bytes.length < head) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, TIME_BYTES)
  const time = Number(view.getBigUint64(0))
  if (!Number.isSafeInteger(time)) return undefined
  return { time, signature: bytes.subarray(TIME_BYTES, head), payload: bytes.subarray(head) }
}

/** Puts byte strings one behind the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function timeBytes(seconds: number): Uint8Array {
  const bytes = new Uint8Array(TIME_BYTES)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(seconds))
  return bytes
}
