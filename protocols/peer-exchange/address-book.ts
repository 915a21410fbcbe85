import { endpoint, parseAddress } from '../kernel/address.ts'
import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import { groupOf } from './groups.ts'
import { isDialable, usableAddresses } from './hygiene.ts'
import type { Dialler, Scope } from './hygiene.ts'
import { fold } from './ids.ts'
import { limits } from './limits.ts'
import { Mortality } from './mortality.ts'
import { expiryOf } from './record.ts'
import type { PeerKey, PeerRecord, RecordAddress } from './record.ts'
import type { Ranking } from './sampler.ts'

/** Who told us: a peer id, or `inbound` (it came to us), `config` (we dialled an address we were given), `book`. */
export type Source = string

/**
 * `heard`: somebody said so. `reached`: we dialled it and it answered; the only thing that an overlay full of liars
 * cannot fake. `lost`: expired, or not to be reached; kept as whom to try when the overlay was split, told to nobody.
 */
export type Standing = 'heard' | 'reached' | 'lost'

export interface Learnt {
  record: PeerRecord
  /** The signed bytes, passed on as they came. */
  envelope: Uint8Array
  id: number
  source: Source
  /** When somebody on the way to us last dealt with the peer itself. */
  lastSeenAt: Instant
  /** Which slots it may compete for. */
  namedFor: Ranking
}

/** What the book holds of one peer: the same object for as long as it does. */
export interface BookEntry extends Learnt {
  peer: PeerKey
  expiresAt: Instant
  standing: Standing
  /** Since when it answers our dials; 0 if it never did. The oldest are the likeliest to stay. */
  reachedSince: Instant
  /** When we last dealt with it ourselves; 0 if never. */
  metAt: Instant
  /** Dials that failed since it last answered. */
  misses: number
  /** When the first of them failed. */
  missedAt: Instant
  /** Counted as a death. */
  mourned: boolean
  /** The address group it is counted in. */
  group: number
  /** Public addresses it says to be at. */
  claims: readonly string[]
  /** Whether this node may dial any of its addresses. */
  dialable: boolean
  /** How often versions of this record are passed on; undefined until one was. */
  forwarding: TokenBucket | undefined
}

export type Removal = 'left' | 'expired' | 'evicted' | 'unreachable'

/**
 * Everybody this node knows of, each standing within its limit. When hearsay is full, the source that told the most
 * loses its oldest, so that a peer that tells without end only pushes out what it told itself.
 */
export class AddressBook {
  readonly mortality = new Mortality()
  readonly #entries = new Map<PeerKey, BookEntry>()
  readonly #byId = new Map<number, BookEntry>()
  readonly #counts: Record<Standing, number> = { heard: 0, reached: 0, lost: 0 }
  /** Departures, by peer: a copy of an older record must not bring the peer back. */
  readonly #tombstones = new BoundedMap<PeerKey, { seq: number; until: Instant }>(limits.tombstones)
  /** How many records name each direct address. */
  readonly #claims = new Map<string, number>()
  /** How many addresses more than one record names: mostly none, and every candidate is asked about. */
  #disputes = 0
  #dialler: Dialler
  #setHash = 0

  constructor(self: PeerKey, scope: Scope) {
    this.#dialler = { self, scope }
  }

  get size(): number {
    return this.#entries.size
  }

  count(standing: Standing): number {
    return this.#counts[standing]
  }

  /** How many may be told to others. */
  get valid(): number {
    return this.#counts.heard + this.#counts.reached
  }

  /** So few are known that everybody is worth knowing. */
  get isSmall(): boolean {
    return this.valid < limits.wantEverybody
  }

  /** Stands for the versions of everybody who may be told to others; see SPEC.md. */
  get setHash(): number {
    return this.#setHash >>> 0
  }

  get(peer: PeerKey): BookEntry | undefined {
    return this.#entries.get(peer)
  }

  byId(id: number): BookEntry | undefined {
    return this.#byId.get(id)
  }

  /** Everybody in the book, the lost included. */
  all(): MapIterator<BookEntry> {
    return this.#entries.values()
  }

