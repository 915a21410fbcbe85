import type { PeerKey } from '../peer-exchange/record.ts'
import type { Comer } from './acceptance.ts'
import type { Bootstraps } from './bootstraps.ts'
import type { Candidates } from './candidates.ts'
import { limits } from './limits.ts'
import type { Output, Purpose, Role } from './outputs.ts'

/** A peer there is a link to. */
export interface Contact extends Comer {
  limited: boolean
  dialled: boolean
  greeted: boolean
  /** What we are about with it. */
  errand: Purpose | undefined
  /** It is a neighbour of our choosing. */
  chosen: boolean
  /** We are a neighbour of its choosing. */
  accepted: boolean
  /** It was lost before this link: its being there is news. */
  wasLost: boolean
}

interface ContactsOptions {
  bootstraps: Bootstraps
  candidates: Candidates
}

/** Whom there are links to, how many of them are neighbours, and which links nobody needs any more. */
export class Contacts {
  readonly #bootstraps: Bootstraps
  readonly #candidates: Candidates
  readonly #contacts = new Map<PeerKey, Contact>()
  /** Links we keep though nothing binds us, while the overlay is small or we have next to no neighbours. */
  readonly #spared = new Set<PeerKey>()
  #chosen = 0
  #accepted = 0

  constructor({ bootstraps, candidates }: ContactsOptions) {
    this.#bootstraps = bootstraps
    this.#candidates = candidates
  }

  get size(): number {
    return this.#contacts.size
  }

  /** How many are chosen. */
  get chosen(): number {
    return this.#chosen
  }

  /** How many we are to choose but have not yet. */
  get courted(): number {
    let courted = 0
    for (const { errand, chosen } of this.#contacts.values()) {
      if (errand === 'neighbour' && !chosen) courted++
    }
    return courted
  }

  get isolated(): boolean {
    return this.#chosen + this.#accepted === 0
  }

  /** Next to no neighbours. */
  get needy(): boolean {
    return this.#chosen + this.#accepted < limits.enough
  }

  get(peer: PeerKey): Contact | undefined {
    return this.#contacts.get(peer)
  }

  has(peer: PeerKey): boolean {
    return this.#contacts.has(peer)
  }

  all(): Iterable<Contact> {
    return this.#contacts.values()
  }

  neighbours(): { peer: PeerKey; role: Role }[] {
    return [...this.#contacts.values()].flatMap((contact) => {
      const role = roleOf(contact)
      return role === undefined ? [] : [{ peer: contact.peer, role }]
    })
  }

  /** Links that count: strangers who only connect to us are no members. */
  hasMembers(): boolean {
    for (const { peer, greeted } of this.#contacts.values()) {
      if (greeted || this.#bootstraps.has(peer)) return true
    }
    return false
  }

  add(contact: Contact): void {
    this.#contacts.set(contact.peer, contact)
  }

  /** Its link is no more. */
  remove(contact: Contact): void {
    this.#contacts.delete(contact.peer)
    this.#spared.delete(contact.peer)
    this.#count(contact, -1)
  }

  /** Who chose whom has changed. */
  change(contact: Contact, choices: { chosen?: boolean; accepted?: boolean }): void {
    this.#count(contact, -1)
    Object.assign(contact, choices)
    this.#count(contact, 1)
  }

  releaseIfIdle({ peer, chosen, accepted, errand, dialled }: Contact, out: Output[]): void {
    if (chosen || accepted || errand !== undefined || !dialled) return
    // A bootstrap of another kind, a mere relay perhaps, may be all that a young node has.
    const precious = this.needy && this.#bootstraps.has(peer)
    if (precious || this.#candidates.everybody) this.#spared.add(peer)
    else out.push({ type: 'release', peer })
  }

  releaseSpared(out: Output[]): void {
    if (this.#spared.size === 0 || this.needy || this.#candidates.everybody) return
    const spared = [...this.#spared]
    this.#spared.clear()
    for (const peer of spared) {
      const contact = this.#contacts.get(peer)
      if (contact !== undefined) this.releaseIfIdle(contact, out)
    }
  }

  #count(contact: Contact, by: number): void {
    const role = roleOf(contact)
    if (role === 'chosen') this.#chosen += by
    else if (role === 'accepted') this.#accepted += by
  }
}

/** A peer that is both counts as chosen. */
export function roleOf({ chosen, accepted }: Contact): Role | undefined {
  if (chosen) return 'chosen'
  return accepted ? 'accepted' : undefined
}
