import type { BookEntry } from './address-book.ts'
import { offers } from './answers.ts'
import { limits } from './limits.ts'
import type { FrameOf } from './messages.ts'
import type { PeerKey } from './record.ts'

/** What is looked for: one peer, or whoever offers something. */
export type Wanted =
  | { peer: PeerKey }
  | { search: number; service: string; relay: boolean; found: Set<PeerKey> }

export interface Question {
  wanted: Wanted
  /** Answers still to come from those we asked directly. */
  left: number
  /** Whether those we asked pass it on: then the answer may come from anybody, until the time is over. */
  passedOn: boolean
}

/** Our own questions for peers that are under way, by a key of their own. */
export class Finds {
  readonly #questions = new Map<string, Question>()

  get isFull(): boolean {
    return this.#questions.size >= limits.finds
  }

  get(key: string): Question | undefined {
    return this.#questions.get(key)
  }

  begin(key: string, wanted: Wanted, passedOn: boolean): Question {
    const question = { wanted, left: 0, passedOn }
    this.#questions.set(key, question)
    return question
  }

  end(key: string): Question | undefined {
    const question = this.#questions.get(key)
    this.#questions.delete(key)
    return question
  }

  isLookedFor(peer: PeerKey): boolean {
    return this.#questions.has(peerKeyOf(peer))
  }

  /** Whether a question is open that this peer answers; searches note it. Returns those that have enough now. */
  note(entry: BookEntry): string[] {
    const enough: string[] = []
    for (const [key, { wanted }] of this.#questions) {
      if ('peer' in wanted) {
        if (wanted.peer === entry.peer) enough.push(key)
      } else if (offers(entry, wanted)) {
        wanted.found.add(entry.peer)
        if (wanted.found.size >= limits.searchPeers) enough.push(key)
      }
    }
    return enough
  }

  /** Whether a peer we have only been told of answers a question. */
  answers(record: BookEntry['record']): boolean {
    for (const { wanted } of this.#questions.values()) {
      if ('peer' in wanted ? wanted.peer === record.peer : offers({ record }, wanted)) return true
    }
    return false
  }
}

/** The key of a question for one peer. */
export function peerKeyOf(peer: PeerKey): string {
  return `peer:${peer}`
}

/** The key of a search. */
export function searchKeyOf(search: number): string {
  return `search:${search}`
}

/** The question as it is put to others. */
export function findFrame(wanted: Wanted, peer: Uint8Array[], hops: number): FrameOf<'find'> {
  if ('peer' in wanted) return { type: 'find', peers: peer, service: '', relay: false, hops }
  return { type: 'find', peers: [], service: wanted.service, relay: wanted.relay, hops }
}
