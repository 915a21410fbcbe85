import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { highBits, lowBits, mix32 } from './ids.ts'
import { limits } from './limits.ts'
import type { PeerKey } from './record.ts'

/** A peer as the sampler sees it. */
export interface Sampled {
  peer: PeerKey
  id: number
  /** The address group it is counted in, as a number. */
  group: number
}

interface Slot {
  rankedBy: 'id' | 'group'
  /** Private: who could know it could make an identity that wins. */
  seed: number
  holder: Sampled | undefined
  /** Of the holder: by group first where groups are ranked. The least wins. */
  rank: number
  groupRank: number
  since: Instant
}

/**
 * A sample of the overlay that nobody can press into: every slot keeps, of all peers ever offered, the one that a
 * secret hash likes best. Being offered again and again helps nobody; having many identities helps only as much as they
 * are many, and in the half of the slots that rank address groups only as much as their groups are many.
 * Source: Basalt (Auvolat and others, 2021), Brahms (PODC 2008).
 */
export class Sampler {
  readonly #rng: Rng
  readonly #slots: Slot[]
  /** The slot that is emptied next. */
  #oldest = 0

  constructor(rng: Rng) {
    this.#rng = rng
    this.#slots = Array.from({ length: limits.slots }, (_, i) => ({
      ...this.#emptied(0),
      rankedBy: i % 2 === 0 ? 'id' : 'group',
    }))
  }

  /** Whether the peer with this id would win a slot, as far as its id alone can tell. */
  wants(id: number): boolean {
    for (const slot of this.#slots) {
      if (slot.rankedBy !== 'id') continue
      if (slot.holder === undefined || rankOf(slot.seed, id) < slot.rank) return true
    }
    return false
  }

  /** Offers a peer whose record is known and valid. Returns whether it holds a slot now that it did not hold before. */
  offer(one: Sampled, now: Instant): boolean {
    let won = false
    for (const slot of this.#slots) if (compete(slot, one, now)) won = true
    return won
  }

  /** Empties the slots of a peer that is gone, and fills them from those at hand. */
  drop(peer: PeerKey, others: Iterable<Sampled>, now: Instant): void {
    const emptied = this.#slots.filter(({ holder }) => holder?.peer === peer)
    if (emptied.length === 0) return
    for (const slot of emptied) clear(slot, now)
    refill(emptied, others, now)
  }

  /** Gives the next slot a new secret, so that the sample changes and no winner stays for ever. */
  renew(others: Iterable<Sampled>, now: Instant): void {
    const slot = this.#slots[this.#oldest] as Slot
    this.#oldest = (this.#oldest + 1) % this.#slots.length
    Object.assign(slot, this.#emptied(now))
    refill([slot], others, now)
  }

  /** Who holds each slot. */
  *holders(): Generator<{ holder: Sampled; rankedBy: 'id' | 'group' }> {
    for (const { holder, rankedBy } of this.#slots)
      if (holder !== undefined) yield { holder, rankedBy }
  }

  /** Everybody who holds a slot, once. */
  distinct(): Set<PeerKey> {
    const peers = new Set<PeerKey>()
    for (const { holder } of this.#slots) if (holder !== undefined) peers.add(holder.peer)
    return peers
  }

  /**
   * How many peers the sampler has been offered, from how low the ranks are: about ± 18 %. Undefined with slots still
   * empty.
   */
  estimate(): number | undefined {
    let sum = 0
    let count = 0
    for (const { rankedBy, holder, rank } of this.#slots) {
      if (rankedBy !== 'id') continue
      if (holder === undefined) return undefined
      sum += rank / 2 ** 32
      count++
    }
    return Math.max(1, count / sum - 1)
  }

  #emptied(now: Instant) {
    const seed = Math.floor(this.#rng() * 2 ** 32)
    return { seed, holder: undefined, rank: Infinity, groupRank: Infinity, since: now }
  }
}

function compete(slot: Slot, one: Sampled, now: Instant): boolean {
  if (slot.holder?.peer === one.peer) {
    slot.holder = one // its group may be another one now
    return false
  }
  const groupRank = slot.rankedBy === 'group' ? mix32(slot.seed ^ mix32(one.group)) : 0
  if (slot.rankedBy === 'group' && groupRank > slot.groupRank) return false
  const rank = rankOf(slot.seed, one.id)
  if ((slot.rankedBy === 'id' || groupRank === slot.groupRank) && rank >= slot.rank) return false
  Object.assign(slot, { holder: one, rank, groupRank, since: now })
  return true
}

function clear(slot: Slot, now: Instant): void {
  Object.assign(slot, { holder: undefined, rank: Infinity, groupRank: Infinity, since: now })
}

function refill(slots: Slot[], others: Iterable<Sampled>, now: Instant): void {
  for (const one of others) for (const slot of slots) compete(slot, one, now)
}

function rankOf(seed: number, id: number): number {
  return mix32(mix32(seed ^ lowBits(id)) ^ highBits(id))
}
