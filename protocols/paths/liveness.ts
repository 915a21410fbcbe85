import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { Timers } from '../kernel/timers.ts'

export const LIVENESS = {
  /** Home routers forget idle TCP connections after minutes, careless ones after 30 s. */
  hiddenIdleMs: 25_000,
  /** Without a NAT between, only silent death has to be found. */
  publicIdleMs: 60_000,
  /** How long a pong may take: a second for the worst path, the rest for a busy peer. */
  pongMs: 5_000,
  /** Pauses before the second and third ping after a missed one. */
  retryMs: [1_000, 2_000],
  /** Misses that count as one event when we ask whether the fault is our own. */
  windowMs: 15_000,
  /** What a link gets on top when everything falls silent at once: a Wi-Fi roams in less. */
  ownFaultMs: 10_000,
  /** Pings of many links made in one moment drift apart by this much of their interval. */
  jitter: 0.1,
  /** Connections watched; above libp2p's own limit for them. */
  maxLinks: 2_048,
} as const

/** Whether a NAT lies on the way, which would forget an idle connection. */
export type Nature = 'hidden' | 'public'

export type LivenessInput =
  | Tick
  | { type: 'link-up'; link: string; nature: Nature }
  | { type: 'link-down'; link: string }
  /** Bytes or a pong came; need not be told more often than once a second. */
  | { type: 'heard'; link: string }
  /** A ping failed before its time was up. */
  | { type: 'missed'; link: string }

export type LivenessOutput =
  | { type: 'ping'; link: string; timeoutMs: number }
  | { type: 'declare-dead'; link: string; reason: string }
  /** Half of the links fell silent together: our own network is the likely culprit. */
  | { type: 'own-fault'; silent: number; links: number }

interface LinkState {
  nature: Nature
  heardAt: Instant
  /** A ping is out. */
  asked: boolean
  misses: number
  missedAt: Instant | undefined
  /** It was spared once because everything was silent. */
  spared: boolean
}

/** Finds links that died in silence, without killing those that are merely slow. See SPEC.md. */
export class Liveness implements Machine<LivenessInput, LivenessOutput> {
  readonly #rng: Rng
  readonly #links = new Map<string, LinkState>()
  readonly #timers = new Timers<string>()

  constructor(rng: Rng) {
    this.#rng = rng
  }

  step(input: LivenessInput, now: Instant): readonly LivenessOutput[] {
    if (input.type === 'tick')
      return this.#timers.takeDue(now).flatMap((link) => this.#due(link, now))
    if (input.type === 'missed') {
      return this.#links.get(input.link)?.asked === true ? this.#missed(input.link, now) : []
    }
    if (input.type === 'link-up') this.#up(input.link, input.nature, now)
    else if (input.type === 'heard') this.#heard(input.link, now)
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

  #up(link: string, nature: Nature, now: Instant): void {
    if (this.#links.size >= LIVENESS.maxLinks && !this.#links.has(link)) return
    const fresh = { asked: false, misses: 0, missedAt: undefined, spared: false }
    this.#links.set(link, { nature, heardAt: now, ...fresh })
    this.#timers.set(link, now + this.#idle(nature))
  }

  #forget(link: string): void {
    this.#links.delete(link)
    this.#timers.clear(link)
  }

  /** Where no ping is out the alarm stays: it finds out by itself that it came too early. */
  #heard(link: string, now: Instant): void {
    const state = this.#links.get(link)
    if (state === undefined) return
    const disturbed = state.asked || state.misses > 0
    Object.assign(state, {
      heardAt: now,
      asked: false,
      misses: 0,
      missedAt: undefined,
      spared: false,
    })
    if (disturbed) this.#timers.set(link, now + this.#idle(state.nature))
  }

  #due(link: string, now: Instant): LivenessOutput[] {
    const state = this.#links.get(link)
    if (state === undefined) return []
    if (state.asked) return this.#missed(link, now)
    const quietFor = now - state.heardAt
    const patience = this.#patience(state.nature)
    if (state.misses === 0 && quietFor < patience) {
      this.#timers.set(link, state.heardAt + this.#idle(state.nature))
      return []
    }
    state.asked = true
    this.#timers.set(link, now + LIVENESS.pongMs)
    return [{ type: 'ping', link, timeoutMs: LIVENESS.pongMs }]
  }

  #missed(link: string, now: Instant): LivenessOutput[] {
    const state = this.#links.get(link) as LinkState
    state.asked = false
    state.misses++
    state.missedAt = now
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
    this.#forget(link)
    const seconds = Math.round((now - state.heardAt) / 1000)
    const reason = `${state.misses} pings went unanswered; silent for ${seconds} s`
    return [{ type: 'declare-dead', link, reason }]
  }

  /** Links with a missed ping within the window. */
  #silent(now: Instant): number {
    return [...this.#links.values()].filter(
      ({ missedAt }) => missedAt !== undefined && now - missedAt <= LIVENESS.windowMs,
    ).length
  }

  #patience(nature: Nature): number {
    const idle = nature === 'hidden' ? LIVENESS.hiddenIdleMs : LIVENESS.publicIdleMs
    return idle * (1 - LIVENESS.jitter)
  }

  #idle(nature: Nature): number {
    const idle = nature === 'hidden' ? LIVENESS.hiddenIdleMs : LIVENESS.publicIdleMs
    return jittered(idle, LIVENESS.jitter, this.#rng)
  }
}
