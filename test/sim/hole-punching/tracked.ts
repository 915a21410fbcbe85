import type { Packet } from './tcp.ts'

interface Place {
  ip: string
  port: number
}

type Way = 'out' | 'in'

/** `both`: each side has sent a SYN; `answered`: one SYN-ACK has passed. */
type State = 'none' | 'sent' | 'both' | 'answered' | 'open' | 'closed'

/** How long Linux remembers: a SYN without an answer, a handshake, a connection, one that ended with RST. */
const SYN_MS = 120_000
const HANDSHAKE_MS = 60_000
const CLOSED_MS = 10_000

/**
 * One connection as a Linux router tracks it (nf_conntrack_proto_tcp). What matters for hole punching: it knows the sequence
 * number of the first SYN, so that a listener's answer in place of the socket's does not pass; and a RST leaves the pair of
 * ports closed for ten seconds, in which a SYN of the other side is not part of anything.
 */
export class Tracked {
  readonly inside: Place
  readonly outside: Place
  readonly remote: Place
  until = Infinity
  #state: State = 'none'
  /** The side that began. */
  #original: Way = 'out'
  #resetBy: Way | undefined
  readonly #seq: Record<Way, number> = { out: 0, in: 0 }
  /** A SYN that was let through without being believed. */
  #ignored: { way: Way; seq: number } | undefined

  constructor(inside: Place, outside: Place, remote: Place) {
    this.inside = inside
    this.outside = outside
    this.remote = remote
  }

  passes(packet: Packet, way: Way, now: number): boolean {
    switch (packet.flag) {
      case 'syn':
        return this.#syn(packet, way, now)
      case 'synack':
        return way === this.#original
          ? this.#ownAnswer(packet, way, now)
          : this.#answer(packet, way, now)
      case 'ack':
        return this.#ack(way)
      default:
        return this.#rst(packet, way, now)
    }
  }

  #syn(packet: Packet, way: Way, now: number): boolean {
    // Whoever began and has taken it back may begin anew.
    const anew = this.#state === 'closed' && this.#resetBy === way && this.#original === way
    if (this.#state === 'none' || anew) {
      this.#original = way
      this.#seq[way] = packet.seq
      return this.#is('sent', now + SYN_MS)
    }
    if (way !== this.#original) {
      if (this.#state === 'both') return this.#seq[way] === packet.seq
      if (this.#state !== 'sent') return false
      this.#seq[way] = packet.seq
      return this.#is('both', now + SYN_MS)
    }
    if (this.#state === 'both') return this.#seq[way] === packet.seq
    if (this.#state === 'sent') {
      this.#seq[way] = packet.seq
      return this.#is('sent', now + SYN_MS)
    }
    this.#ignored = { way, seq: packet.seq }
    return true
  }

  /** A SYN-ACK of the side that began, as in a simultaneous open. */
  #ownAnswer(packet: Packet, way: Way, now: number): boolean {
    if (this.#state !== 'both' && this.#state !== 'answered') return false
    return this.#seq[way] === packet.seq && this.#is('answered', now + HANDSHAKE_MS)
  }

  #answer(packet: Packet, way: Way, now: number): boolean {
    if (this.#state === 'closed') {
      const { ignored } = { ignored: this.#ignored }
      if (ignored === undefined || ignored.way === way || ignored.seq !== packet.ack) return true
      this.#seq[ignored.way] = ignored.seq
      this.#seq[way] = packet.seq
      return this.#is('answered', now + HANDSHAKE_MS)
    }
    if (this.#state === 'sent') {
      if (packet.ack !== this.#seq[this.#original]) return false
      this.#seq[way] = packet.seq
      return this.#is('answered', now + HANDSHAKE_MS)
    }
    if (this.#state !== 'both') return true
    return packet.seq === this.#seq[way] && this.#is('answered', now + HANDSHAKE_MS)
  }

  #ack(way: Way): boolean {
    if (this.#state === 'answered')
      return this.#is(way === this.#original ? 'open' : 'answered', Infinity)
    return way !== this.#original || this.#state === 'open' || this.#state === 'closed'
  }

  #rst(packet: Packet, way: Way, now: number): boolean {
    const early = this.#state === 'sent' || this.#state === 'both'
    if (early && packet.ack !== this.#seq[way === 'in' ? 'out' : 'in']) return false
    // Compared with what was acknowledged, as numbers that wrap: a router's RST, which begins at 0, fits in half of all cases.
    const wraps = packet.seq === 0 && this.#seq[way] < 2 ** 31
    if (!early && this.#state !== 'closed' && wraps) return false
    this.#resetBy = way
    this.#ignored = undefined
    return this.#is('closed', now + CLOSED_MS)
  }

  #is(state: State, until: number): true {
    this.#state = state
    this.until = until
    return true
  }
}
