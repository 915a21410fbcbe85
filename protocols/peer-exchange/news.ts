import { BoundedMap } from '../kernel/bounded.ts'
import type { Contact } from './contact.ts'
import { fitting } from './entries.ts'
import { limits } from './limits.ts'
import type { Entry, FrameOf } from './messages.ts'
import type { PeerKey } from './record.ts'

/** The present version of a peer's record, as it would be passed on. */
export interface Version {
  id: number
  seq: number
  entry: Entry
}

/** Records to be passed on, gathered for a moment so that one frame carries several. */
export class News {
  /** With the hops they will have come. */
  readonly #waiting = new BoundedMap<PeerKey, number>(limits.heard)

  add(peer: PeerKey, hops: number): void {
    this.#waiting.set(peer, hops)
  }

  has(peer: PeerKey): boolean {
    return this.#waiting.has(peer)
  }

  clear(): void {
    this.#waiting.clear()
  }

  /** What a contact does not have yet, in as many frames as it takes; noted as what it now has. */
  framesFor(
    contact: Contact,
    versionOf: (peer: PeerKey) => Version | undefined,
  ): FrameOf<'push'>[] {
    const frames: FrameOf<'push'>[] = []
    for (let hops = 1; hops <= limits.pushHops; hops++) {
      let entries = this.#entriesFor(contact, hops, versionOf)
      while (entries.length > 0) {
        const some = fitting(entries, limits.pushEntries)
        frames.push({ type: 'push', entries: some, hops })
        entries = entries.slice(some.length)
      }
    }
    return frames
  }

  #entriesFor(
    contact: Contact,
    hops: number,
    versionOf: (peer: PeerKey) => Version | undefined,
  ): Entry[] {
    const entries: Entry[] = []
    for (const [peer, age] of this.#waiting) {
      const version = age === hops && peer !== contact.peer ? versionOf(peer) : undefined
      if (version === undefined || contact.sent.has(version.id, version.seq)) continue
      contact.sent.add(version.id, version.seq)
      entries.push(version.entry)
    }
    return entries
  }
}
