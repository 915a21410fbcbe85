import { backoffMs } from '../kernel/backoff.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { Timers } from '../kernel/timers.ts'
import { KEEPER_LIMITS } from './limits.ts'

/** Who named a relay. Only the operator's own bootstraps are safe from being pushed out by gossip. */
export type CandidateSource = 'bootstrap' | 'connected' | 'exchange'

export interface Candidate {
  peer: string
  source: CandidateSource
  rttMs?: number
  /** The network it is in, so that the two relays held do not fail together. */
  group?: string
  /** It relays for us without a limit. */
  unlimited?: boolean
  /** It is known to speak the relay protocol now. */
  ready?: boolean
}

export type Failure = 'refused' | 'unsupported' | 'unreachable'

export type KeeperInput =
  | Tick
  /** Whether this node needs relays at all. */
  | { type: 'need'; need: boolean }
  | ({ type: 'candidate' } & Candidate)
  | { type: 'candidate-gone'; peer: string }
  | { type: 'granted'; peer: string; until: Instant }
  | { type: 'failed'; peer: string; failure: Failure }
  | { type: 'lost'; peer: string; reason: string }

export type KeeperOutput =
  /** Connect to it directly if need be, and ask for a reservation. */
  | { type: 'dial-and-reserve'; peer: string }
  | { type: 'release'; peer: string }
  | { type: 'relay.held'; peer: string; until: Instant }
  | { type: 'relay.renewed'; peer: string; until: Instant }
  | { type: 'relay.lost'; peer: string; reason: string }

export interface KeptRelay {
  peer: string
  state: 'held' | 'reserving'
  until?: Instant
  rttMs?: number
}

type Standing = 'idle' | 'asking' | 'held' | 'resting'

interface Entry extends Candidate {
  standing: Standing
  failures: number
  /** Why it rests. */
  failure?: Failure
  until?: Instant
  /** It served us before: it is asked first. */
  served: boolean
}

/** The round trip assumed of a relay that was never measured: between near and far. */
const UNMEASURED_MS = 200
/** What sharing a network with a relay already held counts, in milliseconds of round trip. */
const SAME_GROUP_MS = 500
/** What each failed try in a row counts. */
const FAILURE_MS = 1_000

/** Holds reservations at relays while they are needed, and gets lost ones back. See SPEC.md. */
export class RelayKeeper implements Machine<KeeperInput, KeeperOutput> {
  readonly #rng: Rng
  readonly #entries = new Map<string, Entry>()
  readonly #timers = new Timers<string>()
  #needed = false

  constructor(rng: Rng) {
    this.#rng = rng
  }

  step(input: KeeperInput, now: Instant): readonly KeeperOutput[] {
    const out: KeeperOutput[] = []
    this.#take(input, now, out)
    this.#fill(now, out)
    return out
  }

  nextWake(): Instant | undefined {
    return this.#timers.next()
  }

