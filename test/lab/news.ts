/** Lets whoever waits for something know that there is news; what it is, they look up themselves. */
export class News {
  // One for each wait under way, and every wait has a deadline.
  readonly #waiting = new Set<() => void>()

  tell(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Resolves at the next news, or when the time is over. */
  async next(deadlineMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, deadlineMs)
    this.#waiting.add(resolve)
    await promise
    this.#waiting.delete(resolve)
    clearTimeout(timer)
  }
}
