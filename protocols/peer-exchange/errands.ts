import type { Instant } from '../kernel/machine.ts'
import { offers } from './answers.ts'
import type { Asks } from './asks.ts'
import type { Contact } from './contact.ts'
import type { Contacts } from './contacts.ts'
import { ageOf } from './entries.ts'
import { limits } from './limits.ts'
import type { Frame, FrameOf } from './messages.ts'
import type { Output } from './outputs.ts'
import type { Notation, PeerKey, PeerRecord } from './record.ts'
import type { Job } from './verification.ts'

interface Errand {
  asker: PeerKey
  peers: readonly PeerKey[]
  service: string
  relay: boolean
  until: Instant
}

interface Collaborators {
  contacts: Contacts
  asks: Asks
  notation: Notation
}

/** Questions of others that we could not answer and passed on: who is owed an answer that comes, at once or later. */
export class Errands {
  readonly #contacts: Contacts
  readonly #asks: Asks
  readonly #notation: Notation
  #errands: Errand[] = []

  constructor({ contacts, asks, notation }: Collaborators) {
    this.#contacts = contacts
    this.#asks = asks
    this.#notation = notation
  }

  /** Asks a few neighbours what a contact asked us. */
  passOn({ peer }: Contact, frame: FrameOf<'find'>, now: Instant, out: Output[]): void {
    const hops = Math.min(frame.hops, limits.findHops) - 1
    const peers = frame.peers.flatMap((bytes) => this.#notation.peerText(bytes) ?? [])
    if (!this.#add(peer, peers, frame, now)) return
    const others = this.#contacts.audience(now).filter((one) => one.neighbour && one.peer !== peer)
    for (const one of others.slice(0, limits.findForwards)) {
      this.#asks.begin(one, { kind: 'find' }, { ...frame, hops }, now, out)
    }
  }

  /** Whether anybody but the carrier itself has asked for such a peer. */
  isOwed(record: PeerRecord, carrier: PeerKey, now: Instant): boolean {
    return this.#owed(record, carrier, now).length > 0
  }

  /** An answer that others found goes to who asked us for it, and through them to who asked them. */
  handOn({ id, record, envelope, carrier, seenAt: at }: Job, now: Instant, out: Output[]): void {
    for (const asker of this.#owed(record, carrier, now)) {
      const contact = this.#contacts.get(asker)
      if (contact === undefined || contact.sent.has(id, record.seq)) continue
      contact.sent.add(id, record.seq)
      const entries = [{ envelope, observedAgeS: ageOf(at, now), firstHand: false }]
      const frame: Frame = { type: 'push', entries, hops: limits.pushHops }
      out.push({ type: 'tell', peer: asker, frame })
    }
  }

  /** False when there are as many as we run for others at a time. */
  #add(asker: PeerKey, peers: PeerKey[], frame: FrameOf<'find'>, now: Instant): boolean {
    this.#errands = this.#errands.filter(({ until }) => until > now)
    if (this.#errands.length >= limits.findsForwarded) return false
    const { service, relay } = frame
    this.#errands.push({ asker, peers, service, relay, until: now + limits.searchMs })
    return true
  }

  /** Who has asked for such a peer, the carrier itself left out. */
  #owed(record: PeerRecord, carrier: PeerKey | undefined, now: Instant): PeerKey[] {
    if (this.#errands.length === 0) return []
    const open = this.#errands.filter(({ until, asker }) => until > now && asker !== carrier)
    const met = open.filter(({ peers, ...sought }) =>
      peers.length > 0 ? peers.includes(record.peer) : offers({ record }, sought),
    )
    return [...new Set(met.map(({ asker }) => asker))]
  }
}
