import type { Instant } from '../kernel/machine.ts'
import { COST, KEEPER_LIMITS } from './limits.ts'

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
  /** Which share of its slots is free, as it says. */
  free?: number
  /** There is a direct connection to it, and it is known to speak the relay protocol now. */
  connected?: boolean
}

/** `silent`: it grants reservations and passes nothing on. */
export type Failure = 'refused' | 'unsupported' | 'unreachable' | 'silent'

export type Standing = 'idle' | 'reaching' | 'asking' | 'held' | 'resting'

/** A candidate and what came of it. */
export interface Entry extends Candidate {
  standing: Standing
  failures: number
  /** Why it rests. */
  failure?: Failure
  until?: Instant
  heldSince?: Instant
  lostAt?: Instant
  /** Losses in a row, each soon after a grant. */
  losses: number
  /** It served us before: it is asked first. */
  served: boolean
  /** Nobody names it any more: it is forgotten when it cannot be reached. */
  gone: boolean
  /** Failed tests in a row while held. */
  silent: number
  /** Tests in a row that said nothing. */
  unclear: number
  /** How often in a row it was given up for them; a grant does not clear it, as it grants readily. */
  silences: number
  /** When a test last came through. */
  provedAt?: Instant
  /** It would not renew, and so ends at `until`. */
  fading: boolean
  /** Round trip from it to the peers that we meet through it. */
  beyondMs?: number
  /** What a test took longer than its round trips: how busy it is. */
  lagMs: number
}

/** Candidates for relays, at most so many, and which of them is best. */
export class Candidates {
  readonly #entries = new Map<string, Entry>()

  get(peer: string): Entry | undefined {
    return this.#entries.get(peer)
  }

  delete(peer: string): void {
    this.#entries.delete(peer)
  }

  all(): Entry[] {
    return [...this.#entries.values()]
  }

  in(...standings: Standing[]): Entry[] {
    return this.all().filter(({ standing }) => standings.includes(standing))
  }

  /** Takes in what is said of a relay; undefined when there is no room for it. */
  admit(candidate: Candidate): Entry | undefined {
    const known = this.#entries.get(candidate.peer)
    if (known !== undefined) {
      const source = known.source === 'bootstrap' ? 'bootstrap' : candidate.source
      return Object.assign(known, candidate, { source, gone: false })
    }
    if (!this.#makeRoom(candidate.source)) return undefined
    const fresh: Entry = {
      ...candidate,
      standing: 'idle',
      failures: 0,
      losses: 0,
      served: false,
      gone: false,
      silent: 0,
      silences: 0,
      unclear: 0,
      fading: false,
      lagMs: 0,
    }
    this.#entries.set(candidate.peer, fresh)
    return fresh
  }

  /** Connected, and not in use: the next ones in turn. */
  spares(): Entry[] {
    return this.in('idle').filter(({ connected }) => connected === true)
  }

  /** Held, and nothing speaks against them. */
  sound(): Entry[] {
    return this.in('held').filter(isSound)
  }

  /** The one of the sound ones that is missed least; there must be one. */
  worstHeld(): { entry: Entry; cost: number } {
    return this.sound()
      .map((entry) => ({ entry, cost: this.cost(entry, this.groups(entry)) }))
      .reduce((a, b) => (b.cost > a.cost ? b : a))
  }

  /** Networks of the relays that are in use or asked, except for that of `but`. */
  groups(but?: Entry): string[] {
    return this.in('held', 'asking').flatMap((each) => (each === but ? [] : (each.group ?? [])))
  }

  /** What is asked next when a relay is missing. */
  nextInTurn(): Entry | undefined {
    return this.cheapest(this.spares(), this.groups())
  }

  /** The best of these, beside relays in the networks `taken`. */
  cheapest(entries: readonly Entry[], taken: readonly string[]): Entry | undefined {
    return this.#ranked(entries, taken)[0]
  }

  /** The best first. */
  #ranked(entries: readonly Entry[], taken: readonly string[]): Entry[] {
    const beyond = this.#usualBeyond()
    return entries
      .map((entry) => ({ entry, cost: this.cost(entry, taken, beyond) }))
      .sort((a, b) => a.cost - b.cost)
      .map(({ entry }) => entry)
  }

  /** The sum of the round trips of a relayed path, with everything else that matters expressed in them. */
  cost(entry: Entry, taken: readonly string[], usualBeyond = this.#usualBeyond()): number {
    const sum = (entry.rttMs ?? COST.unmeasuredMs) + (entry.beyondMs ?? usualBeyond)
    const shared = entry.group !== undefined && taken.includes(entry.group) ? COST.sameGroupMs : 0
    const tries = entry.failures + entry.silences
    const bonus = (entry.unlimited === true ? COST.bonusMs : 0) + (entry.served ? COST.bonusMs : 0)
    return sum + entry.lagMs + crowd(entry) + shared + tries * COST.failureMs - bonus
  }

  /** What lies beyond those that were not measured: the peers are the same, so the mean of the others. */
  #usualBeyond(): number {
    const known = this.all().flatMap(({ beyondMs }) => beyondMs ?? [])
    if (known.length === 0) return COST.beyondMs
    return known.reduce((a, b) => a + b, 0) / known.length
  }

  /** The worst of those not in use leaves; gossip never pushes out a bootstrap. */
  #makeRoom(forSource: CandidateSource): boolean {
    if (this.#entries.size < KEEPER_LIMITS.maxCandidates) return true
    const idle = this.in('idle', 'resting').filter(
      ({ source, served }) => forSource === 'bootstrap' || (source !== 'bootstrap' && !served),
    )
    const worst = this.#ranked(idle, []).at(-1)
    if (worst === undefined) return false
    this.delete(worst.peer)
    return true
  }
}

function crowd({ free }: Entry): number {
  if (free === undefined || free >= 0.25) return 0
  return free <= 0 ? COST.fullMs : COST.nearlyFullMs
}

/** Whether it is held and nothing speaks against it. */
export function isSound({ standing, silent, unclear, fading }: Entry): boolean {
  const tested = silent === 0 && unclear < KEEPER_LIMITS.unclearTests
  return standing === 'held' && tested && !fading
}

/** What a test took: its question and its answer pass the relay once each, which is two round trips. */
export function lagged(entry: Entry, ms: number): void {
  if (entry.rttMs === undefined) return
  entry.lagMs = smooth(entry.lagMs, Math.max(0, ms - 2 * entry.rttMs))
}

/** Takes round trips into account: to the relay, or through it to a peer and back. */
export function measured(
  entry: Entry,
  { rttMs, pathMs }: { rttMs?: number; pathMs?: number },
): void {
  if (rttMs !== undefined) entry.rttMs = smooth(entry.rttMs, rttMs)
  if (pathMs === undefined || entry.rttMs === undefined) return
  entry.beyondMs = smooth(entry.beyondMs, Math.max(0, pathMs - entry.rttMs))
}

/** One slow answer is no habit. */
function smooth(before: number | undefined, now: number): number {
  return before === undefined ? now : before * 0.7 + now * 0.3
}
