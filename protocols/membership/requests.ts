import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { Frame, FrameOf, NeighbourVerdict } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import { admit } from './acceptance.ts'
import type { Admission, Door } from './acceptance.ts'
import type { Acquaintances, Candidates } from './candidates.ts'
import type { Contact, Contacts } from './contacts.ts'
import { limits } from './limits.ts'
import type { Neighbours } from './neighbours.ts'
import type { Output } from './outputs.ts'

interface RequestsOptions {
  rng: Rng
  known: Acquaintances
  candidates: Candidates
  contacts: Contacts
  neighbours: Neighbours
  trusted: boolean
}

/** Answers those who want to be our neighbours, and gives them their places. */
export class Requests {
  readonly #known: Acquaintances
  readonly #candidates: Candidates
  readonly #contacts: Contacts
  readonly #neighbours: Neighbours
  readonly #trusted: boolean
  readonly #secret: number
  readonly #buckets = new BoundedMap<PeerKey, TokenBucket>(limits.requesters)
  #rescuedAt = -Infinity
  #replacedAt = -Infinity

  constructor({ rng, known, candidates, contacts, neighbours, trusted }: RequestsOptions) {
    this.#known = known
    this.#candidates = candidates
    this.#contacts = contacts
    this.#neighbours = neighbours
    this.#trusted = trusted
    this.#secret = Math.floor(rng() * 2 ** 32)
  }

  /** `places`: how many there are for neighbours that chose us. */
  answer(
    peer: PeerKey,
    { isolated }: FrameOf<'neighbourReq'>,
    places: number,
    now: Instant,
    out: Output[],
  ): Frame {
    const verdict = this.#judge(peer, isolated, places, now, out)
    const retryS = verdict === 'accepted' ? 0 : Math.round(limits.retryMs[verdict] / 1000)
    const entries = verdict === 'accepted' ? [] : this.#known.alternativesFor(peer, now)
    return { type: 'neighbourAck', verdict, retryS, entries }
  }

  #judge(
    peer: PeerKey,
    isolated: boolean,
    places: number,
    now: Instant,
    out: Output[],
  ): NeighbourVerdict {
    const contact = this.#contacts.get(peer)
    if (contact === undefined || !contact.greeted) return 'refused'
    if (contact.accepted) return 'accepted'
    if (contact.limited && !this.#candidates.everybody) return 'refused'
    const bucket = this.#buckets.get(peer) ?? new TokenBucket(limits.requests, now)
    this.#buckets.set(peer, bucket)
    if (!bucket.take(1, now)) return 'too-often'
    const admission: Admission = contact.chosen
      ? { verdict: 'accepted' } // a neighbour already: it costs no place
      : admit({ ...contact, isolated }, this.#accepted(), this.#door(places, now))
    if (admission.by === 'rescue') this.#rescuedAt = now
    if (admission.by === 'luck') this.#replacedAt = now
    if (admission.instead !== undefined) this.#neighbours.evict(admission.instead, now, out)
    if (admission.verdict === 'accepted') {
      contact.rescued = admission.by === 'rescue'
      this.#neighbours.accept(contact, out)
    }
    return admission.verdict
  }

  /** Those who have the places: who is chosen as well needs none. */
  #accepted(): Contact[] {
    return [...this.#contacts.all()].filter((one) => one.accepted && !one.chosen)
  }

  #door(places: number, now: Instant): Door {
    return {
      places,
      trusted: this.#trusted,
      secret: this.#secret,
      mayRescue: now - this.#rescuedAt >= limits.isolatedMs,
      mayReplace: now - this.#replacedAt >= limits.replaceMs,
    }
  }
}
