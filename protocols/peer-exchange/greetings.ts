import type { Instant } from '../kernel/machine.ts'
import type { Accounts } from './accounts.ts'
import { ERR_BUSY, ERR_NETWORK_DIFFERENT, err } from './answers.ts'
import type { Answers } from './answers.ts'
import type { Asks } from './asks.ts'
import type { Contact } from './contact.ts'
import type { Contacts } from './contacts.ts'
import type { Deadlines } from './deadlines.ts'
import type { Knowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Frame, FrameOf } from './messages.ts'
import type { Offers } from './offers.ts'
import type { Output } from './outputs.ts'
import type { OwnRecord } from './own-record.ts'
import type { Notation, PeerKey } from './record.ts'

interface Collaborators {
  own: OwnRecord
  contacts: Contacts
  accounts: Accounts
  answers: Answers
  asks: Asks
  timers: Deadlines
  knowledge: Knowledge
  offers: Offers
  notation: Notation
}

/** One of both sides greets, the other answers; then each has the other's record. */
export class Greetings {
  readonly #own: OwnRecord
  readonly #contacts: Contacts
  readonly #accounts: Accounts
  readonly #answers: Answers
  readonly #asks: Asks
  readonly #timers: Deadlines
  readonly #knowledge: Knowledge
  readonly #offers: Offers
  readonly #notation: Notation

  constructor(collaborators: Collaborators) {
    this.#own = collaborators.own
    this.#contacts = collaborators.contacts
    this.#accounts = collaborators.accounts
    this.#answers = collaborators.answers
    this.#asks = collaborators.asks
    this.#timers = collaborators.timers
    this.#knowledge = collaborators.knowledge
    this.#offers = collaborators.offers
    this.#notation = collaborators.notation
  }

  /** The dialler greets at once, the other side if nothing came. */
  start({ peer, dialled }: Contact, now: Instant, out: Output[]): void {
    if (dialled) this.greet(peer, now, out)
    else this.#timers.set('greet', now + limits.greetAfterMs, peer)
  }

  stop(peer: PeerKey): void {
    this.#timers.clear('greet', peer)
  }

  /** Our first record is signed: nobody could be greeted without. */
  greetAll(now: Instant, out: Output[]): void {
    for (const { peer } of this.#contacts.all()) {
      if (!this.#timers.has('greet', peer)) this.greet(peer, now, out)
    }
  }

  greet(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    const envelope = this.#own.envelope
    if (contact?.greeting !== 'waiting' || this.#accounts.isShunned(peer, now)) return
    if (envelope === undefined) return // greeted as soon as the first record is signed
    const frame: Frame = {
      type: 'hello',
      v: 1,
      networkId: this.#own.networkId,
      envelope,
      nowS: Math.floor(now / 1000),
      caps: 0,
      seenAddr: contact.seenAddr,
    }
    if (!this.#asks.begin(contact, { kind: 'hello' }, frame, now, out)) {
      this.#timers.set('greet', now + limits.greetAgainMs, peer)
      return
    }
    contact.greeting = 'asked'
    contact.sent.add(this.#own.id, this.#own.seq)
  }

  /** What came of our greeting. Without an answer it is repeated, for as long as the connection lasts. */
  answered(contact: Contact, frame: Frame | undefined, now: Instant, out: Output[]): void {
    if (contact.greeting !== 'asked') return
    if (frame?.type === 'helloAck') this.#done(contact, now, out)
    else if (frame?.type !== 'err' || frame.code !== ERR_NETWORK_DIFFERENT) {
      contact.greeting = 'waiting'
      this.#timers.set('greet', now + limits.greetAgainMs, contact.peer)
    }
  }

  /** What the answer to our greeting says. */
  heed(contact: Contact, frame: FrameOf<'helloAck'>, now: Instant, out: Output[]): void {
    this.#observe(contact, frame, out)
    this.#offers.greeted(frame.envelope, contact, now, out)
    this.#offers.enclosed(frame.entries, contact, now, out)
  }

  /** A contact greets us. */
  answer(contact: Contact, frame: FrameOf<'hello'>, now: Instant, out: Output[]): Frame {
    if (frame.networkId !== this.#own.networkId) return err(ERR_NETWORK_DIFFERENT, 3_600)
    if (!this.#accounts.admits(contact.peer, 'hello', 1, now)) return err(ERR_BUSY, 10)
    this.#observe(contact, frame, out)
    this.#offers.greeted(frame.envelope, contact, now, out)
    const answer = this.#answers.greeting(contact, now)
    if (this.#own.envelope !== undefined) {
      contact.sent.add(this.#own.id, this.#own.seq)
      this.#done(contact, now, out)
    }
    return answer
  }

  #done(contact: Contact, now: Instant, out: Output[]): void {
    contact.greeting = 'done'
    this.#timers.clear('greet', contact.peer)
    this.#knowledge.meet(contact, now, out)
    out.push({ type: 'greeted', peer: contact.peer })
  }

  #observe({ peer }: Contact, { seenAddr }: { seenAddr: Uint8Array }, out: Output[]): void {
    const address = seenAddr.length === 0 ? undefined : this.#notation.addressText(seenAddr)
    if (address !== undefined) out.push({ type: 'observed', by: peer, address })
  }
}
