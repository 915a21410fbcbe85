import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { highBits, lowBits, mix32 } from './ids.ts'
import { limits } from './limits.ts'
import type { Mortality } from './mortality.ts'
import type { PeerKey } from './record.ts'

/** What a slot ranks: all peers by their ids, or first the address groups they are in. */
export type Ranking = 'id' | 'group'

/** A peer as the sampler sees it. */
export interface Sampled {
  peer: PeerKey
  id: number
  /** The address group it is counted in, as a number. */
  group: number
  /**
   * Whoever was named as one of many of a group competes where groups are ranked only: public peers are in more groups than
   * hidden ones, so that names of this kind are no picture of the overlay.
   */
  namedFor: Ranking
  /** When somebody saw it last, as far as they say. */
  lastSeenAt: Instant
}

/**
 * A sample of the overlay that nobody can press into: every slot keeps, of all peers ever offered, the one that a
 * secret hash likes best. Being offered again and again helps nobody; having many identities helps only as much as they
 * are many, and in the half of the slots that rank address groups only as much as their groups are many. Who was seen long
 * ago counts less, by the chance that it is gone by now: a sample of those who were there once would be one of the dead.
 * Source: Basalt (Auvolat and others, 2021), Brahms (PODC 2008).
 */
export class Sampler<One extends Sampled = Sampled> {
  readonly #rng: Rng
  readonly #mortality: Pick<Mortality, 'perMs'>
  /**
   * Columns by slot, since every peer is held against all slots. Private: who knew the secrets could make an identity that wins. Two of 32 bits, since
   * one could be found by trying all.
   */
  readonly #secrets: readonly [Uint32Array, Uint32Array]
  readonly #holders: (One | undefined)[] = Array.from({ length: limits.slots }, () => undefined)
  /** Of the holder: told apart by it, few of them are looked at. NaN without one. */
  readonly #ids = new Float64Array(limits.slots).fill(NaN)
  /** Of the holder, Infinity without one: by group first where groups are ranked. The least wins. */
  readonly #ranks = new Float64Array(limits.slots).fill(Infinity)
  readonly #groupRanks = new Float64Array(limits.slots).fill(Infinity)
  /** The slot that is emptied next. */
  #oldest = 0
  /** Everybody who holds a slot; made anew when that was asked for after a change. */
  #distinct: readonly { holder: One; byId: boolean }[] | undefined

