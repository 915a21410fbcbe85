import type { Alarms } from '../kernel/alarms.ts'
import type { Instant } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { BookEntry } from '../peer-exchange/address-book.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import type { Bootstraps } from './bootstraps.ts'
import type { Acquaintances, Candidates } from './candidates.ts'
import type { Dials } from './dials.ts'
import { limits } from './limits.ts'
import type { Mixing } from './mixing.ts'
import type { Output } from './outputs.ts'

interface VisitsOptions {
  rng: Rng
  known: Acquaintances
  candidates: Candidates
  bootstraps: Bootstraps
  dials: Dials
  mixing: Mixing
  timers: Pick<Alarms<'visit'>, 'set'>
}

/** Goes and looks whether peers are there: those of the sample, those that were lost, and those gone without a word. */
export class Visits {
  readonly #rng: Rng
  readonly #known: Acquaintances
  readonly #candidates: Candidates
  readonly #bootstraps: Bootstraps
  readonly #dials: Dials
  readonly #mixing: Mixing
  readonly #timers: VisitsOptions['timers']
  /** Neighbours whose links ended without a word. */
  readonly #doubted = new Set<PeerKey>()
  #startedAt: Instant | undefined
  #every: number = limits.visitMs.first
  /** When a lost peer may be visited. */
  #lostAt: Instant = -Infinity
  /** When somebody whose address is contested may be visited. */
  #contestedAt: Instant = Infinity

  constructor({ rng, known, candidates, bootstraps, dials, mixing, timers }: VisitsOptions) {
    this.#rng = rng
    this.#known = known
    this.#candidates = candidates
    this.#bootstraps = bootstraps
    this.#dials = dials
    this.#mixing = mixing
    this.#timers = timers
  }

  start(now: Instant): void {
    this.#startedAt = now
    this.#timers.set('visit', now + jittered(this.#every, 0.25, this.#rng))
  }

  visit(now: Instant, out: Output[]): void {
    const age = now - (this.#startedAt ?? now)
    const soon = Math.max(this.#candidates.visitEveryMs(), limits.visitMs.least)
    this.#timers.set('visit', now + jittered(Math.min(soon, this.#every), 0.25, this.#rng))
    if (age > limits.mixingMs && !this.#mixing.isHealing(now)) {
      this.#every = Math.min(this.#every * limits.visitGrowth, limits.visitMs.most)
    }
    const estimate = this.#known.sampler.estimate()
    // Before the sampler has been offered everybody, the estimate only grows.
    if (estimate !== undefined && age > limits.mixingMs) this.#mixing.size(estimate, now, out)
    if (this.#candidates.everybody || this.#dials.size >= limits.dials) return
    for (const entry of this.#inOrder(now)) {
      if (!this.#dials.isFree(entry.peer, now)) continue
      this.#doubted.delete(entry.peer)
      if (!this.#dials.dial(entry.peer, 'visit', now, out)) continue
      if (this.#known.book.isContested(entry)) this.deferContested(now)
      return
    }
  }

  /** Those in doubt, then lost ones when it is their turn, then the sample. */
  #inOrder(now: Instant): BookEntry[] {
    const turnOfLost = now >= this.#lostAt || this.#mixing.isHealing(now)
    if (turnOfLost) this.#lostAt = now + jittered(limits.lostMs, 0.25, this.#rng)
    const contested = now >= this.#contestedAt
    const lost = turnOfLost ? this.#candidates.lost(now) : []
    return [...this.#inDoubt(), ...lost, ...this.#candidates.toVisit(now, contested)]
  }

  /** Whoever was forgotten meanwhile is in doubt no more. */
  #inDoubt(): BookEntry[] {
    const entries: BookEntry[] = []
    for (const peer of this.#doubted) {
      const entry = this.#known.book.get(peer)
      if (entry === undefined) this.#doubted.delete(peer)
      else entries.push(entry)
    }
    return entries
  }

  /** Nobody knows when somebody whose address is contested is visited next. */
  deferContested(now: Instant): void {
    this.#contestedAt = now + jittered(limits.contestedMs, 1, this.#rng)
  }

  /** A neighbour that is gone without a word: whether the peer is gone, or only the link, is worth knowing soon. */
  doubt(peer: PeerKey, now: Instant): void {
    if (this.#doubted.size >= limits.accepted.public) return
    this.#doubted.add(peer)
    this.#soon(now)
  }

  /** It is there. */
  linked(peer: PeerKey): void {
    this.#doubted.delete(peer)
  }

  foundNobody(peer: PeerKey, now: Instant): void {
    // That a lost peer is still lost says nothing about the sample.
    if (this.#known.book.get(peer)?.standing === 'lost' || this.#bootstraps.has(peer)) return
    this.#soon(now)
  }

  /** Where one lost peer answers others may: they are looked for now, not when their turn comes. */
  lookForLost(now: Instant): void {
    this.#lostAt = now
    this.#soon(now)
  }

  #soon(now: Instant): void {
    this.#every = limits.visitMs.first
    this.#timers.set('visit', now + limits.visitMs.afterNobody)
  }
}
