import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { Timers } from '../kernel/timers.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import { KeepAlive } from './keep-alive.ts'
import type { Learnt } from './keep-alive.ts'

export const LIVENESS = {
  /** Links are not left idle for longer, whatever the NAT allows: half of silent deaths shall be found within 20 s. */
  idleMs: 24_000,
  /** How long a pong may take: a second for the worst path, the rest for what TCP sends again and a busy peer. */
  pongMs: 3_000,
  /** A link on which a flow of data has stopped is asked with less patience: twice this. */
  suspectPongMs: 2_000,
  /** Links that are asked as well when such a one was dead: our own network may be another one now. */
  suspectsAtOnce: 16,
  /** Pause before the second ping after a missed one; on TCP a third would learn nothing that the second did not. */
  retryMs: [1_000],
  /** Misses that count as one event when we ask whether the fault is our own. */
  windowMs: 15_000,
  /** What a link gets on top when everything falls silent at once: a Wi-Fi roams in less. */
  ownFaultMs: 10_000,
  /** Pings of many links made in one moment drift apart by this much of their interval. */
  jitter: 0.1,
  /** Connections watched; above libp2p's own limit for them. */
  maxLinks: 2_048,
  /** First pings in a second: as many as `maxLinks` need every 24 s, and a quarter more. */
  pings: { burst: 20, perSecond: 100 },
  /** A ping beyond that waits this long. */
  pingPauseMs: 500,
  /** A peer heard of within this time after its link fell silent was alive all the while: its NAT or ours forgot the link. */
  aliveAgainMs: 60_000,
  /** Silent deaths waiting for such news. */
  maxSilent: 64,
} as const

/** Whether a NAT lies on the way, which would forget an idle connection. */
export type Nature = 'hidden' | 'public'

export type LivenessInput =
  | Tick
  /** `from`: the peer's IP address; left out where a relay is in between. */
  | { type: 'link-up'; link: string; nature: Nature; peer?: string; from?: string }
  | { type: 'link-down'; link: string }
  /** A pong came, or bytes did `at` that time; need not be told of every byte. */
  | { type: 'heard'; link: string; at?: Instant }
  /** A ping failed before its time was up. */
  | { type: 'missed'; link: string }
  /** Data flowed and has stopped, or the peer has come to us by another way. */
  | { type: 'suspect'; link: string }
  /** The external address that we are behind now. */
  | { type: 'network'; address: string }

export type LivenessOutput =
  | { type: 'ping'; link: string; timeoutMs: number }
  | { type: 'declare-dead'; link: string; reason: string }
  /** Half of the links fell silent together: our own network is the likely culprit. */
  | { type: 'own-fault'; silent: number; links: number }

interface LinkState {
  nature: Nature
  peer: string | undefined
  from: string | undefined
  upAt: Instant
  heardAt: Instant
  /** A ping is out. */
  asked: boolean
  misses: number
  missedAt: Instant | undefined
  /** It was spared once because everything was silent. */
  spared: boolean
  suspected: boolean
  /** How long it had been idle when it was asked. */
  idleMs: number
}

/** A link that was found dead after so much idleness. */
interface Silent {
  idleMs: number
  from: string | undefined
  heardAt: Instant
  at: Instant
}

/** Finds links that died in silence, without killing those that are merely slow. See SPEC.md. */
export class Liveness implements Machine<LivenessInput, LivenessOutput> {
  readonly #rng: Rng
  readonly #isSpare: (link: string) => boolean
  readonly #links = new Map<string, LinkState>()
  readonly #timers = new Timers<string>()
  readonly #keepAlive = new KeepAlive()
  readonly #silentPeers = new BoundedMap<string, Silent>(LIVENESS.maxSilent)
  #pings: TokenBucket | undefined
  /** The link that stays idle longer than the others, so that something is learnt. */
  #trial: { link: string; idleMs: number } | undefined

  /** `isSpare` tells which links may be lost to learning: never one that others reach us by. */
  constructor(rng: Rng, isSpare: (link: string) => boolean = () => false) {
    this.#rng = rng
    this.#isSpare = isSpare
  }

