import type { Instant } from '../kernel/machine.ts'
import type { AddressBook, BookEntry } from './address-book.ts'
import { limits } from './limits.ts'
import type { Entry } from './messages.ts'

/** What an entry of `bytes` costs in a frame besides its envelope: tags, lengths, age. */
const ENTRY_OVERHEAD = 16
/** What the rest of a frame may need, 64 unknown ids included. */
const FRAME_OVERHEAD = 600
/** Finer ages would tell who talked to whom, and when. */
const AGE_STEP_S = 60

/** A record from the book, as it is passed on. */
export function toEntry({ envelope, lastSeenAt, linked }: BookEntry, now: Instant): Entry {
  const steps = Math.floor(Math.max(0, now - lastSeenAt) / 1000 / AGE_STEP_S)
  return { envelope, observedAgeS: steps * AGE_STEP_S, firstHand: linked }
}

/** When the subject was last seen, as far as the carrier says. */
export function seenAt({ observedAgeS }: Entry, now: Instant): Instant {
  return now - Math.min(observedAgeS, limits.observedAgeMaxS) * 1000
}

/** The first of the entries that fit into one frame. */
export function fitting(entries: Entry[], most: number): Entry[] {
  let room: number = limits.frameBytes - FRAME_OVERHEAD
  const chosen: Entry[] = []
  for (const entry of entries) {
    room -= entry.envelope.length + ENTRY_OVERHEAD
    if (room < 0 || chosen.length >= most) break
    chosen.push(entry)
  }
  return chosen
}

/** The low half of a sequence number, as samples carry it. */
export function lowBits(seq: number): number {
  return seq % 2 ** 32
}

/** Whether a sequence number with those low bits is ahead of `seq`, by less than 2^31. */
export function isAhead(seqLo: number, seq: number): boolean {
  const ahead = (seqLo - lowBits(seq) + 2 ** 32) % 2 ** 32
  return ahead > 0 && ahead < 2 ** 31
}

/** Equal, in all likelihood, for nodes that know the same versions of the same records, themselves included. */
export function setHash(book: AddressBook, own: { id: bigint; seq: number }, now: Instant): bigint {
  let hash = mix(own.id ^ mix(BigInt(own.seq)))
  for (const { id, record } of book.fresh(now)) hash ^= mix(id ^ mix(BigInt(record.seq)))
  return hash
}

const MASK = 0xffff_ffff_ffff_ffffn

/** The finalizer of splitmix64: spreads every bit over all others. */
function mix(value: bigint): bigint {
  let z = (value + 0x9e37_79b9_7f4a_7c15n) & MASK
  z = ((z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & MASK
  z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & MASK
  return z ^ (z >> 31n)
}