  constructor(rng: Rng, mortality: Pick<Mortality, 'perMs'>) {
    this.#rng = rng
    this.#mortality = mortality
    const column = () => Uint32Array.from({ length: limits.slots }, () => this.#secret())
    this.#secrets = [column(), column()]
  }

  /**
   * Whether the peer with this id, seen then, would win a slot that ranks ids; or, in a group, one that ranks groups.
   */
  wants(id: number, lastSeenAt: Instant, group?: number): boolean {
    const one = { id, lastSeenAt, group: group ?? 0 }
    const ids = group === undefined
    for (let slot = 0; slot < limits.slots; slot++) {
      if (ranksIds(slot) === ids && this.#wins(slot, one)) return true
    }
    return false
  }

  /** Offers a peer whose record is known and valid. Returns whether it holds a slot now that it did not hold before. */
  offer(one: One): boolean {
    let won = false
    for (let slot = 0; slot < limits.slots; slot++) if (this.#compete(slot, one)) won = true
    if (won) this.#distinct = undefined
    return won
  }

  /** Empties the slots of a peer that is gone, and fills them from those at hand. */
  drop(peer: PeerKey, others: Iterable<One>): void {
    const emptied = [...this.#holders.keys()].filter((slot) => this.#holders[slot]?.peer === peer)
    if (emptied.length > 0) this.#refill(emptied, others)
  }

  /** Gives the next slot a new secret, so that the sample changes and no winner stays for ever. */
  renew(others: Iterable<One>): void {
    const slot = this.#oldest
    this.#oldest = (slot + 1) % limits.slots
    for (const column of this.#secrets) column[slot] = this.#secret()
    this.#refill([slot], others)
  }

  /** Who holds each slot. */
  *holders(): Generator<{ holder: One; rankedBy: Ranking }> {
    for (let slot = 0; slot < limits.slots; slot++) {
      const holder = this.#holders[slot]
      if (holder !== undefined) yield { holder, rankedBy: ranksIds(slot) ? 'id' : 'group' }
    }
  }

  /** Everybody who holds a slot, once, and whether it holds one that ranks ids. */
  distinct(): readonly { holder: One; byId: boolean }[] {
    if (this.#distinct !== undefined) return this.#distinct
    const byPeer = new Map<PeerKey, { holder: One; byId: boolean }>()
    for (const { holder, rankedBy } of this.holders()) {
      const byId = rankedBy === 'id' || byPeer.get(holder.peer)?.byId === true
      byPeer.set(holder.peer, { holder, byId })
    }
    return (this.#distinct = [...byPeer.values()])
  }

  /**
   * How many peers the sampler has been offered, from how low the ranks are: about ± 18 %. Undefined with slots still
   * empty.
   */
  estimate(): number | undefined {
    let sum = 0
    let count = 0
    for (let slot = 0; slot < limits.slots; slot++) {
      if (!ranksIds(slot)) continue
      if (this.#holders[slot] === undefined) return undefined
      sum += (this.#ranks[slot] as number) / 2 ** 32
      count++
    }
    return Math.max(1, count / sum - 1)
  }

  #secret(): number {
    return Math.floor(this.#rng() * 2 ** 32)
  }

  #refill(slots: number[], others: Iterable<One>): void {
    for (const slot of slots) {
      this.#holders[slot] = undefined
      this.#ids[slot] = NaN
      this.#ranks[slot] = this.#groupRanks[slot] = Infinity
    }
    for (const one of others) for (const slot of slots) this.#compete(slot, one)
    this.#distinct = undefined
  }

  #compete(slot: number, one: One): boolean {
    if (this.#ids[slot] === one.id && this.#holders[slot]?.peer === one.peer) {
      this.#holders[slot] = one // its group may be another one now
      return false
    }
    if (one.namedFor === 'group' && ranksIds(slot)) return false
    if (!this.#wins(slot, one)) return false
    this.#holders[slot] = one
    this.#ids[slot] = one.id
    this.#ranks[slot] = this.#rank(slot, one.id)
    this.#groupRanks[slot] = this.#groupRank(slot, one.group)
    return true
  }

  #wins(slot: number, one: Pick<Sampled, 'id' | 'group' | 'lastSeenAt'>): boolean {
    const leastGroup = this.#groupRanks[slot] as number
    const groupRank = this.#groupRank(slot, one.group)
    if (groupRank !== leastGroup) return groupRank < leastGroup
    const [rank, least] = [this.#rank(slot, one.id), this.#ranks[slot] as number]
    const holder = this.#holders[slot]
    const most = limits.freshnessCounts
    if (holder === undefined || rank * most < least) return true
    if (rank >= least * most) return false
    const odds = Math.exp(this.#mortality.perMs * (holder.lastSeenAt - one.lastSeenAt))
    return rank * Math.min(Math.max(odds, 1 / most), most) < least
  }

  /** The same for all groups where ids are ranked. */
  #groupRank(slot: number, group: number): number {
    if (ranksIds(slot)) return Infinity
    return this.#hash(slot, mix32(group), 0)
  }

  #rank(slot: number, id: number): number {
    return this.#hash(slot, lowBits(id), highBits(id))
  }

  #hash(slot: number, low: number, high: number): number {
    const [first, second] = this.#secrets
    return mix32(mix32(low ^ (first[slot] as number)) ^ high ^ (second[slot] as number))
  }
}

/** Every other slot ranks ids, the others rank address groups. */
function ranksIds(slot: number): boolean {
  return slot % 2 === 0
}
