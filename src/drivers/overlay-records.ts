import { createHash } from 'node:crypto'
import { publicKeyFromProtobuf, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { RecordEnvelope } from '@libp2p/peer-record'
import { multiaddr } from '@multiformats/multiaddr'
import { DOMAIN, PAYLOAD_TYPE } from '../../protocols/peer-exchange/envelope.ts'
import type { Signed } from '../../protocols/peer-exchange/envelope.ts'
import type { Notation } from '../../protocols/peer-exchange/record.ts'

/** As many as every language's plain numbers hold. */
const LOW_53_BITS = (1n << 53n) - 1n

/** Peers and addresses as libp2p writes them. */
export const notation: Notation = {
  addressBytes: (text) => orUndefined(() => multiaddr(text).bytes),
  addressText: (bytes) => orUndefined(() => multiaddr(bytes).toString()),
  peerBytes: (peer) => orUndefined(() => peerIdFromString(peer).toMultihash().bytes),
  peerText: (bytes) => orUndefined(() => peerOfKey(bytes)),
  idOf: (peer) => Number(shortHash(peerIdFromString(peer).toMultihash().bytes) & LOW_53_BITS),
}

/** What distinguishes networks on the wire. */
export function networkIdOf(network: string): bigint {
  return shortHash(Buffer.from(network))
}

/** Puts a payload into a signed envelope. */
export async function seal(payload: Uint8Array, key: PrivateKey): Promise<Uint8Array> {
  const record = {
    domain: DOMAIN,
    codec: PAYLOAD_TYPE,
    marshal: () => payload,
    equals: () => false,
  }
  return (await RecordEnvelope.seal(record, key)).marshal()
}

/** Whether the signature is that key's. */
export async function isGenuine({ key, bytes, signature }: Signed): Promise<boolean> {
  try {
    return await publicKeyFromRaw(key).verify(bytes, signature)
  } catch {
    return false // 32 bytes that are no point of the curve
  }
}

/** Ed25519 keys are short enough to be the peer id itself: an identity multihash (code 0, length) of the key. */
function peerOfKey(multihash: Uint8Array): string | undefined {
  if (multihash[0] !== 0 || multihash[1] !== multihash.length - 2) return undefined
  return peerIdFromPublicKey(publicKeyFromProtobuf(multihash.subarray(2))).toString()
}

function shortHash(bytes: Uint8Array): bigint {
  return createHash('sha256').update(bytes).digest().readBigUInt64LE(0)
}

/** libp2p's parsers throw on what is not theirs; to a machine that is an answer like any other. */
function orUndefined<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
