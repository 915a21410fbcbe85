import { MEMORY } from './limits.ts'

/**
 * The memory that all sessions of a node share. Each direction of a session has a floor that is its own; above it, it may
 * hold a fraction of what is free at that moment. So few sessions get much, many get less each, the sum never exceeds the
 * budget, and whoever comes late still finds something.
 */
export class MemoryBudget {
  #free: number = MEMORY.sharedBytes
  #used = 0

  /** Bytes promised or kept by all accounts. */
  get used(): number {
    return this.#used
  }

  /** Opens the account of one direction of a session. */
  account(): Account {
    return new Account({
      free: () => this.#free,
      move: (used, shared) => {
        this.#used += used
        this.#free -= shared
      },
    })
  }
}

interface Pool {
  free(): number
  /** The account changes by `used`, of which `shared` comes from the pool. */
  move(used: number, shared: number): void
}

/** What one direction of a session holds: windows promised, or bytes kept for sending again. */
export class Account {
  readonly #pool: Pool
  #held = 0

  constructor(pool: Pool) {
    this.#pool = pool
  }

  get held(): number {
    return this.#held
  }

  /** The most this account may hold now. It may hold more from before, which it then must not add to. */
  get allowance(): number {
    const part = Math.floor((this.#pool.free() + above(this.#held)) / MEMORY.share)
    return MEMORY.floorBytes + Math.min(MEMORY.ceilingBytes - MEMORY.floorBytes, part)
  }

  hold(bytes: number): void {
    this.#pool.move(bytes - this.#held, above(bytes) - above(this.#held))
    this.#held = bytes
  }
}

function above(held: number): number {
  return Math.max(0, held - MEMORY.floorBytes)
}
