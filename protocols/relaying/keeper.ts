import { Alarms } from '../kernel/alarms.ts'
import { backoffMs } from '../kernel/backoff.ts'
import type { Instant, Machine } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { Candidates, isSound, lagged, measured } from './candidates.ts'
import type { Candidate, Entry, Failure } from './candidates.ts'
import { described } from './keeper-messages.ts'
import type { KeeperInput, KeeperOutput, KeptRelay, TestOutcome } from './keeper-messages.ts'
import { COST, KEEPER_LIMITS } from './limits.ts'

export type { KeeperInput, KeeperOutput, KeptRelay, TestOutcome }

/** What a relay can be due for; `review` belongs to none. */
type Alarm = 'answer' | 'rest' | 'expiry' | 'renew' | 'test' | 'review'

/** Holds reservations at relays while they are needed, tests them, and gets lost ones back. See SPEC.md. */
export class RelayKeeper implements Machine<KeeperInput, KeeperOutput> {
  readonly #rng: Rng
  readonly #candidates = new Candidates()
  readonly #alarms = new Alarms<Alarm>()
  #needed = false

  constructor(rng: Rng) {
    this.#rng = rng
  }

  step(input: KeeperInput, now: Instant): readonly KeeperOutput[] {
    const out: KeeperOutput[] = []
    this.#take(input, now, out)
    if (this.#needed) this.#fill(now, out)
    return out
  }

  nextWake(): Instant | undefined {
    return this.#alarms.next()
  }

  /** What is held or asked for, sound ones first, and what is next in turn. */
  relays(): KeptRelay[] {
    const held = this.#candidates.in('held').sort((a, b) => Number(isSound(b)) - Number(isSound(a)))
    const spare = this.#needed ? this.#candidates.nextInTurn() : undefined
    return [
      ...held.map((each) => described(each, 'held')),
      ...this.#candidates.in('asking').map((each) => described(each, 'reserving')),
      ...(spare === undefined ? [] : [described(spare, 'warm')]),
    ]
  }

  #take(input: KeeperInput, now: Instant, out: KeeperOutput[]): void {
    if (input.type === 'tick') return this.#tick(now, out)
    if (input.type === 'need') return this.#need(input.need, now, out)
    if (input.type === 'candidate') return this.#admit(input)
    const entry = this.#candidates.get(input.peer)
    if (entry === undefined) {
      if (input.type === 'granted') out.push({ type: 'release', peer: input.peer })
      return
    }
    switch (input.type) {
      case 'candidate-gone':
        return this.#gone(entry)
      case 'reached':
        return this.#reached(entry)
      case 'cut':
        return this.#cut(entry, now, out)
      case 'granted':
        return this.#granted(entry, input.until, now, out)
      case 'failed':
        return this.#failed(entry, input.failure, now)
      case 'lost':
        return this.#lost(entry, input.reason, now, out)
      case 'tested':
        return this.#tested(entry, input, now, out)
      case 'measured':
        return measured(entry, input)
    }
  }

