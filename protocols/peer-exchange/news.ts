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

/** A record on its way, with the hops it will have come. */
export interface NewsOf {
  peer: PeerKey
  hops: number
  version: Version
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

  /** Everything that waits, as it is now; afterwards nothing does. */
  take(versionOf: (peer: PeerKey) => Version | undefined): NewsOf[] {
    const news: NewsOf[] = []
    for (const [peer, hops] of this.#waiting) {
      const version = versionOf(peer)
      if (version !== undefined) news.push({ peer, hops, version })
    }
    this.#waiting.clear()
    return news
  }
}

/** What a contact does not have yet, in as many frames as it takes; noted as what it now has. */
export function framesFor(contact: Contact, news: readonly NewsOf[]): FrameOf<'push'>[] {
  const frames: FrameOf<'push'>[] = []
  for (let hops = 1; hops <= limits.pushHops; hops++) {
    let entries = entriesFor(contact, hops, news)
    while (entries.length > 0) {
      const some = fitting(entries, limits.pushEntries)
      frames.push({ type: 'push', entries: some, hops })
      entries = entries.slice(some.length)
    }
  }
  return frames
}

function entriesFor({ peer, sent }: Contact, hops: number, news: readonly NewsOf[]): Entry[] {
  const entries: Entry[] = []
  for (const { peer: subject, hops: age, version } of news) {
    const { id, seq, entry } = version
    if (age !== hops || subject === peer || sent.has(id, seq)) continue
    sent.add(id, seq)
    entries.push(entry)
  }
  return entries
}
