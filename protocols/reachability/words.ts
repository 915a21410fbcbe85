import { networksOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Endpoint } from './types.ts'
import { LIMITS } from './limits.ts'
import { Remembered } from './remembered.ts'

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

/** Who got in and who did not, network by network. */
export class Words extends Remembered<Word> {
  /** The newest word of a network replaces its older one. */
  add(fromIp: string, word: Omit<Word, 'network'>): void {
    const network = networksOf(fromIp)?.narrow
    if (network === undefined) return
    const key = `${word.kind} ${network} ${questionOf(word)}`
    const before = this.get(key)
    // Who came in before and does not say where came by the same way, as far as anybody can tell.
    const keptPlace = word.door === '' && before?.ok === true
    this.put(key, { ...word, ...(keptPlace && placeOf(before)), network })
  }

  /** What was said of a way in that is no more. */
  dropDoor(door: string): void {
    this.drop((word) => word.door === door)
  }

  /** This network got in by this way before, and does not any more. */
  retract(fromIp: string, door: string): void {
    const network = networksOf(fromIp)?.narrow
    this.drop((word) => word.ok && word.network === network && word.door === door)
  }

  /** Who got in, unless that was refuted since. */
  good(): Word[] {
    return this.all().filter((word) => word.ok && !this.#isRefuted(word))
  }

  /** Who did not. */
  bad(): Word[] {
    return this.all().filter(({ ok }) => !ok)
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
}

/**
 * Of probes each way in is a question of its own, and who came in is not unsaid by who says that nobody does: the one was seen
 * here, and the other is a word. Of AutoNAT's each way in is one, and of strangers that come by themselves only the newest counts.
 */
function questionOf({ kind, door, other, ok }: Omit<Word, 'network'>): string {
  if (kind === 'inbound') return ''
  return kind === 'probe' ? `${door} ${other} ${ok}` : door
}

function placeOf({ door, via }: Word): Pick<Word, 'door' | 'via'> {
  return { door, ...(via !== undefined && { via }) }
}

/** Several networks, or a helper that the operator chose: a small overlay has no other. */
export function areEnough(failures: Word[]): boolean {
  return networksIn(failures) >= LIMITS.failuresToDoubt || failures.some(({ trusted }) => trusted)
}

/** How many networks these come from. */
export function networksIn(words: Word[]): number {
  return new Set(words.map(({ network }) => network)).size
}
