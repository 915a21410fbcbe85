import type { Instant } from '../kernel/machine.ts'
import type { BookEntry } from './address-book.ts'
import { limits } from './limits.ts'
import type { Entry } from './messages.ts'

/** What an entry of `bytes` costs in a frame besides its envelope: tags, lengths, age. */
const ENTRY_OVERHEAD = 16
/** What the rest of a frame may need, 64 unknown ids included. */
const FRAME_OVERHEAD = 600
/** Finer ages would tell who talked to whom, and when. */
const AGE_STEP_S = 60

/** A record from the book, as it is passed on. */
export function toEntry({ envelope, lastSeenAt, metAt }: BookEntry, now: Instant): Entry {
  return { envelope, observedAgeS: ageOf(lastSeenAt, now), firstHand: metAt > 0 }
}

/** How long ago that was, as it is told, in seconds. */
export function ageOf(seenAt: Instant, now: Instant): number {
  return Math.floor(Math.max(0, now - seenAt) / 1000 / AGE_STEP_S) * AGE_STEP_S
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
