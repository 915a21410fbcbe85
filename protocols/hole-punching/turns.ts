/** In DCUtR's words B asks (it sends the first CONNECT) and A answers. */
export type Side = 'asking' | 'answering'

export type Turn = 'answer' | 'yield' | 'refuse'

/** Peers that are punched to at once; each costs a few sockets and a relayed conversation. */
export const MAX_CONVERSATIONS = 64

/**
 * One conversation with a peer at a time. When both sides have dialled each other through a relay both may ask, and two
 * conversations would dial the same pair of addresses in opposite roles, so that neither handshake is ever answered. Then
 * the peer with the smaller id asks and the other answers, which both know without a word.
 */
export class Turns {
  readonly #self: string
  readonly #active = new Map<string, Side>()

  constructor(self: string) {
    this.#self = self
  }

  /** Whether we may ask the peer now. Call `over` when that conversation has ended. */
  ask(peer: string): boolean {
    if (this.#active.has(peer) || this.#active.size >= MAX_CONVERSATIONS) return false
    this.#active.set(peer, 'asking')
    return true
  }

  /** What to do about the peer's question; `yield`: drop our own, then answer. */
  asked(peer: string): Turn {
    const side = this.#active.get(peer)
    if (side === 'answering') return 'refuse'
    if (side === 'asking' && this.#self < peer) return 'refuse'
    if (side === undefined && this.#active.size >= MAX_CONVERSATIONS) return 'refuse'
    this.#active.set(peer, 'answering')
    return side === 'asking' ? 'yield' : 'answer'
  }

  /** The conversation on that side has ended; one that was yielded ends without a trace. */
  over(peer: string, side: Side): void {
    if (this.#active.get(peer) === side) this.#active.delete(peer)
  }
}
