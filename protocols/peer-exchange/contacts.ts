import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Accounts } from './accounts.ts'
import { newContact } from './contact.ts'
import type { Contact } from './contact.ts'
import { limits } from './limits.ts'
import type { PeerKey } from './record.ts'
import { Sent } from './sent.ts'

/** Everybody we hold a connection to, and since when that is anybody at all. */
export class Contacts {
  readonly #accounts: Accounts
  readonly #rng: Rng
  readonly #contacts = new Map<PeerKey, Contact>()
  /** What contacts of the past have had of us. */
  readonly #remembered = new BoundedMap<PeerKey, Sent>(limits.remembered)
  #joinedAt: Instant | undefined

  constructor({ accounts, rng }: { accounts: Accounts; rng: Rng }) {
    this.#accounts = accounts
    this.#rng = rng
  }

  get size(): number {
    return this.#contacts.size
  }

  get isFull(): boolean {
    return this.#contacts.size >= limits.contacts
  }

  get(peer: PeerKey): Contact | undefined {
    return this.#contacts.get(peer)
  }

  all(): MapIterator<Contact> {
    return this.#contacts.values()
  }

  add(peer: PeerKey, link: Pick<Contact, 'limited' | 'dialled'>, now: Instant): Contact {
    if (this.#contacts.size === 0) this.#joinedAt = now
    const contact = newContact(peer, link, this.#sentTo(peer))
    this.#contacts.set(peer, contact)
    return contact
  }

  remove(peer: PeerKey): void {
    this.#contacts.delete(peer)
  }

  /** For a peer that asks before its connection was told of, or with too many of them open. */
  getOrMake(peer: PeerKey): Contact {
    const link = { limited: true, dialled: false }
    return this.#contacts.get(peer) ?? newContact(peer, link, this.#sentTo(peer))
  }

  /** How long ago there was a first contact, after a time without any. */
  sinceJoin(now: Instant): number {
    return now - (this.#joinedAt ?? now)
  }

  /** Else a node would be young, and in a hurry, for as long as its clock was ahead. */
  clockSetBack(now: Instant): void {
    if (this.#joinedAt !== undefined) this.#joinedAt = Math.min(this.#joinedAt, now)
  }

  /** Contacts in good standing, in random order. */
  audience(now: Instant): Contact[] {
    const standing: Contact[] = []
    for (const contact of this.#contacts.values()) {
      if (!this.#accounts.isShunned(contact.peer, now)) standing.push(contact)
    }
    return shuffle(standing, this.#rng)
  }

  #sentTo(peer: PeerKey): Sent {
    const sent = this.#remembered.get(peer) ?? new Sent()
    this.#remembered.set(peer, sent)
    return sent
  }
}
