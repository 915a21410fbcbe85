import { networksOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Endpoint } from './evidence.ts'
import { LIMITS } from './limits.ts'

/** Where somebody said, or showed, whether this node can be reached. */
export type WordKind = 'inbound' | 'probe' | 'autonat'

/** The way in by the port that is listened on, wherever others see it. */
export const LISTENING = 'listening'

/** One network's newest word of a kind, about one endpoint. */
export interface Word {
  kind: WordKind
  ok: boolean
  /** From an address that this node has not talked to, so that no NAT let it in for that reason. */
  stranger: boolean
  /** A helper of the operator's choosing said so. */
  trusted: boolean
  /** A third peer dialled for the one whose word it is. */
  other: boolean
  /** Which way in it is about: `listening`, or the `ip:port` outside; empty where that is not known. */
  door: string
  /** The endpoint that was dialled, by the word of whoever got in. */
  via?: Endpoint
  network: string
  at: Instant
}

/** Who got in and who did not, network by network. Bounded; the oldest makes room. */
export class Words {
  readonly #words = new Map<string, Word>()

  /** The newest word of a network replaces its older one. */
  add(fromIp: string, word: Omit<Word, 'network'>): void {
    const network = networksOf(fromIp)?.narrow
    if (network === undefined) return
    // Of probes each way in is a question of its own, and who came in is not unsaid by who says that nobody does: the one
    // was seen here, and the other is a word. Of the rest only the newest counts.
    const question = word.kind === 'probe' ? `${word.door} ${word.other} ${word.ok}` : ''
    const key = `${word.kind} ${network} ${question}`
    this.#words.delete(key)
    const oldest = this.#words.keys().next().value
    if (this.#words.size >= LIMITS.maxEvidence && oldest !== undefined) this.#words.delete(oldest)
    this.#words.set(key, { ...word, network })
  }

  expire(now: Instant): void {
    this.#drop(({ at }) => now >= at + LIMITS.evidenceMs)
  }

  nextExpiry(): Instant | undefined {
    const times = [...this.#words.values()].map(({ at }) => at)
    return times.length === 0 ? undefined : Math.min(...times) + LIMITS.evidenceMs
  }

  /** What was said of a way in that is no more. */
  dropDoor(door: string): void {
    this.#drop((word) => word.door === door)
  }

  clear(): void {
    this.#words.clear()
  }

  /** Who got in, unless that was refuted since. */
  good(): Word[] {
    return [...this.#words.values()].filter((word) => word.ok && !this.#isRefuted(word))
  }

  /** Who did not. */
  bad(): Word[] {
    return [...this.#words.values()].filter(({ ok }) => !ok)
  }

  /**
   * The way in is closed again when several networks' probes failed at it since: later than one round of
   * questions takes, in which a single liar may contradict the others.
   */
  #isRefuted({ at, door }: Word): boolean {
    if (door === '') return false
    const later = this.bad().filter(
      (word) => word.kind === 'probe' && word.door === door && word.at > at + LIMITS.roundMs,
    )
    return areEnough(later)
  }

  #drop(unwanted: (word: Word) => boolean): void {
    for (const [key, word] of this.#words) if (unwanted(word)) this.#words.delete(key)
  }
}

/** Several networks, or a helper that the operator chose: a small overlay has no other. */
export function areEnough(failures: Word[]): boolean {
  return networksIn(failures) >= LIMITS.failuresToDoubt || failures.some(({ trusted }) => trusted)
}

/** How many networks these come from. */
export function networksIn(words: Word[]): number {
  return new Set(words.map(({ network }) => network)).size
}
