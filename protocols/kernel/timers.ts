import type { Instant } from './machine.ts'

/** The named deadlines of one machine. Setting a name again moves it, so a stale alarm cannot exist. */
export class Timers<Name> {
  readonly #at = new Map<Name, Instant>()

  set(name: Name, at: Instant): void {
    this.#at.set(name, at)
  }

  clear(name: Name): void {
    this.#at.delete(name)
  }

  has(name: Name): boolean {
    return this.#at.has(name)
  }

  get(name: Name): Instant | undefined {
    return this.#at.get(name)
  }

  /** The earliest deadline. */
  next(): Instant | undefined {
    let earliest: Instant | undefined
    for (const at of this.#at.values()) if (earliest === undefined || at < earliest) earliest = at
    return earliest
  }

  /** Removes and returns what is due, earliest first. */
  takeDue(now: Instant): Name[] {
    const due = [...this.#at].filter(([, at]) => at <= now).sort((a, b) => a[1] - b[1])
    for (const [name] of due) this.#at.delete(name)
    return due.map(([name]) => name)
  }
}
