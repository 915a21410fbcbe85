import type { Instant } from '../kernel/machine.ts'
import type { Accounts } from './accounts.ts'
import type { AddressBook } from './address-book.ts'
import type { Errands } from './errands.ts'
import type { Finds } from './finds.ts'
import type { Knowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Output } from './outputs.ts'
import type { OwnRecord } from './own-record.ts'
import type { Publishing } from './publishing.ts'
import type { PeerRecord } from './record.ts'
import type { Telling } from './telling.ts'
import type { Job, Verification } from './verification.ts'

interface Collaborators {
  own: OwnRecord
  book: AddressBook
  accounts: Accounts
  verification: Verification
  knowledge: Knowledge
  finds: Finds
  errands: Errands
  telling: Telling
  publishing: Publishing
}

/** What follows from a record whose signature has been checked. */
export class Beliefs {
  readonly #own: OwnRecord
  readonly #book: AddressBook
  readonly #accounts: Accounts
  readonly #verification: Verification
  readonly #knowledge: Knowledge
  readonly #finds: Finds
  readonly #errands: Errands
  readonly #telling: Telling
  readonly #publishing: Publishing

  constructor(collaborators: Collaborators) {
    this.#own = collaborators.own
    this.#book = collaborators.book
    this.#accounts = collaborators.accounts
    this.#verification = collaborators.verification
    this.#knowledge = collaborators.knowledge
    this.#finds = collaborators.finds
    this.#errands = collaborators.errands
    this.#telling = collaborators.telling
    this.#publishing = collaborators.publishing
  }

  verified(number: number, valid: boolean, now: Instant, out: Output[]): void {
    const { job, fault } = this.#verification.end(number, valid, now) ?? {}
    if (job === undefined) return
    const { carrier, recalled } = job
    if (fault === undefined) this.#believe(job, now, out)
    else if (fault === 'expired') {
      // From our own disk: an address worth trying, though told to nobody.
      if (recalled !== undefined && recalled.reachedSince > 0) this.#learn(job, now, out)
    } else if (carrier !== undefined) this.#accounts.fault(carrier, fault, now, out)
    this.#finds.verified(out)
  }

  #believe(job: Job, now: Instant, out: Output[]): void {
    const { record, hops } = job
    if (record.peer === this.#own.peer) {
      this.#own.outgrow(record.seq)
      this.#publishing.soon(now)
      return
    }
    if (!this.#book.isNews(record.peer, record.seq, now)) return
    if (record.leaving) {
      this.#telling.forward(job, now, out)
      this.#knowledge.bury(job, now, out)
      return
    }
    this.#errands.handOn(job, now, out)
    if (job.forOthers) return
    const before = this.#book.get(record.peer)?.record
    this.#learn(job, now, out)
    const entry = this.#book.get(record.peer)
    if (hops === undefined || hops >= limits.pushHops || isMereRenewal(before, record)) return
    if (entry === undefined || !this.#book.mayForward(entry, now)) return
    this.#telling.soon(record.peer, hops + 1, now)
  }

  #learn(job: Job, now: Instant, out: Output[]): void {
    this.#knowledge.learn(job, now, out)
    const entry = this.#book.get(job.record.peer)
    if (entry !== undefined) this.#finds.learnt(entry, out)
  }
}

/** A version that says nothing but that the peer is still there: whoever wants it pulls it. */
function isMereRenewal(before: PeerRecord | undefined, after: PeerRecord): boolean {
  if (before === undefined) return false
  return substance(before) === substance(after)
}

/** What others act on. */
function substance(record: PeerRecord): string {
  const { addresses, services, reachability, mapping, filtering, relay } = record
  return JSON.stringify([
    addresses,
    services,
    reachability,
    mapping,
    filtering,
    relay !== undefined,
  ])
}
