import type { Instant } from '../kernel/machine.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { AddressBook, BookEntry } from '../peer-exchange/address-book.ts'
import type { Entry } from '../peer-exchange/messages.ts'
import type { PeerKey, SelfFacts } from '../peer-exchange/record.ts'
import type { Sampler } from '../peer-exchange/sampler.ts'
import { limits } from './limits.ts'

/** What peer exchange knows, to be read. */
export interface Acquaintances {
  readonly book: Pick<AddressBook, 'get' | 'all' | 'addresses' | 'valid' | 'count' | 'fresh'>
  readonly sampler: Pick<Sampler, 'distinct' | 'estimate'>
  alternativesFor(peer: PeerKey, now: Instant): Entry[]
}

/** Public, or offering itself as relay: can be dialled without anybody's help. */
export function isDependable({
  record,
}: {
  record: Pick<SelfFacts, 'reachability' | 'relay'>
}): boolean {
  return record.reachability === 'public' || record.relay !== undefined
}

/** Chooses among the acquaintances; whom to leave out is the asker's business. */
export class Candidates {
  readonly #known: Acquaintances
  readonly #rng: Rng
  /** The class that is tried now, and how often still. */
  #dependable = true
  #left = 0

  constructor(known: Acquaintances, rng: Rng) {
    this.#known = known
    this.#rng = rng
  }

  /** Whether the overlay is so small that everybody should be everybody's neighbour. */
  get everybody(): boolean {
    const { book } = this.#known
    return book.valid + book.count('lost') <= limits.everybody
  }

  /** Whether what we know is all there is. */
  get isSmall(): boolean {
    return this.#known.book.valid < limits.acceptedFreely * 2
  }

  /** Everybody there is, in a small overlay. */
  all(): BookEntry[] {
    return shuffle([...this.#known.book.all()], this.#rng)
  }

  /** The peers of the sample, those of the class whose turn it is first. */
  ofSample(): BookEntry[] {
    const entries = this.#sample()
    const wanted = this.#drawClass(entries)
    return entries.sort(
      (a, b) => Number(isDependable(b) === wanted) - Number(isDependable(a) === wanted),
    )
  }

  /** Those that answered our dials, the most stable first. */
  anchors(): BookEntry[] {
    return [...this.#known.book.all()]
      .filter(({ reachedSince }) => reachedSince > 0)
      .sort((a, b) => a.reachedSince - b.reachedSince)
  }

  /** Whoever else there is: reached before heard of before lost. */
  others(): BookEntry[] {
    return this.all().sort((a, b) => ORDER[a.standing] - ORDER[b.standing])
  }

  /** Whom to see: of the sample, those we never reached, then those not met for long. */
  toVisit(now: Instant): BookEntry[] {
    const stale = this.#sample().filter(({ metAt }) => now - metAt > limits.metRecentlyMs)
    return stale.sort((a, b) => ORDER_OF_VISITS[a.standing] - ORDER_OF_VISITS[b.standing])
  }

  lost(): BookEntry[] {
    const lost = [...this.#known.book.all()].filter(({ standing }) => standing === 'lost')
    return shuffle(lost, this.#rng)
  }

  #sample(): BookEntry[] {
    const peers = shuffle([...this.#known.sampler.distinct()], this.#rng)
    return peers.flatMap((peer) => this.#known.book.get(peer) ?? [])
  }

  /**
   * Hidden peers are harder to link to than public ones. Drawing the class first, by its share in the sample, and
   * holding it for a few tries keeps them from being left out for that.
   */
  #drawClass(sample: BookEntry[]): boolean {
    if (this.#left-- > 0) return this.#dependable
    this.#left = limits.classTries - 1
    const share = sample.filter(isDependable).length / Math.max(1, sample.length)
    this.#dependable = this.#rng() < share
    return this.#dependable
  }

  /** A link was made: the next one is of a class of its own. */
  linked(): void {
    this.#left = 0
  }
}

const ORDER = { reached: 0, heard: 1, lost: 2 }
const ORDER_OF_VISITS = { heard: 0, reached: 1, lost: 2 }