  #tick(now: Instant, out: KeeperOutput[]): void {
    for (const { kind, subject } of this.#alarms.takeDue(now)) {
      if (kind === 'review') {
        this.#review(now, out)
        continue
      }
      const entry = this.#candidates.get(String(subject))
      if (entry !== undefined) this.#ring(kind, entry, now, out)
    }
  }

  #ring(alarm: Exclude<Alarm, 'review'>, entry: Entry, now: Instant, out: KeeperOutput[]): void {
    switch (alarm) {
      case 'answer':
        return this.#failed(entry, 'unreachable', now)
      case 'rest':
        if (entry.standing === 'resting') this.#becomes(entry, 'idle')
        return
      case 'expiry':
        return this.#lost(entry, 'it was not renewed in time', now, out)
      case 'renew':
        if (entry.standing !== 'held') return
        out.push({ type: 'renew', peer: entry.peer })
        // Whoever renews answers long before; should the answer be lost, the next try must not be.
        return this.#set('renew', entry, now + KEEPER_LIMITS.renewal.maxMs)
      case 'test':
        if (entry.standing === 'held') this.#test(entry, now, out)
    }
  }

  #need(need: boolean, now: Instant, out: KeeperOutput[]): void {
    if (need === this.#needed) return
    this.#needed = need
    if (need) return this.#alarms.set('review', now + KEEPER_LIMITS.reviewMs)
    this.#alarms.clear('review')
    for (const entry of this.#candidates.in('held')) {
      this.#release(entry, 'not needed any more', out)
    }
    for (const entry of this.#candidates.in('asking', 'reaching')) this.#becomes(entry, 'idle')
  }

  #admit(candidate: Candidate): void {
    const entry = this.#candidates.admit(candidate)
    if (entry === undefined || candidate.connected !== true) return
    if (entry.standing === 'reaching') return this.#reached(entry)
    // It could not be reached or was no relay when we tried, and now it is here and says that it is one.
    if (entry.standing !== 'resting') return
    if (entry.failure === 'refused' || entry.failure === 'silent') return
    if (entry.losses > KEEPER_LIMITS.hastyReturns) return
    entry.failures = 0
    this.#becomes(entry, 'idle')
  }

  /** Forgotten at once, unless it is of use or may be coming back: who restarts says farewell as well. */
  #gone(entry: Entry): void {
    entry.gone = true
    const unused = entry.standing === 'idle' || entry.standing === 'resting'
    if (unused && !entry.served) this.#forget(entry)
  }

  #forget({ peer }: Entry): void {
    this.#candidates.delete(peer)
    this.#alarms.clearAll(peer)
  }

  #reached(entry: Entry): void {
    entry.connected = true
    if (entry.standing === 'reaching') this.#becomes(entry, 'idle')
  }

  #cut(entry: Entry, now: Instant, out: KeeperOutput[]): void {
    entry.connected = false
    if (entry.standing === 'held') this.#lost(entry, 'the connection to it closed', now, out)
    else if (entry.standing === 'asking') this.#failed(entry, 'unreachable', now)
    else if (entry.standing === 'idle' && this.#needed) {
      entry.lostAt = now
      this.#return(entry, now)
    }
  }

  #granted(entry: Entry, until: Instant, now: Instant, out: KeeperOutput[]): void {
    const { peer } = entry
    if (!this.#needed || until <= now) {
      out.push({ type: 'release', peer })
      if (entry.standing === 'asking') this.#becomes(entry, 'idle')
      return
    }
    if (entry.standing === 'held') {
      if (entry.until === until) return
      this.#holds(entry, until, now)
      out.push({ type: 'relay.renewed', peer, until })
      return
    }
    // The stock client also reserves by itself, when somebody comes through a relay that it does not know.
    const asked = entry.standing === 'asking'
    if (!asked && this.#candidates.sound().length >= KEEPER_LIMITS.wanted) {
      out.push({ type: 'release', peer })
      return
    }
    this.#becomes(entry, 'held')
    Object.assign(entry, { heldSince: now, served: true, connected: true, silent: 0 })
    delete entry.provedAt
    this.#holds(entry, until, now)
    out.push({ type: 'relay.held', peer, until })
    this.#test(entry, now, out)
  }

  /** A reservation, new or renewed, and when the next one is due. */
  #holds(entry: Entry, until: Instant, now: Instant): void {
    Object.assign(entry, { until, failures: 0, fading: false })
    const share = (until - now) * KEEPER_LIMITS.renewShare
    const ahead = jittered(Math.min(share, KEEPER_LIMITS.renewAheadMs), 0.1, this.#rng)
    this.#set('renew', entry, until - ahead)
    this.#set('expiry', entry, until)
  }

  #failed(entry: Entry, failure: Failure, now: Instant): void {
    if (entry.standing === 'held') return this.#notRenewed(entry, now)
    if (entry.standing !== 'asking' && entry.standing !== 'reaching') return
    const hasty = entry.lostAt !== undefined && now - entry.lostAt < KEEPER_LIMITS.returnForMs
    if (failure === 'unreachable') {
      entry.connected = false
      if (hasty && entry.losses <= KEEPER_LIMITS.hastyReturns) return this.#return(entry, now)
      if (entry.gone) return this.#forget(entry)
    }
    entry.failures++
    this.#rest(entry, failure, now)
  }

  /** It still keeps its promise, but will not give another: a successor is looked for meanwhile. */
  #notRenewed(entry: Entry, now: Instant): void {
    entry.failures++
    entry.fading = true
    this.#set('renew', entry, now + backoffMs(entry.failures, KEEPER_LIMITS.renewal, this.#rng))
  }

  #lost(entry: Entry, reason: string, now: Instant, out: KeeperOutput[]): void {
    if (entry.standing !== 'held') return
    const steady = now - (entry.heldSince ?? now) >= KEEPER_LIMITS.steadyMs
    entry.losses = steady ? 1 : entry.losses + 1
    entry.lostAt = now
    out.push({ type: 'relay.lost', peer: entry.peer, reason })
    this.#return(entry, now)
  }

  /** Soon again; but who takes us and drops us over and over is met with patience. */
  #return(entry: Entry, now: Instant): void {
    if (entry.losses > KEEPER_LIMITS.hastyReturns) {
      entry.failures = entry.losses - KEEPER_LIMITS.hastyReturns
      return this.#rest(entry, 'unreachable', now)
    }
    this.#becomes(entry, 'resting')
    this.#set('rest', entry, now + jittered(KEEPER_LIMITS.returnMs, 0.4, this.#rng))
  }

  #rest(entry: Entry, failure: Failure, now: Instant): void {
    this.#becomes(entry, 'resting')
    entry.failure = failure
    const times = failure === 'silent' ? entry.silences : entry.failures
    this.#set('rest', entry, now + backoffMs(times, this.#patience(failure), this.#rng))
  }

  #patience(failure: Failure) {
    // Nobody else lets anybody come: it may have forgotten us, or be overloaded.
    const alone = failure === 'silent' && this.#candidates.sound().length === 0
    if (alone) return KEEPER_LIMITS.silentAlone
    return KEEPER_LIMITS[failure === 'unsupported' ? 'refused' : failure]
  }

  #test(entry: Entry, now: Instant, out: KeeperOutput[]): void {
    out.push({ type: 'test', peer: entry.peer })
    // As with renewals: a lost answer must not be the last.
    this.#set('test', entry, now + 2 * KEEPER_LIMITS.testEveryMs)
  }

  #tested(
    entry: Entry,
    { outcome, ms }: { outcome: TestOutcome; ms?: number },
    now: Instant,
    out: KeeperOutput[],
  ): void {
    if (entry.standing !== 'held') return
    if (outcome === 'unclear') {
      entry.unclear++
      return this.#set('test', entry, now + KEEPER_LIMITS.unclearMs)
    }
    entry.unclear = 0
    if (outcome === 'forwards') {
      entry.silent = 0
      entry.silences = 0
      entry.provedAt = now
      if (ms !== undefined) lagged(entry, ms)
      return this.#set('test', entry, now + jittered(KEEPER_LIMITS.testEveryMs, 0.25, this.#rng))
    }
    entry.silent++
    if (entry.silent < KEEPER_LIMITS.silentTests) {
      return this.#set('test', entry, now + KEEPER_LIMITS.retestMs)
    }
    this.#giveUp(entry, now, out)
  }

  /** A relay that failed us while held. */
  #giveUp(entry: Entry, now: Instant, out: KeeperOutput[]): void {
    const silent = entry.silent > 0
    const reason = entry.fading ? 'it would not renew' : 'it lets nobody test it'
    if (silent) entry.silences++
    else entry.failures = Math.max(1, entry.failures)
    this.#release(entry, silent ? 'it passes nothing on' : reason, out)
    entry.served = false
    this.#rest(entry, silent ? 'silent' : 'refused', now)
  }

  #release(entry: Entry, reason: string, out: KeeperOutput[]): void {
    out.push({ type: 'release', peer: entry.peer })
    out.push({ type: 'relay.lost', peer: entry.peer, reason })
    this.#becomes(entry, 'idle')
  }

  /** The only way from one standing to another: what belonged to the old one ends. */
  #becomes(entry: Entry, standing: Entry['standing']): void {
    this.#alarms.clearAll(entry.peer)
    entry.standing = standing
    delete entry.failure
    if (standing === 'held') return
    delete entry.until
    Object.assign(entry, { silent: 0, unclear: 0, fading: false })
  }

  #set(alarm: Alarm, { peer }: Entry, at: Instant): void {
    this.#alarms.set(alarm, at, peer)
  }

  /** Asks as many as are missing, and lets go what has been replaced: make before break. */
  #fill(now: Instant, out: KeeperOutput[]): void {
    while (this.#count('asking') + this.#candidates.sound().length < KEEPER_LIMITS.wanted) {
      const best = this.#candidates.nextInTurn()
      if (best === undefined || !this.#hasRoom()) break
      this.#ask(best, now, out)
    }
    if (this.#candidates.sound().length >= KEEPER_LIMITS.wanted) this.#letGo(now, out)
    this.#reachSpares(now, out)
  }

  #letGo(now: Instant, out: KeeperOutput[]): void {
    for (const entry of this.#candidates.in('held')) {
      if (!isSound(entry)) this.#giveUp(entry, now, out)
    }
    while (this.#candidates.sound().length > KEEPER_LIMITS.wanted) {
      this.#release(this.#candidates.worstHeld().entry, 'another relay took its place', out)
    }
  }

  /** Connections to the next ones in turn, so that a reservation is one round trip away. */
  #reachSpares(now: Instant, out: KeeperOutput[]): void {
    const missing = KEEPER_LIMITS.wanted - this.#candidates.sound().length - this.#count('asking')
    const wanted = Math.max(missing, 0) + KEEPER_LIMITS.warm
    while (this.#candidates.spares().length + this.#count('reaching') < wanted) {
      const idle = this.#candidates.in('idle').filter(({ connected }) => connected !== true)
      const best = this.#candidates.cheapest(idle, this.#candidates.groups())
      if (best === undefined) return
      this.#becomes(best, 'reaching')
      this.#set('answer', best, now + KEEPER_LIMITS.reachMs)
      out.push({ type: 'reach', peer: best.peer })
    }
  }

  #ask(entry: Entry, now: Instant, out: KeeperOutput[]): void {
    this.#becomes(entry, 'asking')
    this.#set('answer', entry, now + KEEPER_LIMITS.answerMs)
    out.push({ type: 'reserve', peer: entry.peer })
  }

  /** Whether the spare one is better by far than the worst that is held; both must have been measured. */
  #review(now: Instant, out: KeeperOutput[]): void {
    this.#alarms.set('review', now + KEEPER_LIMITS.reviewMs)
    if (this.#candidates.sound().length < KEEPER_LIMITS.wanted || !this.#hasRoom()) return
    const { entry: worst, cost: before } = this.#candidates.worstHeld()
    const taken = this.#candidates.groups(worst)
    const spares = this.#candidates.spares().filter(({ rttMs }) => rttMs !== undefined)
    const best = this.#candidates.cheapest(spares, taken)
    if (best === undefined || worst.rttMs === undefined) return
    const after = this.#candidates.cost(best, taken)
    if (after < before * COST.betterShare && before - after >= COST.betterMs) {
      this.#ask(best, now, out)
    }
  }

  #count(...standings: Entry['standing'][]): number {
    return this.#candidates.in(...standings).length
  }

  #hasRoom(): boolean {
    return this.#count('held', 'asking') < KEEPER_LIMITS.most
  }
}
