import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'

export const KEEP_ALIVE = {
  /** Where learning begins. Home routers forget idle TCP connections after minutes, careless ones after 30 s. */
  firstMs: 24_000,
  /** RFC 5382 asks for two hours and four minutes; beyond five minutes there is nothing to be learnt that matters. */
  mostMs: 300_000,
  /** No NAT in use forgets sooner; if one did, its links would have to be busy to live. */
  leastMs: 10_000,
  /** A trial risks one link, so it goes a small step beyond what is known to be safe. */
  growth: 1.5,
  /** Pings are spread, so links are idle for up to this much longer than the interval; a trial has to cover that. */
  spread: 1.1,
  /** Of the shortest time after which a link was dead: below half, so that one lost ping does no harm. */
  belowDeath: 0.45,
  /** A death seen this long ago may have had another reason, or the router has been replaced. */
  deathCountsMs: 24 * 3_600_000,
  /** Networks remembered: home, work and a few on the way. */
  networks: 16,
} as const

/** What is known of the network that the node is in. */
export interface Learnt {
  /** How long a link may be idle before it is pinged. */
  intervalMs: number
  longestAliveMs: number
  /** Undefined while no link was lost to idleness. */
  shortestDeadMs: number | undefined
}

interface Network extends Learnt {
  diedAt: Instant
}

/** Learns for each own network how long an idle link survives there. See SPEC.md section 2. */
export class KeepAlive {
  readonly #networks = new BoundedMap<string, Network>(KEEP_ALIVE.networks)
  #current: Network = unknownNetwork()

  /** The node is behind this external address now. */
  moved(network: string): void {
    this.#current = this.#networks.get(network) ?? unknownNetwork()
    this.#networks.set(network, this.#current)
  }

  learnt(): Learnt {
    const { intervalMs, longestAliveMs, shortestDeadMs } = this.#current
    return { intervalMs, longestAliveMs, shortestDeadMs }
  }

  intervalMs(): number {
    return this.#current.intervalMs
  }

  /** How long one spare link should stay idle to learn more; undefined when there is nothing more to learn. */
  trialMs(now: Instant): number | undefined {
    this.#forgetOldDeath(now)
    const { intervalMs } = this.#current
    const next = Math.min(intervalMs * KEEP_ALIVE.growth, this.#ceiling() * KEEP_ALIVE.spread)
    return next / KEEP_ALIVE.spread > intervalMs + 1 ? next : undefined // a millisecond is no gain
  }

  /** A link was alive after having been idle for so long. */
  survived(idleMs: number): void {
    this.#current.longestAliveMs = Math.max(this.#current.longestAliveMs, idleMs)
  }

  /** The link on trial was alive after having been idle for so long: from now on all may be. */
  trialSurvived(idleMs: number): void {
    this.survived(idleMs)
    const safe = Math.min(idleMs / KEEP_ALIVE.spread, this.#ceiling())
    this.#current.intervalMs = Math.max(this.#current.intervalMs, safe)
  }

  /** A link was dead after having been idle for so long, though both sides lived. True when the interval fell. */
  died(idleMs: number, now: Instant): boolean {
    const known = this.#current
    known.shortestDeadMs = Math.min(known.shortestDeadMs ?? Infinity, idleMs)
    known.diedAt = now
    const before = known.intervalMs
    known.intervalMs = Math.min(before, this.#ceiling())
    return known.intervalMs < before
  }

  #ceiling(): number {
    const { shortestDeadMs = Infinity } = this.#current
    const safe = Math.min(shortestDeadMs * KEEP_ALIVE.belowDeath, KEEP_ALIVE.mostMs)
    return Math.max(safe, KEEP_ALIVE.leastMs)
  }

  #forgetOldDeath(now: Instant): void {
    const known = this.#current
    if (known.shortestDeadMs === undefined) return
    if (now - known.diedAt >= KEEP_ALIVE.deathCountsMs) known.shortestDeadMs = undefined
  }
}

function unknownNetwork(): Network {
  return {
    intervalMs: KEEP_ALIVE.firstMs,
    longestAliveMs: 0,
    shortestDeadMs: undefined,
    diedAt: -Infinity,
  }
}
