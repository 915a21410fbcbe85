import type { Stream } from '@libp2p/interface'
import { admitCircuit } from '../../protocols/relaying/serving.ts'
import type { Refusal } from '../../protocols/relaying/serving.ts'
import { frame, readFrame } from '../../protocols/relaying/wire.ts'
import type { CircuitLimit } from '../../protocols/relaying/limits.ts'

/** A circuit that was asked for, and once `hop` and `stop` are joined, carries bytes. */
export interface Circuit {
  readonly source: string
  readonly target: string
  readonly since: number
  bytes: number
}

/**
 * Bytes that may wait in a stream while it is paused: yamux lets the sender use up its whole window
 * (16 MiB at most) before it has to wait, and libp2p by itself aborts a stream above 4 MiB.
 */
const READ_BUFFER_BYTES = 17 * 1024 * 1024

/** Counts, bounds and ends the circuits of one relay. */
export class Circuits {
  readonly #circuits = new Set<Circuit>()
  #bytesOfEnded = 0

  get size(): number {
    return this.#circuits.size
  }

  /** Of this relay's whole life, both directions. */
  get bytesRelayed(): number {
    let sum = this.#bytesOfEnded
    for (const { bytes } of this.#circuits) sum += bytes
    return sum
  }

  list(): Circuit[] {
    return [...this.#circuits]
  }

  /** Takes a place from the moment of asking, so that requests in flight count as well. */
  begin(source: string, target: string): Circuit | Refusal {
    const of = (peer: string) =>
      this.list().filter((circuit) => circuit.source === peer || circuit.target === peer).length
    const counts = { total: this.size, ofSource: of(source), ofTarget: of(target) }
    const refusal = admitCircuit(counts)
    if (refusal !== undefined) return refusal
    const circuit: Circuit = { source, target, since: Date.now(), bytes: 0 }
    this.#circuits.add(circuit)
    return circuit
  }

  end(circuit: Circuit): void {
    if (this.#circuits.delete(circuit)) this.#bytesOfEnded += circuit.bytes
  }

  /** Watches both streams of a circuit until they close. */
  carry(circuit: Circuit, hop: Stream, stop: Stream, limit: CircuitLimit | undefined): void {
    const abort = (why: string): void => {
      for (const stream of [hop, stop]) stream.abort(new Error(why))
    }
    const deadline =
      limit &&
      setTimeout(() => abort(`the circuit's ${limit.seconds} s are over`), limit.seconds * 1000)
    deadline?.unref()
    for (const [from, to] of [
      [hop, stop],
      [stop, hop],
    ] as const) {
      meter(from, to, (carried, inDirection) => {
        circuit.bytes += carried
        if (limit !== undefined && inDirection > limit.bytes) {
          abort(`the circuit's ${limit.bytes} bytes are used up`)
        }
      })
    }
    const closed = (): void => {
      if (isOpen(hop) || isOpen(stop)) return
      clearTimeout(deadline)
      this.end(circuit)
    }
    hop.addEventListener('close', closed, { once: true })
    stop.addEventListener('close', closed, { once: true })
    closed() // they may have broken while the answer was written
  }
}

/** Lets the first message on a stream be said differently; everything after it passes untouched. */
export function rewriteFirst(stream: Stream, rewrite: (message: Uint8Array) => Uint8Array): void {
  const send = stream.send.bind(stream)
  stream.send = (data) => {
    stream.send = send
    const message = readFrame(data.subarray())
    return send(message === undefined ? data : frame(rewrite(message)))
  }
}

/**
 * Counts what goes from one stream to the other, and pauses the sender while the receiver lags: the
 * stock pipe between them has no bound, so that one slow reader could make the relay hold a whole file.
 */
function meter(
  from: Stream,
  to: Stream,
  count: (carried: number, inDirection: number) => void,
): void {
  let forwarded = 0
  from.maxReadBufferLength = READ_BUFFER_BYTES
  const send = to.send.bind(to)
  to.send = (data) => {
    forwarded += data.byteLength
    count(data.byteLength, forwarded)
    const more = send(data)
    if (!more && isOpen(from) && from.readStatus === 'readable') from.pause()
    return more
  }
  const resume = (): void => {
    if (from.readStatus === 'paused') from.resume()
  }
  to.addEventListener('drain', resume)
  to.addEventListener('close', resume)
  // Ours was added before the stock pipe's: what a paused stream still holds comes out before its end.
  from.addEventListener('remoteCloseWrite', resume)
}

function isOpen(stream: Stream): boolean {
  return stream.status === 'open' || stream.status === 'closing'
}
