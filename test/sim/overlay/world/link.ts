/**
 * What two nodes have between them: at most one connection that counts, direct or through a relay. Each side has its own idea
 * of whether it is open, for news travels.
 */
export class Link {
  /** Who dialled. */
  readonly a: number
  readonly b: number
  /** The relay; -1 when direct. */
  via: number
  openA = true
  openB = true
  punching = false
  /** Somebody wants it to end, but a punch is under way. */
  unwanted = false
  /** The hidden node whose reservation rests on it; -1 when none does. */
  reservedBy = -1
  /** Pings are paid up to here. */
  paidAt: number
  /** The last arrivals each way: TCP keeps order. */
  #toA = 0
  #toB = 0

  constructor(a: number, b: number, via: number, now: number) {
    this.a = a
    this.b = b
    this.via = via
    this.paidAt = now
  }

  other(node: number): number {
    return node === this.a ? this.b : this.a
  }

  isOpenAt(node: number): boolean {
    return node === this.a ? this.openA : this.openB
  }

  shut(node: number): void {
    if (node === this.a) this.openA = false
    else this.openB = false
  }

  /** When a message that needs so long arrives, behind those before it. */
  arrival(to: number, at: number): number {
    if (to === this.a) return (this.#toA = Math.max(this.#toA, at))
    return (this.#toB = Math.max(this.#toB, at))
  }
}
