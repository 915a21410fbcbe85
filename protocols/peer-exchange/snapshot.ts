import type { Instant } from '../kernel/machine.ts'
import type { AddressBook } from './address-book.ts'
import { attempt } from '../kernel/protobuf-bytes.ts'
import { limits } from './limits.ts'
import { SnapshotMessage } from './messages.ts'

const VERSION = 1

/** What a node writes to its disk to join again without bootstraps. */
export interface Snapshot {
  ownSeq: number
  entries: { envelope: Uint8Array; lastSeenAt: Instant; linked: boolean }[]
}

/** The bytes of the book as it is. */
export function encodeSnapshot(book: AddressBook, ownSeq: number): Uint8Array {
  const entries = [...book.all()].map(({ envelope, lastSeenAt, linked }) => {
    return { envelope, lastSeenAt: Math.max(0, Math.floor(lastSeenAt)), linked }
  })
  return SnapshotMessage.encode({ v: VERSION, ownSeq, entries: entries.slice(0, limits.known) })
}

/** Reads a snapshot; undefined when the bytes are none, or of another version. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot | undefined {
  const snapshot = attempt(() => SnapshotMessage.decode(bytes))
  return snapshot?.v === VERSION ? snapshot : undefined
}
