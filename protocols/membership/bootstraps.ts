import { backoffMs } from '../kernel/backoff.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import { limits } from './limits.ts'

interface Bootstrap {
  peer: PeerKey
  /** From the configuration; they stay, for they may be the only ones that work from here. */
  addresses: string[]
  linked: boolean
  /** Failed in a row. */
  tries: number
  failingSince: Instant | undefined
  /** When it is tried next while we need it. */
  urgentAt: Instant
  /** When it is called though we do not. */
  recontactAt: Instant
}

/** The peers a node was configured with: the way in, and the place where halves of a split overlay meet. */
export class Bootstraps {
  readonly #rng: Rng
  readonly #bootstraps = new Map<PeerKey, Bootstrap>()
  #reported = ''
  /** Something happened to one since the last report. */
  #changed = false

  constructor(rng: Rng) {
    this.#rng = rng
  }

  start(named: { peer: PeerKey; addresses: string[] }[], self: PeerKey, at: Instant): void {
    for (const { peer, addresses } of named.slice(0, limits.bootstraps)) {
      if (peer === self) continue
      const next = { urgentAt: at, recontactAt: this.#recontact(at, 0) }
      const state = { linked: false, tries: 0, failingSince: undefined }
      this.#bootstraps.set(peer, { peer, addresses, ...state, ...next })
    }
  }

  addresses(peer: PeerKey): string[] {
    return this.#bootstraps.get(peer)?.addresses ?? []
  }

  has(peer: PeerKey): boolean {
    return this.#bootstraps.has(peer)
  }

  /** Those to be dialled now. */
  due(needy: boolean, now: Instant): PeerKey[] {
    const due: PeerKey[] = []
    for (const one of this.#bootstraps.values()) {
      if (whenDue(one, needy) <= now) due.push(one.peer)
    }
    return due
  }

  /** When the next one is due. */
  nextAt(needy: boolean): Instant {
    let next = Infinity
    for (const one of this.#bootstraps.values()) next = Math.min(next, whenDue(one, needy))
    return next
  }

  /** Returns whether its being there again is a sign that the overlay was split. */
  linked(peer: PeerKey, now: Instant): boolean {
    const one = this.#bootstraps.get(peer)
    if (one === undefined) return false
    this.#changed = true
    const { failingSince } = one
    Object.assign(one, { linked: true, tries: 0, failingSince: undefined })
    return failingSince !== undefined && now - failingSince >= limits.outOfReachMs
  }

  /** Its link ended, though not for a failure of ours. */
  unlinked(peer: PeerKey, size: number, now: Instant): void {
    const one = this.#bootstraps.get(peer)
    if (one === undefined) return
    this.#changed = true
    const urgentAt = now + backoffMs(1, limits.urgentBackoff, this.#rng)
    Object.assign(one, { linked: false, urgentAt, recontactAt: this.#recontact(now, size) })
  }

  failed(peer: PeerKey, size: number, now: Instant): void {
    const one = this.#bootstraps.get(peer)
    if (one === undefined) return
    this.#changed = true
    one.tries++
    one.failingSince ??= now
    one.urgentAt = now + backoffMs(one.tries, limits.urgentBackoff, this.#rng)
    // The first tries follow each other quickly, so that a bootstrap that just starts is not missed.
    one.recontactAt = one.tries < limits.bootstrapTries ? one.urgentAt : this.#recontact(now, size)
  }

  /** Those that cannot be reached, when they are others than at the last call. */
  report(): PeerKey[] | undefined {
    if (!this.#changed) return undefined
    this.#changed = false
    const unreachable = [...this.#bootstraps.values()]
      .filter(({ linked, tries }) => !linked && tries >= limits.bootstrapTries)
      .map(({ peer }) => peer)
    if (unreachable.join() === this.#reported) return undefined
    this.#reported = unreachable.join()
    return unreachable
  }

  /** The larger the overlay, the more rarely each node calls, so that bootstraps are not drowned. */
  #recontact(now: Instant, size: number): Instant {
    const { recontactMs, recontactSpread, recontactsPerS } = limits
    // One of them every ten minutes, in turn.
    const mean = Math.max(
      recontactMs * Math.max(1, this.#bootstraps.size),
      (size / recontactsPerS) * 1000,
    )
    return now + mean * (1 + recontactSpread * (2 * this.#rng() - 1))
  }
}

/** Never while it is linked. */
function whenDue({ linked, urgentAt, recontactAt }: Bootstrap, needy: boolean): Instant {
  if (linked) return Infinity
  return needy ? urgentAt : Math.max(urgentAt, recontactAt)
}