  /** Those who may be told to others. */
  fresh(now: Instant): BookEntry[] {
    return [...this.#entries.values()].filter((entry) => isFresh(entry, now))
  }

  /** Up to `count` fresh ones, chosen at random. */
  sample(count: number, now: Instant, rng: Rng): BookEntry[] {
    return shuffle(this.fresh(now), rng).slice(0, count)
  }

  /** The addresses of a peer that this node may dial. */
  addresses(peer: PeerKey): RecordAddress[] {
    const record = this.#entries.get(peer)?.record
    if (record === undefined) return []
    return usableAddresses(record, this.#dialler)
  }

  /**
   * Whether others say to be at every address that this peer says to be at, and it never answered a dial of ours. One of them is wrong,
   * or all are, and somebody is to be dialled who has no part in this. That it came to us proves no address.
   */
  isContested({ reachedSince, claims }: BookEntry): boolean {
    if (this.#disputes === 0 || reachedSince > 0) return false
    return claims.length > 0 && claims.every((address) => (this.#claims.get(address) ?? 0) > 1)
  }

  /** Whether a record of that age would change anything. */
  isNews(peer: PeerKey, seq: number, now: Instant): boolean {
    const grave = this.#tombstones.get(peer)
    if (grave !== undefined && grave.until > now && seq <= grave.seq) return false
    return seq > (this.#entries.get(peer)?.record.seq ?? 0)
  }

  /** Takes a verified record that is news. Returns who had to leave for it. */
  put(learnt: Learnt, now: Instant): PeerKey | undefined {
    const { peer } = learnt.record
    const before = this.#entries.get(peer)
    const expiresAt = expiryOf(learnt.record, now)
    // A new version is a sign of life of one that was given up.
    const hoped = before?.standing === 'reached' ? 'reached' : 'heard'
    const standing = expiresAt <= now ? 'lost' : hoped
    const evicted = before?.standing === standing ? undefined : this.#makeRoom(standing)
    const group = groupOf(learnt.record)
    const claims = claimsOf(learnt.record)
    this.#claim(claims, 1)
    const dialable = isDialable(learnt.record, this.#dialler)
    if (before !== undefined) {
      this.#uncount(before)
      this.#claim(before.claims, -1)
      before.record = learnt.record
      before.envelope = learnt.envelope
      before.lastSeenAt = Math.max(before.lastSeenAt, learnt.lastSeenAt)
      before.expiresAt = expiresAt
      before.standing = standing
      before.misses = 0
      before.group = group
      before.claims = claims
      before.dialable = dialable
      if (learnt.namedFor === 'id') before.namedFor = 'id'
      this.#recount(before)
      return evicted
    }
    // Written out: a spread literal would keep most of its fields elsewhere, and books are walked through all the time.
    const entry: BookEntry = {
      peer,
      id: learnt.id,
      record: learnt.record,
      envelope: learnt.envelope,
      source: learnt.source,
      lastSeenAt: learnt.lastSeenAt,
      namedFor: learnt.namedFor,
      expiresAt,
      standing,
      reachedSince: 0,
      metAt: 0,
      misses: 0,
      missedAt: 0,
      mourned: false,
      group,
      claims,
      dialable,
      forwarding: undefined,
    }
    this.#entries.set(peer, entry)
    this.#byId.set(learnt.id, entry)
    this.#recount(entry)
    return evicted
  }

  /** Forgets a peer that said it is leaving. Returns whether it was known. */
  bury(record: PeerRecord, now: Instant): boolean {
    this.#tombstones.set(record.peer, { seq: record.seq, until: now + limits.tombstoneMs })
    const entry = this.#entries.get(record.peer)
    if (entry !== undefined) this.#mourn(entry, now)
    return this.remove(record.peer)
  }

  remove(peer: PeerKey): boolean {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return false
    this.#uncount(entry)
    this.#claim(entry.claims, -1)
    if (this.#byId.get(entry.id) === entry) this.#byId.delete(entry.id)
    return this.#entries.delete(peer)
  }

  /** Notes that we deal with the peer itself, whoever dialled. Returns who had to leave for it. */
  met(peer: PeerKey, now: Instant): PeerKey | undefined {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return undefined
    if (entry.reachedSince > 0 && entry.metAt > 0) this.mortality.survived(now - entry.metAt)
    if (entry.mourned) this.mortality.revived()
    entry.mourned = false
    entry.lastSeenAt = Math.max(entry.lastSeenAt, now)
    entry.metAt = now
    entry.misses = 0
    const isBack = entry.standing === 'lost' && entry.expiresAt > now
    return isBack ? this.#stand(entry, 'heard') : undefined
  }

  /** Notes that a dial of ours was answered by the peer. Returns who had to leave for it. */
  reached(peer: PeerKey, now: Instant): PeerKey | undefined {
    const evicted = this.met(peer, now)
    const entry = this.#entries.get(peer)
    if (entry === undefined) return evicted
    entry.reachedSince ||= now
    // Room was made for it already if that was necessary: one leaves at most.
    return entry.standing === 'heard' ? (this.#stand(entry, 'reached') ?? evicted) : evicted
  }

  /** What an earlier run noted of a peer. */
  recall(peer: PeerKey, { reachedSince }: Pick<BookEntry, 'reachedSince'>): void {
    const entry = this.#entries.get(peer)
    if (entry !== undefined) entry.reachedSince = reachedSince
  }

  /** Notes that a dial of ours was not answered. Returns whether the peer is given up for that, and who had to leave for it. */
  missed(peer: PeerKey, now: Instant): { isGivenUp: boolean; evicted?: PeerKey | undefined } {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return { isGivenUp: false }
    this.#mourn(entry, now)
    if (entry.misses === 0) entry.missedAt = now
    entry.misses++
    if (entry.standing === 'lost') return { isGivenUp: false }
    const patience = entry.standing === 'reached' ? limits.missesOfReached : limits.missesOfHeard
    if (entry.misses < patience) return { isGivenUp: false }
    return { isGivenUp: true, evicted: this.#stand(entry, 'lost') }
  }

  /** Whether another version of the record may be passed on now; then it counts as passed on. */
  mayForward(entry: BookEntry, now: Instant): boolean {
    entry.forwarding ??= new TokenBucket(limits.forwardPerOrigin, now)
    return entry.forwarding.take(1, now)
  }

  setScope(scope: Scope): void {
    this.#dialler = { ...this.#dialler, scope }
    for (const entry of this.#entries.values()) {
      entry.dialable = isDialable(entry.record, this.#dialler)
    }
  }

  /** Gives up those whose time is over, and forgets those given up long ago or for want of room. Returns both. */
  expire(now: Instant): { over: PeerKey[]; forgotten: PeerKey[] } {
    const over: PeerKey[] = []
    const forgotten: PeerKey[] = []
    for (const entry of this.#entries.values()) {
      const { peer, reachedSince, lastSeenAt, standing, expiresAt } = entry
      if (standing === 'lost') {
        const keep = reachedSince > 0 ? limits.keepReachedMs : limits.keepHeardMs
        if (lastSeenAt + keep > now) continue
        this.remove(peer)
        forgotten.push(peer)
      } else if (expiresAt <= now) {
        over.push(peer)
        const evicted = this.#stand(entry, 'lost')
        if (evicted !== undefined) forgotten.push(evicted)
      }
    }
    return { over, forgotten }
  }

  /** Returns who had to leave for it. */
  #stand(entry: BookEntry, standing: Standing): PeerKey | undefined {
    // Its own place is free before room is made, so that one can take the place of the other.
    this.#uncount(entry)
    entry.standing = standing
    const evicted = this.#makeRoom(standing, entry)
    this.#recount(entry)
    return evicted
  }

  /** What a liar cannot bring about: somebody that we dialled, and that answered, is there no more. */
  #mourn(entry: BookEntry, now: Instant): void {
    const { reachedSince, metAt, mourned, standing } = entry
    if (mourned || standing === 'lost' || reachedSince === 0 || metAt === 0) return
    entry.mourned = true
    this.mortality.died(now - metAt)
  }

  #uncount({ id, record, standing }: BookEntry): void {
    this.#counts[standing]--
    if (standing !== 'lost') this.#setHash ^= fold(id, record.seq)
  }

  #recount({ id, record, standing }: BookEntry): void {
    this.#counts[standing]++
    if (standing !== 'lost') this.#setHash ^= fold(id, record.seq)
  }

  #claim(claims: readonly string[], by: 1 | -1): void {
    for (const address of claims) {
      const before = this.#claims.get(address) ?? 0
      const count = before + by
      this.#disputes += Number(count > 1) - Number(before > 1)
      if (count > 0) this.#claims.set(address, count)
      else this.#claims.delete(address)
    }
  }

  /** Somebody of the same standing leaves when it is full. The reached are only counted down to being heard of. */
  #makeRoom(standing: Standing, newcomer?: BookEntry): PeerKey | undefined {
    if (this.#counts[standing] < limits[standing]) return undefined
    const all: BookEntry[] = []
    for (const one of this.#entries.values()) {
      if (one.standing === standing && one !== newcomer) all.push(one)
    }
    if (standing === 'reached') {
      const victim = leastStable(all)
      return victim && this.#stand(victim, 'heard')
    }
    const never = all.filter(({ reachedSince }) => reachedSince === 0)
    const victim = oldest(standing === 'heard' ? mostTold(never) : never) ?? oldest(all)
    if (victim !== undefined) this.remove(victim.peer)
    return victim?.peer
  }
}

/** Whether an entry may be told to others. */
export function isFresh(entry: BookEntry | undefined, now: Instant): entry is BookEntry {
  return entry !== undefined && entry.standing !== 'lost' && entry.expiresAt > now
}

/** A relayed address has its peer's name in it, and the addresses of private networks are many people's. */
function claimsOf({ addresses }: PeerRecord): readonly string[] {
  const claims = new Set<string>()
  for (const { address, kind } of addresses) {
    const at = kind === 'direct' ? parseAddress(address) : undefined
    if (at?.scope === 'public') claims.add(endpoint(at.host, at.port))
  }
  return [...claims]
}

/** Those of the source that told the most of them. */
function mostTold(entries: BookEntry[]): BookEntry[] {
  const told = new Map<Source, number>()
  for (const { source } of entries) told.set(source, (told.get(source) ?? 0) + 1)
  let [loudest, most]: [Source | undefined, number] = [undefined, 0]
  for (const [source, count] of told) if (count > most) [loudest, most] = [source, count]
  return entries.filter(({ source }) => source === loudest)
}

function oldest(entries: BookEntry[]): BookEntry | undefined {
  let old: BookEntry | undefined
  for (const one of entries) if (old === undefined || one.lastSeenAt < old.lastSeenAt) old = one
  return old
}

/** Reached last for the first time: who was there for long will be there for long. */
function leastStable(entries: BookEntry[]): BookEntry | undefined {
  let young: BookEntry | undefined
  for (const one of entries) {
    if (young === undefined || one.reachedSince > young.reachedSince) young = one
  }
  return young
}
