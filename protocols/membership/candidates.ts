import type { Instant } from '../kernel/machine.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { AddressBook, BookEntry } from '../peer-exchange/address-book.ts'
import type { Entry } from '../peer-exchange/messages.ts'
import type { PeerKey, SelfFacts } from '../peer-exchange/record.ts'
import type { Sampler } from '../peer-exchange/sampler.ts'
import { limits } from './limits.ts'

type AddressBookParts =
  | 'get'
  | 'all'
  | 'addresses'
  | 'valid'
  | 'count'
  | 'fresh'
  | 'isContested'
  | 'mortality'

/** What peer exchange knows, to be read. */
export interface Acquaintances {
  readonly book: Pick<AddressBook, AddressBookParts>
  readonly sampler: Pick<Sampler<BookEntry>, 'distinct' | 'holders' | 'estimate' | 'wants'>
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
  /** Classes of candidates that failed: the next ones are of the same. */
  #owed: boolean[] = []
  #failures = 0

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

  /** How many there are in the overlay, as far as we know. */
  get size(): number {
    const { book, sampler } = this.#known
    return Math.max(book.valid, sampler.estimate() ?? 0)
  }

  /** Everybody there is, in a small overlay. */
  all(): BookEntry[] {
    return shuffle([...this.#known.book.all()], this.#rng)
  }

  /**
   * Those of the sample that fit, class by class: hidden peers are harder to link to than public ones, and drawing the
   * class first, by its share in the sample, and again after a failure keeps them from being left out for that. Whoever
   * is taken from here is taken for good: what became of it is told by `linked` or `failed`. Those whose addresses are
   * contested come last.
   */
  *ofSample(fits: (entry: BookEntry) => boolean): Generator<BookEntry> {
    const classes = Map.groupBy(
      this.#uncontestedFirst(this.#sample().filter(fits)).reverse(),
      isDependable,
    )
    const share = classes.size > 0 ? this.#dependableShare() : 0
    for (;;) {
      const wanted = this.#owed.shift() ?? this.#rng() < share
      const next = classes.get(wanted)?.pop() ?? classes.get(!wanted)?.pop()
      if (next === undefined) return
      yield next
    }
  }

  /** Those that answered our dials, the most stable first. */
  anchors(): BookEntry[] {
    const reached: BookEntry[] = []
    for (const entry of this.#known.book.all()) if (entry.reachedSince > 0) reached.push(entry)
    return reached.sort((a, b) => a.reachedSince - b.reachedSince)
  }

  /** Whoever else there is: reached before heard of before lost. */
  others(): BookEntry[] {
    const {
      reached = [],
      heard = [],
      lost = [],
    } = Object.groupBy(this.all(), ({ standing }) => standing)
    return [...reached, ...heard, ...lost]
  }

  /** For how long somebody we have met is taken to be there. */
  get trustMs(): number {
    return Math.min(this.#known.book.mortality.gives(limits.doubt), limits.metRecentlyMs)
  }

  /** Whether the peer holds a place in the sample. */
  isSampled(peer: PeerKey): boolean {
    return this.#known.sampler.distinct().some(({ holder }) => holder.peer === peer)
  }

  /** The pause between visits with which everybody of the sample is seen once before too many would be gone. */
  visitEveryMs(): number {
    const { book, sampler } = this.#known
    return book.mortality.gives(limits.doubt) / Math.max(1, sampler.distinct().length)
  }

  /** Whom to see: of the sample, those we never met, then those whose records ran out, then those we have not met for longest; contested ones last, if at all. */
  toVisit(now: Instant, contested: boolean): BookEntry[] {
    const { trustMs } = this
    const stale = this.#sample().filter(({ metAt }) => now - metAt > trustMs)
    const order = stale.sort((a, b) => urgency(a) - urgency(b) || a.metAt - b.metAt)
    if (contested) return this.#uncontestedFirst(order)
    return order.filter((one) => !this.#known.book.isContested(one))
  }

  /**
   * Those that did not answer, given up or not, and those whose records ran out; first whoever would be in the sample, so that a sample of
   * one half of a split overlay is one of both soon after.
   */
  lost(now: Instant): BookEntry[] {
    const { book, sampler } = this.#known
    const all = [...book.all()]
    const lost = all.filter(({ standing, misses }) => standing === 'lost' || misses > 0)
    const byWish = Map.groupBy(
      shuffle(lost, this.#rng),
      ({ id, group }) => sampler.wants(id, now) || sampler.wants(id, now, group),
    )
    return [...(byWish.get(true) ?? []), ...(byWish.get(false) ?? [])]
  }

  #uncontestedFirst(entries: BookEntry[]): BookEntry[] {
    const contested = entries.filter((one) => this.#known.book.isContested(one))
    return contested.length === 0
      ? entries
      : [...entries.filter((one) => !contested.includes(one)), ...contested]
  }

  #sample(): BookEntry[] {
    return shuffle(
      this.#known.sampler.distinct().map(({ holder }) => holder),
      this.#rng,
    )
  }

  /** Of the slots that rank ids: the others favour public peers, which are spread over more address groups. */
  #dependableShare(): number {
    let [dependable, all] = [0, 0]
    for (const { holder, rankedBy } of this.#known.sampler.holders()) {
      if (rankedBy !== 'id') continue
      all++
      if (isDependable(holder)) dependable++
    }
    return all === 0 ? 1 : dependable / all
  }

  linked(): void {
    this.#failures = 0
  }

  /** One that was taken from the sample came to nothing: another of its class has its turn, a few times, unless it was forgotten. */
  failed(entry: BookEntry | undefined): void {
    if (entry === undefined) return
    if (++this.#failures % limits.classTries === 0) this.#owed = []
    else if (this.#owed.length < limits.urgentDials) this.#owed.push(isDependable(entry))
  }
}

/** The less, the sooner: never met, then run out, then the others. */
function urgency({ metAt, standing }: BookEntry): number {
  if (metAt === 0) return 0
  return standing === 'lost' ? 1 : 2
}
