import { PACE } from './limits.ts'

/** A run of the stream's bytes; filled from the left, never rewritten, as carriers may still hold views of it. */
interface Block {
  start: number
  bytes: Uint8Array
  used: number
}

/** Small writes share a block of at least this size; without, a million of them would cost a million objects. */
const SMALLEST_BLOCK = 4 * 1024

/**
 * Bytes from offset `base` to `end` of a stream, kept until the other side has them. They are copied once on the way
 * in: whoever wrote them may use the memory again as soon as the write is done.
 */
export class ReplayBuffer {
  readonly #blocks: Block[] = []
  #base = 0
  #end = 0

  /** The first offset still kept. */
  get base(): number {
    return this.#base
  }

  /** The offset behind the last byte. */
  get end(): number {
    return this.#end
  }

  append(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      const block = this.#roomy(rest.length)
      const part = rest.subarray(0, block.bytes.length - block.used)
      block.bytes.set(part, block.used)
      block.used += part.length
      this.#end += part.length
      rest = rest.subarray(part.length)
    }
  }

  /** A view of bytes from `from` on: at least one if there is one, at most a frame's worth. */
  view(from: number): Uint8Array {
    const { start, bytes, used } = this.#blocks[this.#indexOf(from)] as Block
    return bytes.subarray(from - start, used)
  }

  /** Forgets what lies before `offset`. */
  release(offset: number): void {
    this.#base = offset
    let gone = 0
    for (const { start, used } of this.#blocks) {
      if (start + used > offset) break
      gone++
    }
    this.#blocks.splice(0, gone)
  }

  #roomy(wanted: number): Block {
    const last = this.#blocks.at(-1)
    if (last !== undefined && last.used < last.bytes.length) return last
    const size = Math.min(Math.max(wanted, SMALLEST_BLOCK), PACE.sendBytes)
    const block = { start: this.#end, bytes: new Uint8Array(size), used: 0 }
    this.#blocks.push(block)
    return block
  }

  /** The block that holds the offset, by halving. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#blocks[middle] as Block).start <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}
