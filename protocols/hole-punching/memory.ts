import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import type { RoundMethod } from './codec.ts'
import type { SideFacts } from './facts.ts'
import { LIMITS } from './limits.ts'

/** What worked between two external addresses: another peer behind the same router fares alike. */
export class Memory {
  readonly #worked = new BoundedMap<string, { method: RoundMethod; until: Instant }>(
    LIMITS.memories,
  )

  note(own: SideFacts, peer: SideFacts, method: RoundMethod, now: Instant): void {
    const key = keyOf(own, peer)
    if (key !== undefined) this.#worked.set(key, { method, until: now + LIMITS.memoryMs })
  }

  worked(own: SideFacts, peer: SideFacts, now: Instant): RoundMethod | undefined {
    const key = keyOf(own, peer)
    const known = key === undefined ? undefined : this.#worked.get(key)
    return known !== undefined && known.until > now ? known.method : undefined
  }

  /** Another network is another router. */
  clear(): void {
    this.#worked.clear()
  }
}

function keyOf(own: SideFacts, peer: SideFacts): string | undefined {
  const [mine] = own.external
  const [theirs] = peer.external
  return mine === undefined || theirs === undefined ? undefined : `${mine.ip} ${theirs.ip}`
}
