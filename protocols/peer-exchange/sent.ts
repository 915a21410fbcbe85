import { fold } from './ids.ts'

/** As many versions as a contact of an afternoon is handed; the oldest are forgotten first. */
const MOST = 512
const FIRST = 16

/**
 * Which versions of which records one peer has from us, or we from it: no version goes twice to one peer. Holds four
 * bytes each; two versions in 2^32 are mistaken for each other, which costs the peer one record from us.
 */
export class Sent {
  #ring = new Uint32Array(FIRST)
  #next = 0

  has(id: number, seq: number): boolean {
    return this.#ring.includes(fold(id, seq))
  }

  add(id: number, seq: number): void {
    const print = fold(id, seq)
    if (this.#ring.includes(print)) return
    if (this.#next === this.#ring.length && this.#ring.length < MOST) this.#grow()
    this.#ring[this.#next % this.#ring.length] = print
    this.#next = this.#next + 1 === MOST * 2 ? MOST : this.#next + 1
  }

  #grow(): void {
    const grown = new Uint32Array(this.#ring.length * 2)
    grown.set(this.#ring)
    this.#ring = grown
  }
}