  step(input: LivenessInput, now: Instant): readonly LivenessOutput[] {
    if (input.type === 'tick')
      return this.#timers.takeDue(now).flatMap((link) => this.#due(link, now))
    if (input.type === 'missed') {
      return this.#links.get(input.link)?.asked === true ? this.#missed(input.link, now) : []
    }
    if (input.type === 'suspect') return this.#suspect(input.link, now)
    if (input.type === 'network') this.#moved(input.address, now)
    else if (input.type === 'link-up') this.#up(input, now)
    else if (input.type === 'heard') this.#heard(input.link, Math.min(input.at ?? now, now), now)
    else this.#forget(input.link)
    return []
  }

  nextWake(): Instant | undefined {
    return this.#timers.next()
  }

  /** When a link was last heard of. */
  heardAt(link: string): Instant | undefined {
    return this.#links.get(link)?.heardAt
  }

  /** How long links may be idle in the network we are in, and why. */
  learnt(): Learnt {
    return this.#keepAlive.learnt()
  }

  #up(input: LivenessInput & { type: 'link-up' }, now: Instant): void {
    const { link, nature, peer, from } = input
    if (this.#links.size >= LIVENESS.maxLinks && !this.#links.has(link)) return
    const fresh = { asked: false, misses: 0, missedAt: undefined, spared: false, suspected: false }
    const state = { nature, peer, from, upAt: now, heardAt: now, idleMs: 0, ...fresh }
    this.#links.set(link, state)
    this.#timers.set(link, now + this.#idle(nature))
    this.#aliveAgain(state, now)
  }

  #forget(link: string): void {
    this.#links.delete(link)
    this.#timers.clear(link)
    if (this.#trial?.link === link) this.#trial = undefined
  }

