import type { Alarms } from '../kernel/alarms.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Frame } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import type { Acquaintances, Candidates } from './candidates.ts'
import type { Contact, Contacts } from './contacts.ts'
import { limits } from './limits.ts'
import type { Neighbours } from './neighbours.ts'
import type { Output, Purpose } from './outputs.ts'
import type { Rests } from './rests.ts'

interface ErrandsOptions {
  known: Acquaintances
  candidates: Candidates
  contacts: Contacts
  neighbours: Neighbours
  rests: Rests
  timers: Pick<Alarms<'errand' | 'direct'>, 'set' | 'clear' | 'has'>
  nextExchange: () => number
}

/** What we are about with contacts: to ask them whom they know, or to be our neighbours. */
export class Errands {
  readonly #known: Acquaintances
  readonly #candidates: Candidates
  readonly #contacts: Contacts
  readonly #neighbours: Neighbours
  readonly #rests: Rests
  readonly #timers: ErrandsOptions['timers']
  readonly #nextExchange: () => number
  readonly #asks = new Map<number, PeerKey>()

  constructor(options: ErrandsOptions) {
    this.#known = options.known
    this.#candidates = options.candidates
    this.#contacts = options.contacts
    this.#neighbours = options.neighbours
    this.#rests = options.rests
    this.#timers = options.timers
    this.#nextExchange = options.nextExchange
  }

  begin(contact: Contact, purpose: Purpose, now: Instant): void {
    contact.errand = purpose
    this.#timers.set('errand', now + limits.errandMs, contact.peer)
  }

  /** A link that is there already may become one that is kept. */
  court(contact: Contact, now: Instant, out: Output[]): void {
    this.begin(contact, 'neighbour', now)
    this.advance(contact, now, out)
  }

  /** A node that has lost its neighbours keeps whom it is linked to, whoever that is: most of the names it has may be those of the dead. */
  isAtHand({ peer, limited, greeted, chosen, errand }: Contact, now: Instant): boolean {
    if (!this.#contacts.needy || !this.#neighbours.joined) return false
    const isFree = greeted && !limited && !chosen && errand === undefined
    return isFree && this.#rests.until(peer) <= now
  }

  /** Does the next thing with a contact that we are about something with. */
  advance(contact: Contact, now: Instant, out: Output[]): void {
    const { peer, errand, greeted } = contact
    if (errand === undefined || !greeted) return
    if (errand === 'visit') {
      out.push({ type: 'pull', peer })
    } else if (contact.limited && !this.#timers.has('direct', peer)) {
      this.#timers.clear('errand', peer)
      this.#timers.set('direct', now + limits.directMs, peer)
      out.push({ type: 'want-direct', peer })
    } else if (!contact.limited) {
      this.#timers.clear('direct', peer)
      this.#askFor(contact, now, out)
    }
  }

  /** It has told us whom it knows. */
  visited(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact?.errand !== 'visit') return
    this.#end(contact)
    // A node that has next to no neighbours, and knows nobody else, keeps whom it has just seen.
    const onlyOne = this.#contacts.needy && this.#candidates.isSmall && !contact.limited
    if (onlyOne || this.isAtHand(contact, now)) this.court(contact, now, out)
    else this.#contacts.releaseIfIdle(contact, out)
  }

  /** The relayed connection has become direct by now, or never will. */
  directOrNot(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact?.errand !== 'neighbour') return
    if (!contact.limited || this.#candidates.everybody) this.#askFor(contact, now, out)
    else this.#giveUp(contact, limits.noDirectPathMs, now, out)
  }

  /** Nothing has come of it in time. */
  overdue(peer: PeerKey, now: Instant, out: Output[]): void {
    const contact = this.#contacts.get(peer)
    if (contact !== undefined) this.#giveUp(contact, limits.retryMs.refused, now, out)
  }

  /** The link is no more. */
  unlinked({ peer }: Contact): void {
    this.#forgetAsk(peer)
    this.#timers.clear('errand', peer)
    this.#timers.clear('direct', peer)
  }

  #askFor(contact: Contact, now: Instant, out: Output[]): void {
    const { peer } = contact
    if (contact.chosen) return
    this.#timers.set('errand', now + limits.errandMs, peer)
    if ([...this.#asks.values()].includes(peer)) return
    const exchange = this.#nextExchange()
    this.#asks.set(exchange, peer) // one a contact at most
    const { isolated } = this.#contacts
    out.push({ type: 'ask', exchange, peer, frame: { type: 'neighbourReq', isolated } })
  }

  /** An answer to a link that is no more, or to an errand given up, is none to the next. */
  #forgetAsk(peer: PeerKey): void {
    for (const [exchange, asked] of this.#asks) if (asked === peer) this.#asks.delete(exchange)
  }

  answer(exchange: number, frame: Frame | undefined, now: Instant, out: Output[]): void {
    const peer = this.#asks.get(exchange)
    this.#asks.delete(exchange)
    const contact = peer === undefined ? undefined : this.#contacts.get(peer)
    if (contact === undefined) return
    const ack = frame?.type === 'neighbourAck' ? frame : undefined
    if (ack !== undefined) out.push({ type: 'offered', peer: contact.peer, entries: ack.entries })
    if (ack?.verdict === 'accepted') {
      this.#end(contact)
      this.#neighbours.choose(contact, now, out)
      return
    }
    // What was lost may have been a yes: then the other side must not count on us.
    if (ack === undefined && !contact.accepted) {
      const end: Frame = { type: 'neighbourEnd', entries: [], evicted: false }
      out.push({ type: 'tell', peer: contact.peer, frame: end })
    }
    const asked = Math.min((ack?.retryS ?? 0) * 1000, limits.noDirectPathMs)
    this.#giveUp(contact, Math.max(asked, limits.retryMs.refused), now, out)
  }

  #giveUp(contact: Contact, restMs: number, now: Instant, out: Output[]): void {
    const { peer, errand } = contact
    if (errand === undefined) return
    if (errand === 'neighbour') {
      this.#rests.wait(peer, now + restMs)
      this.#candidates.failed(this.#known.book.get(peer))
    }
    this.#end(contact)
    this.#forgetAsk(peer)
    this.#contacts.releaseIfIdle(contact, out)
  }

  #end(contact: Contact): void {
    contact.errand = undefined
    this.#timers.clear('errand', contact.peer)
    this.#timers.clear('direct', contact.peer)
  }
}