  /** What is held or being asked for. */
  relays(): KeptRelay[] {
    return [...this.#entries.values()].flatMap(({ peer, standing, until, rttMs }) => {
      if (standing !== 'held' && standing !== 'asking') return []
      const state = standing === 'held' ? ('held' as const) : ('reserving' as const)
      const known = until === undefined ? {} : { until }
      return [{ peer, state, ...known, ...(rttMs === undefined ? {} : { rttMs }) }]
    })
  }

  #take(input: KeeperInput, now: Instant, out: KeeperOutput[]): void {
    switch (input.type) {
      case 'tick':
        for (const peer of this.#timers.takeDue(now)) this.#wake(peer, now, out)
        return
      case 'need':
        this.#needed = input.need
        if (!input.need) this.#releaseAll(out)
        return
      case 'candidate':
        return this.#admit(input)
      case 'candidate-gone':
        return this.#forget(input.peer)
      case 'granted':
        return this.#granted(input.peer, input.until, now, out)
      case 'failed':
        return this.#failed(input.peer, input.failure, now)
      case 'lost':
        return this.#lost(input.peer, input.reason, now, out)
    }
  }

  #wake(peer: string, now: Instant, out: KeeperOutput[]): void {
    const entry = this.#entries.get(peer)
    if (entry?.standing === 'held') this.#lost(peer, 'it was not renewed in time', now, out)
    else if (entry?.standing === 'asking') this.#failed(peer, 'unreachable', now)
    else if (entry?.standing === 'resting') entry.standing = 'idle'
  }

  #admit(candidate: Candidate): void {
    const known = this.#entries.get(candidate.peer)
    if (known === undefined) {
      if (!this.#makeRoom(candidate.source)) return
      const fresh: Entry = { ...candidate, standing: 'idle', failures: 0, served: false }
      this.#entries.set(candidate.peer, fresh)
      return
    }
    const source = known.source === 'bootstrap' ? 'bootstrap' : candidate.source
    Object.assign(known, candidate, { source })
    // It did not speak the protocol when we asked, and now it does: a node that found itself public.
    if (candidate.ready === true && known.failure === 'unsupported') this.#wakeEarly(known)
  }

  #wakeEarly(entry: Entry): void {
    delete entry.failure
    entry.failures = 0
    if (entry.standing !== 'resting') return
    entry.standing = 'idle'
    this.#timers.clear(entry.peer)
  }

  #forget(peer: string): void {
    const standing = this.#entries.get(peer)?.standing
    if (standing === 'held' || standing === 'asking') return
    this.#entries.delete(peer)
    this.#timers.clear(peer)
  }

  #granted(peer: string, until: Instant, now: Instant, out: KeeperOutput[]): void {
    const entry = this.#entries.get(peer)
    const renewed = entry?.standing === 'held'
    const room = this.#count('held') < KEEPER_LIMITS.wanted
    if (entry === undefined || !this.#needed || until <= now || !(renewed || room)) {
      out.push({ type: 'release', peer })
      if (entry?.standing === 'asking') this.#idle(entry)
      return
    }
    if (renewed && entry.until === until) return
    Object.assign(entry, { standing: 'held', until, failures: 0, served: true })
    delete entry.failure
    this.#timers.set(peer, until)
    out.push({ type: renewed ? 'relay.renewed' : 'relay.held', peer, until })
  }

  #failed(peer: string, failure: Failure, now: Instant): void {
    const entry = this.#entries.get(peer)
    if (entry?.standing !== 'asking') return
    entry.failures++
    entry.failure = failure
    const limits = failure === 'unreachable' ? KEEPER_LIMITS.unreachable : KEEPER_LIMITS.refused
    this.#rest(entry, now + backoffMs(entry.failures, limits, this.#rng))
  }

  #lost(peer: string, reason: string, now: Instant, out: KeeperOutput[]): void {
    const entry = this.#entries.get(peer)
    if (entry?.standing !== 'held') return
    delete entry.until
    this.#rest(entry, now + jittered(KEEPER_LIMITS.returnMs, 0.4, this.#rng))
    out.push({ type: 'relay.lost', peer, reason })
  }

  #rest(entry: Entry, until: Instant): void {
    entry.standing = 'resting'
    this.#timers.set(entry.peer, until)
  }

  #idle(entry: Entry): void {
    entry.standing = 'idle'
    delete entry.until
    this.#timers.clear(entry.peer)
  }

  #releaseAll(out: KeeperOutput[]): void {
    for (const entry of this.#entries.values()) {
      if (entry.standing === 'held') {
        out.push({ type: 'release', peer: entry.peer })
        out.push({ type: 'relay.lost', peer: entry.peer, reason: 'not needed any more' })
      }
      if (entry.standing === 'held' || entry.standing === 'asking') this.#idle(entry)
    }
  }

  #fill(now: Instant, out: KeeperOutput[]): void {
    while (this.#needed && this.#count('held', 'asking') < KEEPER_LIMITS.wanted) {
      const best = this.#best()
      if (best === undefined) return
      best.standing = 'asking'
      this.#timers.set(best.peer, now + KEEPER_LIMITS.answerMs)
      out.push({ type: 'dial-and-reserve', peer: best.peer })
    }
  }

  #best(): Entry | undefined {
    const taken = this.#with('held', 'asking').flatMap(({ group }) => group ?? [])
    const idle = this.#with('idle')
    if (idle.length === 0) return undefined
    return idle.reduce((a, b) => (cost(b, taken) < cost(a, taken) ? b : a))
  }

  /** The worst of those not in use leaves; gossip never pushes out a bootstrap. */
  #makeRoom(forSource: CandidateSource): boolean {
    if (this.#entries.size < KEEPER_LIMITS.maxCandidates) return true
    const idle = this.#with('idle', 'resting').filter(
      ({ source, served }) => forSource === 'bootstrap' || (source !== 'bootstrap' && !served),
    )
    if (idle.length === 0) return false
    const worst = idle.reduce((a, b) => (cost(b, []) > cost(a, []) ? b : a))
    this.#forget(worst.peer)
    return true
  }

  #count(...standings: Standing[]): number {
    return this.#with(...standings).length
  }

  #with(...standings: Standing[]): Entry[] {
    return [...this.#entries.values()].filter(({ standing }) => standings.includes(standing))
  }
}

/** Milliseconds of round trip, with everything else that matters expressed in them. */
function cost(entry: Entry, taken: string[]): number {
  const distance = entry.rttMs ?? UNMEASURED_MS
  const shared = entry.group !== undefined && taken.includes(entry.group) ? SAME_GROUP_MS : 0
  const bonus = (entry.unlimited === true ? 100 : 0) + (entry.served ? 100 : 0)
  return distance + shared + entry.failures * FAILURE_MS - bonus
}
