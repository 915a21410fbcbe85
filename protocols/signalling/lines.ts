import { backoffMs } from '../kernel/backoff.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import type { Rng } from '../kernel/rng.ts'
import { SIGNAL_LIMITS } from './limits.ts'

export type LineInput =
  | Tick
  /** The stream to this relay is wanted for good, or no more. */
  | { type: 'keep'; relay: string; on: boolean }
  /** A message waits for it. */
  | { type: 'want'; relay: string }
  /** There is a new direct connection to this relay. */
  | { type: 'connected'; relay: string }
  | { type: 'opened'; relay: string }
  /** A message went through it, either way. */
  | { type: 'used'; relay: string }
  /** It could not be opened, or ended. */
  | { type: 'broke'; relay: string; unsupported: boolean }

export type LineOutput = { type: 'open'; relay: string } | { type: 'close'; relay: string }

interface Line {
  kept: boolean
  state: 'waiting' | 'opening' | 'open'
  /** Breaks in a row without a stream that proved good. */
  breaks: number
  openedAt: Instant
  usedAt: Instant
  retryAt: Instant
}

/** Decides to which relays a client has its stream open, and when to try again. */
export class Lines implements Machine<LineInput, LineOutput> {
  readonly #lines = new Map<string, Line>()
  readonly #rng: Rng

  constructor(rng: Rng) {
    this.#rng = rng
  }

  step(input: LineInput, now: Instant): readonly LineOutput[] {
    const out: LineOutput[] = []
    this.#take(input, now, out)
    return out
  }

  nextWake(): Instant | undefined {
    let earliest: Instant | undefined
    for (const line of this.#lines.values()) {
      const at = dueAt(line)
      if (at !== undefined && (earliest === undefined || at < earliest)) earliest = at
    }
    return earliest
  }

  #take(input: LineInput, now: Instant, out: LineOutput[]): void {
    switch (input.type) {
      case 'tick':
        return this.#due(now, out)
      case 'keep':
        return input.on ? this.#keep(input.relay, now, out) : this.#letGo(input.relay, now, out)
      case 'want':
        return this.#open(input.relay, now, out)
      case 'connected':
        if (this.#lines.get(input.relay)?.kept === true) this.#open(input.relay, now, out)
        return
      case 'opened':
        return this.#change(input.relay, { state: 'open', openedAt: now, usedAt: now })
      case 'used':
        return this.#change(input.relay, { usedAt: now })
      case 'broke':
        return this.#broke(input.relay, input.unsupported, now)
    }
  }

  #due(now: Instant, out: LineOutput[]): void {
    for (const [relay, line] of this.#lines) {
      if ((dueAt(line) ?? Infinity) > now) continue
      if (line.state === 'open') this.#close(relay, out)
      else this.#open(relay, now, out)
    }
  }

  #keep(relay: string, now: Instant, out: LineOutput[]): void {
    this.#open(relay, now, out)
    // The reservation is new, so what went wrong before counts no more.
    this.#change(relay, { kept: true, breaks: 0 })
  }

  #letGo(relay: string, now: Instant, out: LineOutput[]): void {
    const line = this.#lines.get(relay)
    if (line === undefined) return
    line.kept = false
    if (line.state === 'waiting') this.#lines.delete(relay)
    this.#due(now, out) // at once, unless an answer may still come
  }

  #open(relay: string, now: Instant, out: LineOutput[]): void {
    const line = this.#lines.get(relay)
    if (line !== undefined && line.state !== 'waiting') return
    if (line === undefined && !this.#makeRoom(out)) return
    const fresh = { kept: false, breaks: 0, openedAt: now, usedAt: now, retryAt: now }
    this.#lines.set(relay, { ...(line ?? fresh), state: 'opening' })
    out.push({ type: 'open', relay })
  }

  /** Where there is none, the line that nobody keeps and that was used longest ago goes. */
  #makeRoom(out: LineOutput[]): boolean {
    if (this.#lines.size < SIGNAL_LIMITS.lines) return true
    const idle = [...this.#lines].filter(([, { kept, state }]) => !kept && state === 'open')
    const [oldest] = idle.sort(([, a], [, b]) => a.usedAt - b.usedAt)
    if (oldest !== undefined) this.#close(oldest[0], out)
    return oldest !== undefined
  }

  #close(relay: string, out: LineOutput[]): void {
    this.#lines.delete(relay)
    out.push({ type: 'close', relay })
  }

  #broke(relay: string, unsupported: boolean, now: Instant): void {
    const line = this.#lines.get(relay)
    if (line === undefined || line.state === 'waiting') return
    if (!line.kept) {
      this.#lines.delete(relay)
      return
    }
    const proven = line.state === 'open' && now - line.openedAt >= SIGNAL_LIMITS.provenMs
    const breaks = proven ? 1 : line.breaks + 1
    const pauses = unsupported ? SIGNAL_LIMITS.unsupported : SIGNAL_LIMITS.reopen
    const retryAt = now + backoffMs(breaks, pauses, this.#rng)
    this.#change(relay, { state: 'waiting', breaks, retryAt })
  }

  #change(relay: string, changes: Partial<Line>): void {
    const line = this.#lines.get(relay)
    if (line !== undefined) Object.assign(line, changes)
  }
}

/** When a line asks for something by itself: to be tried again, or to be closed. */
function dueAt(line: Line): Instant | undefined {
  if (line.state === 'waiting') return line.retryAt
  return line.state === 'open' && !line.kept ? line.usedAt + SIGNAL_LIMITS.idleMs : undefined
}
