import type { Instant } from '../kernel/machine.ts'
import { Timers } from '../kernel/timers.ts'

/** What a relay can be due for. */
export type Alarm = 'answer' | 'rest' | 'expiry' | 'renew' | 'test'

/** `review` belongs to no relay. */
export type Due = { alarm: Alarm; peer: string } | { alarm: 'review' }

const ALARMS: readonly Alarm[] = ['answer', 'rest', 'expiry', 'renew', 'test']
const REVIEW = 'review'

/** The alarms of a relay keeper: a few for each relay, one for all. */
export class Alarms {
  readonly #timers = new Timers<string>()

  set(alarm: Alarm, peer: string, at: Instant): void {
    this.#timers.set(`${alarm} ${peer}`, at)
  }

  setReview(at: Instant | undefined): void {
    if (at === undefined) this.#timers.clear(REVIEW)
    else this.#timers.set(REVIEW, at)
  }

  /** Whatever the relay was due for. */
  clear(peer: string): void {
    for (const alarm of ALARMS) this.#timers.clear(`${alarm} ${peer}`)
  }

  next(): Instant | undefined {
    return this.#timers.next()
  }

  takeDue(now: Instant): Due[] {
    return this.#timers.takeDue(now).map((name) => {
      if (name === REVIEW) return { alarm: 'review' }
      const [alarm, peer] = name.split(' ') as [Alarm, string]
      return { alarm, peer }
    })
  }
}
