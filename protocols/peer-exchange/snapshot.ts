import type { Instant } from '../kernel/machine.ts'
import type { AddressBook } from './address-book.ts'
import { attempt } from '../kernel/protobuf-bytes.ts'
import { limits } from './limits.ts'
import { SnapshotMessage } from './messages.ts'

const VERSION = 2

/** What a node writes to its disk to join again without bootstraps. */
export interface Snapshot {
  ownSeq: number
  entries: Restored[]
}

export interface Restored {
  envelope: Uint8Array
  lastSeenAt: Instant
  /** Since when it answered our dials; 0 if it never did. */
  reachedSince: Instant
}

/** The bytes of the book as it is: first those that have answered us for longest. */
export function encodeSnapshot(book: AddressBook, ownSeq: number): Uint8Array {
  const entries = [...book.all()]
    .sort((a, b) => (a.reachedSince || Infinity) - (b.reachedSince || Infinity))
    .slice(0, limits.saved)
    .map(({ envelope, lastSeenAt, reachedSince }) => ({
      envelope,
      lastSeenAt: wholeMs(lastSeenAt),
      reachedSince: wholeMs(reachedSince),
    }))
  return SnapshotMessage.encode({ v: VERSION, ownSeq, entries })
}

/** Reads a snapshot; undefined when the bytes are none, or of another version. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot | undefined {
  const snapshot = attempt(() => SnapshotMessage.decode(bytes))
  return snapshot?.v === VERSION ? snapshot : undefined
}

function wholeMs(at: Instant): number {
  return Math.max(0, Math.floor(at))
}
