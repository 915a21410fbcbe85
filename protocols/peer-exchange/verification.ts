import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { Source } from './address-book.ts'
import { bad, ok } from './codec.ts'
import type { Fault, Result } from './codec.ts'
import { lowBits } from './entries.ts'
import { openEnvelope } from './envelope.ts'
import type { Signed } from './envelope.ts'
import { limits } from './limits.ts'
import { judge, readPayload } from './record.ts'
import type { Notation, PeerKey, PeerRecord } from './record.ts'

/** A record on its way into the book. */
export interface Job {
  record: PeerRecord
  signed: Signed
  envelope: Uint8Array
  /** Who answers for it; nobody for our own disk. */
  carrier: PeerKey | undefined
  source: Source
  seenAt: Instant
  linked: boolean
  /** How many hops it has come by Push; undefined when it must not be passed on. */
  hops: number | undefined
}

/** Records between being read and being believed: one signature check each, within a budget. */
export class Verification {
  readonly #networkId: bigint
  readonly #notation: Notation
  readonly #jobs = new Map<number, Job>()
  /** Records we cannot use, so that pulls do not fetch them again. */
  readonly #refused = new BoundedMap<bigint, number>(limits.refused)
  #budget: TokenBucket | undefined
  #numbers = 0

  constructor(networkId: bigint, notation: Notation) {
    this.#networkId = networkId
    this.#notation = notation
  }

  /** Form only: nothing of the result may be believed yet. */
  read(envelope: Uint8Array): Result<Pick<Job, 'record' | 'signed'>> {
    const opened = openEnvelope(envelope)
    if (!opened.ok) return opened
    const peer = this.#notation.peerText(opened.value.signer)
    if (peer === undefined) return bad('key-unsupported')
    const record = readPayload(opened.value.payload, peer, this.#notation)
    return record.ok ? ok({ record: record.value, signed: opened.value.signed }) : record
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
    if (fault !== undefined)
      this.#refused.set(this.#notation.idOf(record.peer), lowBits(record.seq))
    return { job, fault }
  }

  /** Whether a record of that peer, of that version or a newer one, is being checked. */
  isUnderWay(peer: PeerKey, seq = 0): boolean {
    for (const { record } of this.#jobs.values()) {
      if (record.peer === peer && record.seq >= seq) return true
    }
    return false
  }

  /** Whether that version turned out to be useless. */
  wasRefused(id: bigint, seqLo: number): boolean {
    return this.#refused.get(id) === seqLo
  }
}
