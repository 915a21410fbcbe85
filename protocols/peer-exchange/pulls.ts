import type { Instant } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Accounts } from './accounts.ts'
import type { Answers } from './answers.ts'
import type { Asks } from './asks.ts'
import type { Contact } from './contact.ts'
import type { Contacts } from './contacts.ts'
import type { Deadlines } from './deadlines.ts'
import { limits } from './limits.ts'
import type { Frame } from './messages.ts'
import type { Output } from './outputs.ts'
import type { PeerKey } from './record.ts'

interface Collaborators {
  contacts: Contacts
  accounts: Accounts
  answers: Answers
  asks: Asks
  timers: Deadlines
  rng: Rng
}

/** Whom to ask whom it knows, and when. */
export class Pulls {
  readonly #contacts: Contacts
  readonly #accounts: Accounts
  readonly #answers: Answers
  readonly #asks: Asks
  readonly #timers: Deadlines
  readonly #rng: Rng
  /** How often it was our turn since the first contact. */
  #turns = 0

  constructor({ contacts, accounts, answers, asks, timers, rng }: Collaborators) {
    this.#contacts = contacts
    this.#accounts = accounts
    this.#answers = answers
    this.#asks = asks
    this.#timers = timers
    this.#rng = rng
  }

  /** There is a first contact. */
  start(now: Instant): void {
    this.#turns = 0
    this.#timers.set('pull', now + limits.firstPullsMs[0])
  }

  /** There is none any more. */
  stop(): void {
    this.#timers.clear('pull')
  }

  inTurn(now: Instant, out: Output[]): void {
    const sinceJoin = this.#contacts.sinceJoin(now)
    const eager = sinceJoin < limits.eagerForMs
    const next = limits.firstPullsMs[++this.#turns]
    const steady = jittered(eager ? limits.eagerPullMs : limits.calmPullMs, 0.25, this.#rng)
    this.#timers.set('pull', now + (next === undefined ? steady : Math.max(next - sinceJoin, 0)))
    const contact = this.#whomToPull(eager, now)
    if (contact !== undefined) this.#pullFrom(contact, now, out)
  }

  /** Out of turn, because somebody wants to know when it is over. */
  pull(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    const ready = contact?.greeting === 'done' && !this.#accounts.isShunned(peer, now)
    if (!ready || !this.#pullFrom(contact, now, out)) out.push({ type: 'pulled', peer })
  }

  #pullFrom(contact: Contact, now: Instant, out: Output[]): boolean {
    contact.pulls++
    const max = contact.limited ? limits.sampleIdsOverRelay : limits.sampleIds
    const frame: Frame = { type: 'sampleReq', max, setHash: this.#answers.setHash() }
    return this.#asks.begin(contact, { kind: 'sample' }, frame, now, out)
  }

  /**
   * Of those with a connection that is not limited, if any: while joining, whoever was pulled from least; afterwards a
   * neighbour of our own choosing, since those who chose us may have done so to be asked.
   */
  #whomToPull(eager: boolean, now: Instant): Contact | undefined {
    const usable = this.#contacts.audience(now).filter(({ greeting }) => greeting === 'done')
    const free = usable.filter(({ limited }) => !limited)
    const pool = free.length > 0 ? free : usable
    const chosen = pool.find(({ neighbour }) => neighbour === 'chosen')
    if (!eager && chosen !== undefined) return chosen
    return pool.reduce<Contact | undefined>(
      (least, one) => (least === undefined || one.pulls < least.pulls ? one : least),
      undefined,
    )
  }
}
