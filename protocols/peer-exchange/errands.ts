import type { Instant } from '../kernel/machine.ts'
import { offers } from './answers.ts'
import { limits } from './limits.ts'
import type { FrameOf } from './messages.ts'
import type { PeerKey, PeerRecord } from './record.ts'

interface Errand {
  asker: PeerKey
  peers: readonly PeerKey[]
  service: string
  relay: boolean
  until: Instant
}

/** Questions of others that we could not answer and passed on: who is owed an answer that comes, at once or later. */
export class Errands {
  #errands: Errand[] = []

  /** False when there are as many as we run for others at a time. */
  add(asker: PeerKey, peers: PeerKey[], frame: FrameOf<'find'>, now: Instant): boolean {
    this.#errands = this.#errands.filter(({ until }) => until > now)
    if (this.#errands.length >= limits.findsForwarded) return false
    const { service, relay } = frame
    this.#errands.push({ asker, peers, service, relay, until: now + limits.searchMs })
    return true
  }

  /** Who has asked for such a peer, the carrier itself left out. */
  owed(record: PeerRecord, carrier: PeerKey, now: Instant): PeerKey[] {
    if (this.#errands.length === 0) return []
    const open = this.#errands.filter(({ until, asker }) => until > now && asker !== carrier)
    const met = open.filter(({ peers, ...sought }) =>
      peers.length > 0 ? peers.includes(record.peer) : offers({ record }, sought),
    )
    return [...new Set(met.map(({ asker }) => asker))]
  }
}
