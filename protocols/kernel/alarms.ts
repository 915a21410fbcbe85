import type { Instant } from './machine.ts'

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
  readonly #at = new Map<Kind, Map<Subject, Instant>>()
  /** The earliest deadline, Infinity without any; undefined when it must be looked for. */
  #next: Instant | undefined = Infinity

  /** Sets a deadline, or moves it. */
  set(kind: Kind, at: Instant, subject: Subject = ''): void {
    let ofKind = this.#at.get(kind)
    if (ofKind === undefined) this.#at.set(kind, (ofKind = new Map()))
    if (this.#next !== undefined && at <= this.#next) this.#next = at
    else if (ofKind.get(subject) === this.#next) this.#next = undefined
    ofKind.set(subject, at)
  }

  clear(kind: Kind, subject: Subject = ''): void {
    const ofKind = this.#at.get(kind)
    if (ofKind === undefined || ofKind.size === 0) return
    if (ofKind.get(subject) === this.#next) this.#next = undefined
    ofKind.delete(subject)
  }

  has(kind: Kind, subject: Subject = ''): boolean {
    return this.#at.get(kind)?.has(subject) === true
  }

  /** The earliest deadline. */
  next(): Instant | undefined {
    this.#next ??= this.#earliest()
    return this.#next === Infinity ? undefined : this.#next
  }

  /** Removes and returns what is due, earliest first. */
  takeDue(now: Instant): Due<Kind>[] {
    const due: (Due<Kind> & { at: Instant })[] = []
    for (const [kind, ofKind] of this.#at) {
      for (const [subject, at] of ofKind) if (at <= now) due.push({ kind, subject, at })
    }
    for (const { kind, subject } of due) this.#at.get(kind)?.delete(subject)
    this.#next = undefined
    return due.sort((a, b) => a.at - b.at)
  }

  #earliest(): Instant {
    let earliest = Infinity
    for (const ofKind of this.#at.values()) {
      if (ofKind.size === 0) continue
      for (const at of ofKind.values()) if (at < earliest) earliest = at
    }
    return earliest
  }
}
