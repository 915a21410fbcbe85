import type { Condition } from '../types.ts'
import type { EventHub } from './event-hub.ts'

/** What is wrong with the node right now, in words an operator can act on. */
export class Conditions {
  readonly #hub: EventHub
  readonly #raised = new Map<string, Condition>()

  constructor(hub: EventHub) {
    this.#hub = hub
  }

  /** Raises the condition, or updates its text; `since` stays the moment it was first raised. */
  raise(condition: Omit<Condition, 'since'>): void {
    const before = this.#raised.get(condition.code)
    if (before !== undefined && before.text === condition.text) return
    const raised = { ...condition, since: before?.since ?? new Date().toISOString() }
    this.#raised.set(condition.code, raised)
    this.#hub.publish({ type: 'condition:raised', condition: raised })
  }

  clear(code: string): void {
    if (this.#raised.delete(code)) this.#hub.publish({ type: 'condition:cleared', code })
  }

  /** Most serious first. */
  list(): Condition[] {
    const weight = { broken: 0, degraded: 1, info: 2 }
    return [...this.#raised.values()].sort((a, b) => weight[a.severity] - weight[b.severity])
  }
}
