/**
 * Sealed boxes between two peers that know each other's ids and share no connection: encrypted to the recipient's
 * identity, signed by the sender's. Layout and reasons: protocols/signalling/SPEC.md section 4.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { ed25519 } from '@noble/curves/ed25519.js'
import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import {
  BOX_OVERHEAD,
  concat,
  contentBytes,
  contextBytes,
  KEY_BYTES,
  readContent,
  signedBytes,
  TAG_BYTES,
} from '../../protocols/signalling/box.ts'
import { SIGNAL_LIMITS } from '../../protocols/signalling/limits.ts'
import type { ReplayGuard } from '../../protocols/kernel/replay-guard.ts'

/** Between whom, in which network, and when a box is sealed. */
export interface Sealing {
  from: PrivateKey
  to: PeerId
  network: string
  /** Unix time in milliseconds. */
  now?: number
}

/** Who opens a box, from whom, in which network, and when. */
export interface Opening {
  self: PrivateKey
  from: PeerId
  network: string
  guard: ReplayGuard
  /** Unix time in milliseconds. */
  now?: number
}

/** Seals a payload for a peer. Throws ERR_PEER_INVALID for identities that are not Ed25519. */
export function seal(payload: Uint8Array, sealing: Sealing): Uint8Array {
  return sealWith(payload, sealing, randomBytes(KEY_BYTES))
}

/** `seal` with a given ephemeral secret: for test vectors. One that is used twice betrays both payloads. */
export function sealWith(
  payload: Uint8Array,
  { from, to, network, now = Date.now() }: Sealing,
  secret: Uint8Array,
): Uint8Array {
  const identity = identityOf(from)
  const recipient = keyOf(to)
  const ephemeral = privateKey(PKCS8_X25519, secret)
  const ephemeralKey = rawPublicKey(ephemeral)
  const context = contextBytes({
    network,
    sender: identity.publicKey,
    recipient,
    ephemeral: ephemeralKey,
  })
  const time = Math.floor(now / 1000)
  const signature = sign(null, signedBytes(context, time, payload), identity.signing)
  const key = keyFor(recipient, ephemeral, context)
  return concat([ephemeralKey, encrypt(key, contentBytes({ time, signature, payload }))])
}

/** The payload of a genuine box that is neither stale nor known; undefined for any other bytes. */
export function open(
  box: Uint8Array,
  { self, from, network, guard, now = Date.now() }: Opening,
): Uint8Array | undefined {
  if (box.length < BOX_OVERHEAD || box.length > SIGNAL_LIMITS.sealedBytes) return undefined
  const identity = identityOf(self)
  const ephemeral = box.subarray(0, KEY_BYTES)
  const sender = keyOf(from)
  const context = contextBytes({ network, sender, recipient: identity.publicKey, ephemeral })
  const plain = decrypted(identity.agreeing, ephemeral, context, box.subarray(KEY_BYTES))
  const content = plain === undefined ? undefined : readContent(plain)
  if (content === undefined) return undefined

  const { time, payload, signature } = content
  if (Math.abs(time * 1000 - now) > SIGNAL_LIMITS.clockSkewMs) return undefined
  const signer = publicKey(SPKI_ED25519, sender)
  if (!verify(null, signedBytes(context, time, payload), signer, signature)) return undefined
  const until = time * 1000 + SIGNAL_LIMITS.clockSkewMs
  return guard.admit(Buffer.from(ephemeral).toString('base64'), until, now) ? payload : undefined
}

/** What is in front of 32 raw bytes to make them a key that Node reads (RFC 8410). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')
const SPKI_X25519 = Buffer.from('302a300506032b656e032100', 'hex')

const CIPHER = 'chacha20-poly1305'

/** Every box has a key of its own, so one nonce does for all. */
const NONCE = new Uint8Array(12)

interface Identity {
  /** Ed25519. */
  publicKey: Uint8Array
  signing: KeyObject
  /** The same secret as an X25519 key. */
  agreeing: KeyObject
}

const identities = new WeakMap<PrivateKey, Identity>()

/** Converted keys of peers written to lately: converting one takes as long as the rest of sealing. */
const agreeingKeys = new BoundedMap<string, KeyObject>(256)

function identityOf(key: PrivateKey): Identity {
  const known = identities.get(key)
  if (known !== undefined) return known
  if (key.type !== 'Ed25519') throw wrongKind(`this node's identity is of type ${key.type}`)
  const seed = key.raw.subarray(0, KEY_BYTES)
  const identity = {
    publicKey: key.publicKey.raw,
    signing: privateKey(PKCS8_ED25519, seed),
    agreeing: privateKey(PKCS8_X25519, ed25519.utils.toMontgomerySecret(seed)),
  }
  identities.set(key, identity)
  return identity
}

function keyOf(peer: PeerId): Uint8Array {
  if (peer.type !== 'Ed25519') throw wrongKind(`${peer.toString()} is no Ed25519 peer id`)
  return peer.publicKey.raw
}

function keyFor(recipient: Uint8Array, ephemeral: KeyObject, context: Uint8Array): Uint8Array {
  try {
    return boxKey(ephemeral, agreeingKeyOf(recipient), context)
  } catch (cause) {
    throw new WarrenError('ERR_PEER_INVALID', 'no secret can be shared with that peer id', {
      cause,
    })
  }
}

function agreeingKeyOf(recipient: Uint8Array): KeyObject {
  const name = Buffer.from(recipient).toString('base64')
  const key =
    agreeingKeys.get(name) ?? publicKey(SPKI_X25519, ed25519.utils.toMontgomery(recipient))
  agreeingKeys.set(name, key)
  return key
}

function boxKey(secret: KeyObject, other: KeyObject, context: Uint8Array): Uint8Array {
  const shared = diffieHellman({ privateKey: secret, publicKey: other })
  return new Uint8Array(hkdfSync('sha256', shared, new Uint8Array(), context, KEY_BYTES))
}

function encrypt(key: Uint8Array, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, NONCE, { authTagLength: TAG_BYTES })
  return concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypted(
  secret: KeyObject,
  ephemeral: Uint8Array,
  context: Uint8Array,
  bytes: Uint8Array,
): Uint8Array | undefined {
  try {
    const key = boxKey(secret, publicKey(SPKI_X25519, ephemeral), context)
    const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG_BYTES })
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    return concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch {
    return undefined // a key without a shared secret, or bytes that this key did not encrypt
  }
}

function privateKey(prefix: Buffer, raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([prefix, raw]), format: 'der', type: 'pkcs8' })
}

function publicKey(prefix: Buffer, raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([prefix, raw]), format: 'der', type: 'spki' })
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI_X25519.length)
}

function wrongKind(text: string): WarrenError {
  return new WarrenError('ERR_PEER_INVALID', `messages cannot be sealed: ${text}`, {
    remedy: 'use identities with Ed25519 keys',
  })
}
