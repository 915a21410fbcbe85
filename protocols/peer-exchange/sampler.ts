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

/**
 * A sample of the overlay that nobody can press into: every slot keeps, of all peers ever offered, the one that a
 * secret hash likes best. Being offered again and again helps nobody; having many identities helps only as much as they
 * are many, and in the half of the slots that rank address groups only as much as their groups are many.
 * Source: Basalt (Auvolat and others, 2021), Brahms (PODC 2008).
 */
export class Sampler<One extends Sampled = Sampled> {
  readonly #rng: Rng
  /** Columns by slot, since every peer is held against all slots. Private: who knew a seed could make an identity that wins. */
  readonly #seeds: Uint32Array
  readonly #holders: (One | undefined)[] = Array.from({ length: limits.slots }, () => undefined)
  /** Of the holder: told apart by it, few of them are looked at. NaN without one. */
  readonly #ids = new Float64Array(limits.slots).fill(NaN)
  /** Of the holder, Infinity without one: by group first where groups are ranked. The least wins. */
  readonly #ranks = new Float64Array(limits.slots).fill(Infinity)
  readonly #groupRanks = new Float64Array(limits.slots).fill(Infinity)
  /** The slot that is emptied next. */
  #oldest = 0
  /** Everybody who holds a slot; made anew when that was asked for after a change. */
  #distinct: readonly One[] | undefined

  constructor(rng: Rng) {
    this.#rng = rng
    this.#seeds = Uint32Array.from({ length: limits.slots }, () => this.#seed())
  }

  /** Whether the peer with this id would win a slot, in this group if that is known. */
  wants(id: number, group?: number): boolean {
    const [low, high] = [lowBits(id), highBits(id)]
    for (let slot = 0; slot < limits.slots; slot++) {
      if (!ranksIds(slot) && group === undefined) continue
      if (this.#wins(slot, low, high, group ?? 0)) return true
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
    this.#seeds[slot] = this.#seed()
    this.#refill([slot], others)
  }

  /** Who holds each slot. */
  *holders(): Generator<{ holder: One; rankedBy: 'id' | 'group' }> {
    for (let slot = 0; slot < limits.slots; slot++) {
      const holder = this.#holders[slot]
      if (holder !== undefined) yield { holder, rankedBy: ranksIds(slot) ? 'id' : 'group' }
    }
  }

  /** Everybody who holds a slot, once. */
  distinct(): readonly One[] {
    if (this.#distinct !== undefined) return this.#distinct
    const byPeer = new Map<PeerKey, One>()
    for (const holder of this.#holders) if (holder !== undefined) byPeer.set(holder.peer, holder)
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

  #seed(): number {
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
    const [low, high] = [lowBits(one.id), highBits(one.id)]
    if (!this.#wins(slot, low, high, one.group)) return false
    this.#holders[slot] = one
    this.#ids[slot] = one.id
    this.#ranks[slot] = this.#rank(slot, low, high)
    this.#groupRanks[slot] = this.#groupRank(slot, one.group)
    return true
  }

  #wins(slot: number, low: number, high: number, group: number): boolean {
    const leastGroup = this.#groupRanks[slot] as number
    const groupRank = this.#groupRank(slot, group)
    if (groupRank !== leastGroup) return groupRank < leastGroup
    return this.#rank(slot, low, high) < (this.#ranks[slot] as number)
  }

  /** The same for all groups where ids are ranked. */
  #groupRank(slot: number, group: number): number {
    return ranksIds(slot) ? Infinity : mix32(this.#seedOf(slot) ^ mix32(group))
  }

  #rank(slot: number, low: number, high: number): number {
    return mix32(mix32(this.#seedOf(slot) ^ low) ^ high)
  }

  #seedOf(slot: number): number {
    return this.#seeds[slot] as number
  }
}

/** Every other slot ranks ids, the others rank address groups. */
function ranksIds(slot: number): boolean {
  return slot % 2 === 0
}
