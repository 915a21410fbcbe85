/** The bytes of peer ids that are Ed25519 keys, as all of this network's are. */

/** Multihash "identity" of 36 bytes, which are a public key: type Ed25519, and 32 bytes that follow. */
const ED25519_ID = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/** How many bytes such a peer id has. */
export const PEER_BYTES = 38

/** Whether the bytes are the peer id of an Ed25519 key. */
export function isPeer(bytes: Uint8Array): boolean {
  return bytes.length === PEER_BYTES && ED25519_ID.every((byte, i) => bytes[i] === byte)
}

/** The Ed25519 public key in a peer id's bytes. */
export function keyOfPeer(peer: Uint8Array): Uint8Array {
  return peer.subarray(ED25519_ID.length)
}