  #moved(address: string, now: Instant): void {
    this.#keepAlive.moved(address)
    this.#trial = undefined
    this.#silentPeers.clear()
    this.#hurry(now)
  }

  /** The interval may have become shorter: alarms that were set for a longer one come earlier. */
  #hurry(now: Instant): void {
    for (const [link, { nature, heardAt, asked, misses }] of this.#links) {
      if (asked || misses > 0) continue
      const at = Math.max(now, heardAt + this.#idle(nature))
      if (at < (this.#timers.get(link) ?? Infinity)) this.#timers.set(link, at)
    }
  }

  /**
   * The peer of a link that died in silence lives, and has not moved: another link of the same time is alive, or it is back
   * at the same address. Then it was idleness that killed the link.
   */
  #aliveAgain({ peer, from, upAt }: LinkState, now: Instant): void {
    const silent = peer === undefined ? undefined : this.#silentPeers.get(peer)
    if (peer === undefined || silent === undefined) return
    const stayed = upAt <= silent.heardAt || (from !== undefined && from === silent.from)
    if (!stayed) return
    this.#silentPeers.delete(peer)
    if (now - silent.at > LIVENESS.aliveAgainMs) return
    if (this.#keepAlive.died(silent.idleMs, now)) this.#hurry(now)
  }

  /** Where no ping is out the alarm stays: it finds out by itself that it came too early. */
  #heard(link: string, at: Instant, now: Instant): void {
    const state = this.#links.get(link)
    if (state === undefined) return
    const disturbed = state.asked || state.misses > 0
    this.#aliveAgain(state, now)
    if (disturbed) this.#survived(link, state)
    Object.assign(state, {
      heardAt: Math.max(state.heardAt, at),
      asked: false,
      misses: 0,
      missedAt: undefined,
      spared: false,
      suspected: false,
    })
    if (disturbed) this.#timers.set(link, Math.max(now, at + this.#idle(state.nature)))
  }

  #survived(link: string, { nature, idleMs }: LinkState): void {
    const onTrial = this.#trial?.link === link
    if (onTrial) this.#trial = undefined
    if (nature !== 'hidden') return
    if (onTrial) this.#keepAlive.trialSurvived(idleMs)
    else this.#keepAlive.survived(idleMs)
  }

  #due(link: string, now: Instant): LivenessOutput[] {
    const state = this.#links.get(link)
    if (state === undefined) return []
    if (state.asked) return this.#missed(link, now)
    const quietFor = now - state.heardAt
    if (state.misses === 0) {
      const later = this.#tooEarly(link, state, quietFor, now)
      if (later !== undefined) {
        this.#timers.set(link, later)
        return []
      }
      state.idleMs = quietFor
    }
    return this.#ask(link, state, now)
  }

  #ask(link: string, state: LinkState, now: Instant): LivenessOutput[] {
    const timeoutMs = state.suspected ? LIVENESS.suspectPongMs : LIVENESS.pongMs
    state.asked = true
    this.#timers.set(link, now + timeoutMs)
    return [{ type: 'ping', link, timeoutMs }]
  }

  #suspect(link: string, now: Instant): LivenessOutput[] {
    const state = this.#links.get(link)
    if (state === undefined || state.suspected) return []
    state.suspected = true
    // A ping that is out may have left before the path broke, so its patience is not for us.
    state.misses = 0
    return this.#ask(link, state, now)
  }

  /** When to look at the link again instead of pinging it; undefined when it should be pinged. */
  #tooEarly(link: string, state: LinkState, quietFor: number, now: Instant): Instant | undefined {
    const { nature, heardAt } = state
    if (quietFor < this.#patience(nature)) {
      if (this.#trial?.link === link) this.#trial = undefined // too busy to learn from
      return heardAt + this.#idle(nature)
    }
    const trialMs = nature === 'hidden' ? this.#trialFor(link, now) : undefined
    // The very sum that set the alarm: a difference could be rounded to less, and the alarm be set for now again and again.
    if (trialMs !== undefined && now < heardAt + trialMs) return heardAt + trialMs
    this.#pings ??= new TokenBucket(LIVENESS.pings, now)
    if (this.#pings.take(1, now)) return undefined
    return now + jittered(LIVENESS.pingPauseMs, 0.5, this.#rng)
  }

  /** How long this link stays idle as the one on trial. */
  #trialFor(link: string, now: Instant): number | undefined {
    if (this.#trial !== undefined) {
      return this.#trial.link === link ? this.#trial.idleMs : undefined
    }
    const idleMs = this.#keepAlive.trialMs(now)
    if (idleMs === undefined || !this.#isSpare(link)) return undefined
    this.#trial = { link, idleMs }
    return idleMs
  }

  #missed(link: string, now: Instant): LivenessOutput[] {
    const state = this.#links.get(link) as LinkState
    state.asked = false
    state.misses++
    state.missedAt = now
    if (state.suspected) {
      return state.misses === 1 ? this.#ask(link, state, now) : this.#deadAfterAll(link, state, now)
    }
    const pause = LIVENESS.retryMs[state.misses - 1]
    if (pause !== undefined) {
      this.#timers.set(link, now + pause)
      return []
    }
    const silent = this.#silent(now)
    const links = this.#links.size
    if (!state.spared && silent >= 2 && silent * 2 >= links) {
      state.spared = true
      this.#timers.set(link, now + LIVENESS.ownFaultMs)
      return [{ type: 'own-fault', silent, links }]
    }
    this.#mourn(state, now)
    return [this.#dead(link, state, now)]
  }

  #dead(link: string, state: LinkState, now: Instant): LivenessOutput {
    this.#forget(link)
    const seconds = Math.round((now - state.heardAt) / 1000)
    const reason = `${state.misses} pings went unanswered; silent for ${seconds} s`
    return { type: 'declare-dead', link, reason }
  }

  /** It was no idle link that a NAT forgot: others may have gone the same way, those to relays among them. */
  #deadAfterAll(link: string, state: LinkState, now: Instant): LivenessOutput[] {
    const dead = this.#dead(link, state, now)
    const others = [...this.#links].filter(
      ([, one]) => !one.suspected && one.heardAt < now - LIVENESS.suspectPongMs,
    )
    const asked = others.slice(0, LIVENESS.suspectsAtOnce)
    return [dead, ...asked.flatMap(([other]) => this.#suspect(other, now))]
  }

  /** Idleness is the suspect; another link to the peer will tell. */
  #mourn({ nature, peer, from, idleMs, heardAt }: LinkState, now: Instant): void {
    if (nature !== 'hidden' || peer === undefined) return
    this.#silentPeers.set(peer, { idleMs, from, heardAt, at: now })
  }

  /** Links with a missed ping within the window. */
  #silent(now: Instant): number {
    return [...this.#links.values()].filter(
      ({ missedAt }) => missedAt !== undefined && now - missedAt <= LIVENESS.windowMs,
    ).length
  }

  #patience(nature: Nature): number {
    return this.#interval(nature) * (1 - LIVENESS.jitter)
  }

  #idle(nature: Nature): number {
    return jittered(this.#interval(nature), LIVENESS.jitter, this.#rng)
  }

  #interval(nature: Nature): number {
    const allowed = nature === 'hidden' ? this.#keepAlive.intervalMs() : Infinity
    return Math.min(allowed, LIVENESS.idleMs)
  }
}
