import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { Fault } from './codec.ts'
import { limits } from './limits.ts'
import type { Rated } from './limits.ts'
import type { Output } from './outputs.ts'
import type { PeerKey } from './record.ts'

interface Account {
  buckets: Map<Rated, TokenBucket>
  patience: TokenBucket
  /** Strangers that it names. */
  named: TokenBucket
  shunnedUntil: Instant
}

/**
 * What each peer has used up and how it has behaved. Outlives its connections, so that reconnecting buys
 * nothing.
 */
export class Accounts {
  readonly #accounts = new BoundedMap<PeerKey, Account>(limits.accounts)
  /** Until when anybody is: mostly nobody is, and every contact is asked about again and again. */
  #someShunnedUntil: Instant = 0

  /** Whether the peer may have `amount` more of that kind now. */
  admits(peer: PeerKey, kind: Rated, amount: number, now: Instant): boolean {
    const account = this.#of(peer, now)
    const bucket = account.buckets.get(kind) ?? new TokenBucket(limits.rates[kind], now)
    account.buckets.set(kind, bucket)
    if (bucket.take(amount, now)) return true
    this.#charge(account, limits.excessCost, now)
    return false
  }

  /** Whether one more stranger that the peer names is looked at. Naming more is no misbehaviour. */
  heeds(peer: PeerKey, now: Instant): boolean {
    return this.#of(peer, now).named.take(1, now)
  }

  /** Notes bytes that no correct peer sends. */
  fault(peer: PeerKey, fault: Fault, now: Instant, out: Output[]): void {
    this.#charge(this.#of(peer, now), limits.faultCost, now)
    out.push({ type: 'fault', peer, fault })
  }

  isShunned(peer: PeerKey, now: Instant): boolean {
    if (this.#someShunnedUntil <= now) return false
    return (this.#accounts.get(peer)?.shunnedUntil ?? 0) > now
  }

  #charge(account: Account, cost: number, now: Instant): void {
    if (account.patience.take(cost, now)) return
    account.shunnedUntil = now + limits.shunMs
    this.#someShunnedUntil = Math.max(this.#someShunnedUntil, account.shunnedUntil)
  }

  #of(peer: PeerKey, now: Instant): Account {
    const account = this.#accounts.get(peer) ?? {
      buckets: new Map<Rated, TokenBucket>(),
      patience: new TokenBucket(limits.patience, now),
      named: new TokenBucket(limits.named, now),
      shunnedUntil: 0,
    }
    this.#accounts.set(peer, account) // the peer heard of longest ago makes room
    return account
  }
}
