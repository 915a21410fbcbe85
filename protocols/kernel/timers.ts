import type { Instant } from './machine.ts'

/** The named deadlines of one machine. Setting a name again moves it, so a stale alarm cannot exist. */
export class Timers<Name> {
  readonly #at = new Map<Name, Instant>()
  /** The earliest deadline, Infinity without any; undefined when it must be looked for. Asked for after every step. */
  #next: Instant | undefined = Infinity

  set(name: Name, at: Instant): void {
    if (this.#next !== undefined && at <= this.#next) this.#next = at
    else if (this.#at.get(name) === this.#next) this.#next = undefined
    this.#at.set(name, at)
  }

  clear(name: Name): void {
    if (this.#at.get(name) === this.#next) this.#next = undefined
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
    this.#next ??= earliest(this.#at.values())
    return this.#next === Infinity ? undefined : this.#next
  }

  /** Removes and returns what is due, earliest first. */
  takeDue(now: Instant): Name[] {
    return this.takeDueWithTimes(now).map(([name]) => name)
  }

  /** The same, each with its deadline. */
  takeDueWithTimes(now: Instant): [Name, Instant][] {
    const due = [...this.#at].filter(([, at]) => at <= now).sort((a, b) => a[1] - b[1])
    for (const [name] of due) this.#at.delete(name)
    this.#next = undefined
    return due
  }
}

function earliest(deadlines: Iterable<Instant>): Instant {
  let least = Infinity
  for (const at of deadlines) if (at < least) least = at
  return least
}
