import type { Instant } from './machine.ts'
import { Timers } from './timers.ts'

/** Whom or what a deadline is about; '' when its kind says it all. */
export type Subject = string | number

/** A deadline that has come. */
export interface Due<Kind> {
  kind: Kind
  subject: Subject
}

/**
 * The deadlines of a machine that deals with many peers, by kind and subject. Like Timers, but no name is put together from
 * parts: a machine of hundreds of steps a minute sets and clears several of them with each.
 */
export class Alarms<Kind> {
  readonly #kinds = new Map<Kind, Timers<Subject>>()

  /** Sets a deadline, or moves it. */
  set(kind: Kind, at: Instant, subject: Subject = ''): void {
    let timers = this.#kinds.get(kind)
    if (timers === undefined) this.#kinds.set(kind, (timers = new Timers()))
    timers.set(subject, at)
  }

  clear(kind: Kind, subject: Subject = ''): void {
    this.#kinds.get(kind)?.clear(subject)
  }

  /** Whatever the subject was due for. */
  clearAll(subject: Subject): void {
    for (const timers of this.#kinds.values()) timers.clear(subject)
  }

  has(kind: Kind, subject: Subject = ''): boolean {
    return this.#kinds.get(kind)?.has(subject) === true
  }

  /** The earliest deadline. */
  next(): Instant | undefined {
    let earliest = Infinity
    for (const timers of this.#kinds.values())
      earliest = Math.min(earliest, timers.next() ?? Infinity)
    return earliest === Infinity ? undefined : earliest
  }

  /** Removes and returns what is due, earliest first. */
  takeDue(now: Instant): Due<Kind>[] {
    const due: (Due<Kind> & { at: Instant })[] = []
    for (const [kind, timers] of this.#kinds) {
      for (const [subject, at] of timers.takeDueWithTimes(now)) due.push({ kind, subject, at })
    }
    return due.sort((a, b) => a.at - b.at)
  }
}
