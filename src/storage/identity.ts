import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { makeDataDir, writableRemedy } from './data-dir.ts'
import { readFileBounded, writeFileAtomic } from './files.ts'

/** Who a node is. */
export interface Identity {
  privateKey: Ed25519PrivateKey
  peerId: string
  /** Whether the key was made just now. */
  created: boolean
}

/** An Ed25519 key in libp2p's protobuf has 68 bytes; anything near a kilobyte is some other file. */
const MAX_KEY_BYTES = 1024

const READABLE_BY_OTHERS = 0o077

/** Reads the key of a data directory, or makes one. A key that cannot be used is never replaced. */
export async function loadOrCreateIdentity(dataDir: string): Promise<Identity> {
  await makeDataDir(dataDir)
  const path = join(dataDir, 'identity.key')
  const existing = await load(path)
  if (existing !== undefined) return existing

  const privateKey = await generateKeyPair('Ed25519')
  try {
    await writeFileAtomic(path, privateKeyToProtobuf(privateKey), { mode: 0o600, exclusive: true })
  } catch (cause) {
    // Somebody else, `warren id` for one, was quicker: theirs is the identity.
    const theirs = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? await load(path) : undefined
    if (theirs !== undefined) return theirs
    throw unreadable(
      path,
      `cannot be written: ${(cause as Error).message}`,
      writableRemedy(dataDir),
      cause,
    )
  }
  return { ...identityOf(privateKey), created: true }
}

/** Reads an identity from libp2p's protobuf encoding of a private key. */
export function identityFromProtobuf(bytes: Uint8Array): Identity {
  const privateKey = privateKeyFromProtobuf(bytes)
  if (privateKey.type !== 'Ed25519')
    throw new TypeError(`it holds a key of type ${privateKey.type}, not Ed25519`)
  return { ...identityOf(privateKey), created: false }
}

async function load(path: string): Promise<Identity | undefined> {
  const bytes = await readFileBounded(path, MAX_KEY_BYTES).catch((cause: unknown) => {
    const { code, message } = cause as NodeJS.ErrnoException
    const remedy =
      code === 'EACCES'
        ? `Run as the owner of the file, or: chown "$(id -u)" ${path}`
        : corruptRemedy(path)
    throw unreadable(path, `cannot be read: ${message}`, remedy, cause)
  })
  if (bytes === undefined) return undefined
  await checkPermissions(path)
  try {
    return identityFromProtobuf(bytes)
  } catch (cause) {
    throw unreadable(
      path,
      `is not a usable key: ${(cause as Error).message}`,
      corruptRemedy(path),
      cause,
    )
  }
}

async function checkPermissions(path: string): Promise<void> {
  // Windows has no such bits.
  if (process.platform === 'win32') return
  const { mode } = await stat(path)
  if ((mode & READABLE_BY_OTHERS) === 0) return
  const octal = (mode & 0o777).toString(8)
  throw unreadable(
    path,
    `may be read by other users (mode ${octal})`,
    `If nobody else has read it: chmod 600 ${path}. Otherwise delete it and get a new identity.`,
  )
}

function identityOf(privateKey: Ed25519PrivateKey): Omit<Identity, 'created'> {
  return { privateKey, peerId: peerIdFromPrivateKey(privateKey).toString() }
}

function unreadable(path: string, what: string, remedy: string, cause?: unknown): WarrenError {
  return new WarrenError('ERR_IDENTITY_UNREADABLE', `the key file ${path} ${what}`, {
    remedy,
    cause,
  })
}

const corruptRemedy = (path: string): string =>
  `Restore it from a backup. To start over as a new peer, move it away: mv ${path} ${path}.old`
