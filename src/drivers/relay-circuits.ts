import type { Stream } from '@libp2p/interface'
import type { Grant, Ledger, Party, Refusal } from '../../protocols/relaying/ledger.ts'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import type { CircuitLimit } from '../../protocols/relaying/limits.ts'
import { frame, readFrame } from '../../protocols/relaying/wire.ts'
import { systemClock } from './clock.ts'

/** A circuit that was asked for, and once `hop` and `stop` are joined, carries bytes. */
export interface Circuit {
  readonly source: string
  readonly target: string
  readonly since: number
  /** What it may use; undefined for no limit. */
  readonly limit: CircuitLimit | undefined
  /** From a peer to itself, to see whether we pass anything on. */
  readonly test: boolean
  bytes: number
  /** Of them, what budgets have been charged with. */
  charged: number
}

/**
 * Bytes that may wait in a stream while it is paused: yamux lets the sender use up its whole window
 * (16 MiB at most) before it has to wait, and libp2p by itself aborts a stream above 4 MiB.
 */
const READ_BUFFER_BYTES = 17 * 1024 * 1024

/** How long a slow reader may take for what is left for it. */
const LINGER_MS = 10_000

/** Counts and ends the circuits of one relay, within what the ledger promises. */
export class Circuits {
  readonly #ledger: Ledger
  /** As many as the ledger grants. */
  readonly #grants = new Map<Circuit, Grant | undefined>()
  #bytesOfEnded = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** Without tests, which relay nothing. */
  get size(): number {
    return this.list().length
  }

  /** Of this relay's whole life, both directions. */
  get bytesRelayed(): number {
    return this.list().reduce((sum, { bytes }) => sum + bytes, this.#bytesOfEnded)
  }

  list(): Circuit[] {
    return [...this.#grants.keys()].filter(({ test }) => !test)
  }

  /** Takes a place from the moment of asking, so that requests in flight count as well. */
  begin(source: Party, target: string, wanted: CircuitLimit | undefined): Circuit | Refusal {
    if (source.peer === target) return this.#beginTest(target)
    const grant = this.#ledger.openCircuit(source, target, wanted, systemClock.now())
    if (typeof grant === 'string') return grant
    return this.#add({ source: source.peer, target, limit: grant.limit, test: false }, grant)
  }

  #beginTest(peer: string): Circuit | Refusal {
    const refusal = this.#ledger.openTest(peer)
    if (refusal !== undefined) return refusal
    return this.#add({ source: peer, target: peer, limit: SERVING_LIMITS.test, test: true })
  }

  #add(circuit: Omit<Circuit, 'since' | 'bytes' | 'charged'>, grant?: Grant): Circuit {
    const begun = { ...circuit, since: Date.now(), bytes: 0, charged: 0 }
    this.#grants.set(begun, grant)
    return begun
  }

  end(circuit: Circuit): void {
    const grant = this.#grants.get(circuit)
    if (!this.#grants.delete(circuit)) return
    if (grant === undefined) return this.#ledger.closeTest(circuit.source)
    this.#ledger.carried(grant, circuit.bytes - circuit.charged, systemClock.now())
    this.#ledger.closeCircuit(grant)
    this.#bytesOfEnded += circuit.bytes
  }

  /** Charges what was carried since the last time; false when nothing more may be carried. */
  #charge(circuit: Circuit): boolean {
    const grant = this.#grants.get(circuit)
    const bytes = circuit.bytes - circuit.charged
    if (grant === undefined || bytes < SERVING_LIMITS.chargeBytes) return true
    circuit.charged = circuit.bytes
    return this.#ledger.carried(grant, bytes, systemClock.now())
  }

  /** Watches both streams of a circuit until they close. */
  carry(circuit: Circuit, hop: Stream, stop: Stream): void {
    const { limit } = circuit
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
        } else if (!this.#charge(circuit)) abort('a budget of bytes is used up')
      })
    }
    const closed = (): void => {
      if (isOpen(hop) || isOpen(stop)) return endOther(hop, stop)
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

/** The stock pipe leaves a half open whose other half was reset: until its time is over, which is half an hour. */
function endOther(hop: Stream, stop: Stream): void {
  const [gone, left] = isOpen(hop) ? [stop, hop] : [hop, stop]
  if (isOpen(gone)) return
  const abort = (): void => left.abort(new Error('the other half of the circuit is gone'))
  if (gone.status !== 'closed') return abort()
  // What it sent before it closed may still be on its way out.
  const late = setTimeout(abort, LINGER_MS).unref()
  left.addEventListener('close', () => clearTimeout(late), { once: true })
}

function isOpen(stream: Stream): boolean {
  return stream.status === 'open' || stream.status === 'closing'
}
