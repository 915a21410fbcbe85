import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { Source } from './address-book.ts'
import type { Fault, Result } from './codec.ts'
import type { Signed } from './envelope.ts'
import { lowBits } from './ids.ts'
import { limits } from './limits.ts'
import { judge } from './record.ts'
import type { ReadEnvelope, ReadRecord } from './read-envelope.ts'
import type { Notation, PeerKey, PeerRecord } from './record.ts'
import type { Ranking } from './sampler.ts'
import type { Restored } from './snapshot.ts'

/** A record on its way into the book. */
export interface Job {
  record: PeerRecord
  signed: Signed
  id: number
  envelope: Uint8Array
  /** Who answers for it; nobody for our own disk. */
  carrier: PeerKey | undefined
  source: Source
  seenAt: Instant
  namedFor: Ranking
  /** What an earlier run noted; undefined for what somebody told us. */
  recalled: Pick<Restored, 'reachedSince'> | undefined
  /** Somebody asked us for it; we ourselves have no use for it. */
  forOthers: boolean
  /** How many hops it has come by Push; undefined when it must not be passed on. */
  hops: number | undefined
}

/** Records between being read and being believed: one signature check each, within a budget. */
export class Verification {
  readonly #networkId: bigint
  readonly #notation: Notation
  readonly #jobs = new Map<number, Job>()
  /** Records we cannot use, so that pulls do not fetch them again. */
  readonly #refused = new BoundedMap<number, number>(limits.refused)
  readonly #read: ReadEnvelope
  #budget: TokenBucket | undefined
  #numbers = 0

  constructor(networkId: bigint, notation: Notation, read: ReadEnvelope) {
    this.#networkId = networkId
    this.#notation = notation
    this.#read = read
  }

  /** Form only: nothing of the result may be believed yet. */
  read(envelope: Uint8Array): Result<ReadRecord> {
    return this.#read(envelope, this.#notation)
  }

  /** Takes on a record that would be news. Returns the job's number, or undefined when it must be dropped. */
  begin(job: Job, now: Instant): number | undefined {
    const { peer, seq } = job.record
    if (this.#jobs.size >= limits.verifying) return undefined
    if (this.isUnderWay(peer, seq)) return undefined
    this.#budget ??= new TokenBucket(limits.verify, now)
    if (job.carrier !== undefined && !this.#budget.take(1, now)) return undefined
    this.#jobs.set(++this.#numbers, job)
    return this.#numbers
  }

  /** Ends a job: the record, and what is wrong with it. */
  end(
    number: number,
    valid: boolean,
    now: Instant,
  ): { job: Job; fault: Fault | undefined } | undefined {
    const job = this.#jobs.get(number)
    if (job === undefined) return undefined
    this.#jobs.delete(number)
    const { record } = job
    const fault = valid ? judge(record, this.#networkId, now) : 'signature-invalid'
    // A forgery says nothing about the real record, or anybody could keep it from being fetched.
    if (valid && fault !== undefined) {
      this.#refused.set(this.#notation.idOf(record.peer), lowBits(record.seq))
    }
    return { job, fault }
  }

  get isBusy(): boolean {
    return this.#jobs.size > 0
  }

  /** Whether a record of that peer, of that version or a newer one, is being checked. */
  isUnderWay(peer: PeerKey, seq = 0): boolean {
    for (const { record } of this.#jobs.values()) {
      if (record.peer === peer && record.seq >= seq) return true
    }
    return false
  }

  /** Whether that version turned out to be useless. */
  wasRefused(id: number, seqLo: number): boolean {
    return this.#refused.get(id) === seqLo
  }
}
