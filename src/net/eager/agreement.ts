import type { Uint8ArrayList } from 'uint8arraylist'
import { delimited } from '../../../protocols/kernel/protobuf-bytes.ts'

const HEADER = '/multistream/1.0.0'

/**
 * What multistream-select carries when a protocol is asked for and agreed on: its header, then the protocol's name.
 * Asking and agreeing are the same bytes, which is why the answer can be known before it comes.
 */
export function agreementOn(protocol: string): Uint8Array<ArrayBuffer> {
  return Buffer.concat([HEADER, protocol].map((line) => delimited(Buffer.from(`${line}\n`))))
}

/** Where an answer stands: more bytes are needed, it is not the expected one, or it was and these bytes follow it. */
export type Verdict = 'incomplete' | 'refused' | Uint8ArrayList | Uint8Array

/** Compares an answer with the expected one as it arrives, in pieces of any size; keeps none of them. */
export class ExpectedAnswer {
  readonly #expected: Uint8Array
  #seen = 0

  constructor(expected: Uint8Array) {
    this.#expected = expected
  }

  take(data: Uint8Array | Uint8ArrayList): Verdict {
    const length = Math.min(data.byteLength, this.#expected.byteLength - this.#seen)
    for (const byte of data.subarray(0, length)) {
      if (byte !== this.#expected[this.#seen]) return 'refused'
      this.#seen++
    }
    if (this.#seen < this.#expected.byteLength) return 'incomplete'
    return data instanceof Uint8Array ? data.subarray(length) : data.sublist(length)
  }
}
