import type { Instant, Machine } from '../kernel/machine.ts'
import { Timers } from '../kernel/timers.ts'
import type { Frame, Position, RefusalCode, ResetCode } from './codec.ts'
import { Incoming } from './incoming.ts'
import { PACE, RESUMPTION_LIMITS } from './limits.ts'
import { Outgoing } from './outgoing.ts'
import { Seeker } from './seeker.ts'
import type { SeekOutput } from './seeker.ts'
import type { Outcome, SessionInput, SessionOptions, SessionOutput } from './session-io.ts'

/**
 * One end of one session: a stream of the application, carried by libp2p streams one after another. Bytes go in by
 * `append`, outside of `step`, since the caller has to know at once how many were taken.
 */
export class Session implements Machine<SessionInput, SessionOutput> {
  readonly #opens: SessionOptions['opens']
  readonly #outgoing: Outgoing
  readonly #incoming: Incoming
  readonly #seeker: Seeker | undefined
  readonly #timers = new Timers<'ack' | 'stall' | 'keep'>()
  #out: SessionOutput[] = []
  #established = false
  /** The carrier in use. */
  #carrier: number | undefined
  /** The number that the opener gave to the carrier in use; a resumption must have a higher one. */
  #newest = 0
  /** Whether the carrier takes more; one batch of frames is on its way into it at any time. */
  #ready = false
  /** Whether an acknowledgement has waited long enough. */
  #ackDue = false
  #finishing = false
  #othersEnd = false
  #flushed = false
  #moves = -1
  #over = false

  constructor({ opens, budget }: SessionOptions, now: Instant) {
    this.#opens = opens
    this.#outgoing = new Outgoing(budget.account())
    this.#incoming = new Incoming(budget.account(), now)
    this.#seeker = opens === undefined ? undefined : new Seeker(opens.rng)
  }

  /** How many bytes `append` would take now. */
  get room(): number {
    return this.#over ? 0 : this.#outgoing.room
  }

  /** How often the session has gone over to another carrier. */
  get moves(): number {
    return Math.max(0, this.#moves)
  }

  /** Bytes sent more than once because a carrier was lost or left. */
  get resent(): number {
    return this.#outgoing.resent
  }

  /** Bytes received so far, each counted once. */
  get received(): number {
    return this.#incoming.received
  }

  /** Whether everything that was written has arrived at the other side, the end included. */
  get flushed(): boolean {
    return this.#flushed
  }

  /** Whether something was sent that the other side has not said to have. */
  get waits(): boolean {
    return !this.#over && this.#outgoing.inFlight
  }

  /** Takes bytes, as many as there is room for, and returns how many; `written` is to be fed then. */
  append(chunks: Iterable<Uint8Array>): number {
    return this.#over ? 0 : this.#outgoing.append(chunks)
  }

  step(input: SessionInput, now: Instant): readonly SessionOutput[] {
    this.#out = []
    if (this.#over) {
      if (input.type === 'consumed') this.#incoming.consume(input.offset, now)
      return this.#out
    }
    this.#take(input, now)
    if (!this.#over) this.#settle(now)
    return this.#out
  }

  nextWake(): Instant | undefined {
    const ours = this.#timers.next()
    const seekers = this.#over ? undefined : this.#seeker?.timers.next()
    return Math.min(ours ?? Infinity, seekers ?? Infinity) === Infinity
      ? undefined
      : Math.min(ours ?? Infinity, seekers ?? Infinity)
  }

  #take(input: SessionInput, now: Instant): void {
    switch (input.type) {
      case 'start':
        return this.#seek((seeker) => seeker.attempt(now))
      case 'trying':
        return this.#seeker?.trying(input.carrier, input.path, now)
      case 'opened':
        return this.#greet(input.carrier)
      case 'unopened':
        return this.#attemptFailed(input.carrier, { type: 'unopened' }, now)
      case 'path':
        return this.#seek((seeker) => seeker.pathIs(input.best, now))
      case 'frame':
        return this.#frame(input.carrier, input.frame, now)
      case 'writable':
        if (input.carrier === this.#carrier) this.#ready = true
        return undefined
      case 'ended':
        return this.#carrierEnded(input.carrier, now)
      case 'broken':
        return this.#broken(input.carrier, now)
      case 'garbage':
        if (input.carrier === this.#carrier) return this.#violation(input.text)
        return this.#attemptFailed(input.carrier, { type: 'violation', text: input.text }, now)
      case 'written':
        return undefined
      case 'finished':
        return this.#outgoing.end()
      case 'reset':
        return this.#reset(input.code, { type: 'reset', by: 'us' })
      case 'leave':
        return this.#leave()
      case 'consumed':
        return this.#incoming.consume(input.offset, now)
      case 'tick':
        return this.#tick(now)
    }
  }

  /** What follows from whatever has happened: frames, the end, and when to look again. */
  #settle(now: Instant): void {
    this.#flush(now)
    if (this.#outgoing.wakes()) this.#out.push({ type: 'room' })
    if (this.#outgoing.complete && !this.#flushed) {
      this.#flushed = true
      this.#out.push({ type: 'flushed' })
    }
    if (this.#done) this.#sayGoodbye()
    if (this.#over) return
    const usable = this.#carrier !== undefined
    this.#ackDue &&= this.#incoming.owed
    this.#keep('ack', usable && this.#incoming.owed && !this.#ackDue, now + PACE.ackDelayMs)
    const seeks = usable && this.#seeker !== undefined
    this.#keep('stall', seeks && this.#outgoing.inFlight, now + this.#stallMs)
  }

  /** Lets a timer run while it is wanted. */
  #keep(name: 'ack' | 'stall', wanted: boolean, at: Instant): void {
    if (!wanted) this.#timers.clear(name)
    else if (!this.#timers.has(name)) this.#timers.set(name, at)
  }

  /** Both directions have come to their end, as far as this side can know. */
  get #done(): boolean {
    return this.#flushed && this.#incoming.complete
  }

  get #stallMs(): number {
    return Math.max(PACE.stallMs, PACE.stallRoundTrips * this.#outgoing.rttMs)
  }

  #send(carrier: number, ...frames: Frame[]): void {
    this.#ready = false
    this.#out.push({ type: 'send', carrier, frames })
  }

  /** The next batch for a carrier that takes one: what we owe the other side, then data or the end. */
  #flush(now: Instant): void {
    if (this.#carrier === undefined || !this.#ready || this.#finishing) return
    const frame = this.#outgoing.next(now)
    // Without data to travel with, what is not urgent waits for its timer.
    const ack =
      this.#incoming.owed && (frame !== undefined || this.#ackDue || this.#incoming.urgent)
    const frames: Frame[] = ack ? [{ type: 'ack', ...this.#incoming.position() }] : []
    if (frame !== undefined) frames.push(frame)
    if (frames.length > 0) this.#send(this.#carrier, ...frames)
  }

  #greet(carrier: number): void {
    if (this.#opens === undefined || this.#seeker?.isAttempt(carrier) !== true) {
      this.#out.push({ type: 'drop', carrier })
      return
    }
    const { session, protocol } = this.#opens
    const position = this.#incoming.position()
    const greeting: Frame = this.#established
      ? { type: 'resume', session, carrier, ...position }
      : { type: 'open', session, protocol, limit: position.limit }
    this.#out.push({ type: 'send', carrier, frames: [greeting] })
  }

  #frame(carrier: number, frame: Frame, now: Instant): void {
    if (carrier === this.#carrier) return this.#onCarrier(frame, now)
    if (this.#opens === undefined) return this.#onNewCarrier(carrier, frame, now)
    if (this.#seeker?.isAttempt(carrier) !== true) return
    if (frame.type === 'accept') return this.#accepted(carrier, frame, now)
    if (frame.type === 'refuse') return this.#refused(carrier, frame.code, now)
    this.#violation(`it answered a greeting with ${frame.type}`)
  }

  /** The opener's greeting was accepted. */
  #accepted(carrier: number, position: Position, now: Instant): void {
    this.#seek((seeker) => seeker.taken(now))
    this.#use(carrier, position, now)
    this.#ready = true
  }

  /** The answering side: a greeting on a carrier not in use. */
  #onNewCarrier(carrier: number, frame: Frame, now: Instant): void {
    const before = this.#carrier
    if (frame.type === 'open' && !this.#established) {
      this.#use(carrier, { received: 0, limit: frame.limit }, now)
    } else if (frame.type === 'resume' && frame.carrier > this.#newest) {
      this.#newest = frame.carrier
      if (before !== undefined) this.#out.push({ type: 'drop', carrier: before })
      this.#use(carrier, frame, now)
    } else {
      const code = frame.type === 'resume' ? 'stale' : 'unknown-session'
      this.#out.push({ type: 'send', carrier, frames: [{ type: 'refuse', code }] })
      this.#out.push({ type: 'finish', carrier })
      return
    }
    if (this.#over) return
    this.#send(carrier, { type: 'accept', ...this.#incoming.position() })
  }

  /** From here on this is the carrier, and we send from where the other side stands. */
  #use(carrier: number, position: Position, now: Instant): void {
    this.#carrier = carrier
    this.#ready = false
    this.#ackDue = false
    this.#finishing = false
    this.#othersEnd = false
    this.#moves += 1
    for (const name of ['keep', 'stall', 'ack'] as const) this.#timers.clear(name)
    const wrong = this.#outgoing.resume(position, now)
    if (wrong !== undefined) return this.#violation(wrong)
    if (this.#established) return
    this.#established = true
    this.#newest = Math.max(this.#newest, 1)
    this.#out.push({ type: 'established' })
  }

  #refused(carrier: number, code: RefusalCode, now: Instant): void {
    if (!this.#established) return this.#end({ type: 'refused', code })
    // Stale means that the other side knows a newer carrier than this one, which is the one to wait for.
    if (code === 'stale' || code === 'busy') {
      return this.#attemptFailed(carrier, { type: 'refused', code }, now)
    }
    if (this.#done) return this.#end({ type: 'complete' })
    this.#end({ type: 'lost', text: 'the peer does not know the stream any more' })
  }

  #onCarrier(frame: Frame, now: Instant): void {
    switch (frame.type) {
      case 'data':
        return this.#data(this.#incoming.take(frame.offset, frame.bytes, frame.ask))
      case 'fin':
        return this.#fin(this.#incoming.end(frame.offset))
      case 'ack':
        return this.#ack(frame, now)
      case 'reset':
        return this.#end({ type: 'reset', by: 'peer' })
      default:
        return this.#violation(`it sent ${frame.type} on a carrier in use`)
    }
  }

  #data(taken: Uint8Array | string | undefined): void {
    if (typeof taken === 'string') return this.#violation(taken)
    if (taken !== undefined) this.#out.push({ type: 'deliver', bytes: taken })
  }

  #fin(news: boolean | string): void {
    if (typeof news === 'string') return this.#violation(news)
    if (news) this.#out.push({ type: 'ended' })
  }

  #ack(position: Position, now: Instant): void {
    const wrong = this.#outgoing.acknowledge(position, now)
    if (wrong !== undefined) return this.#violation(wrong)
    this.#timers.clear('stall')
  }

  /** Closing in order is how each side tells the other that it is done and has no need to be asked again. */
  #carrierEnded(carrier: number, now: Instant): void {
    if (carrier !== this.#carrier) return this.#broken(carrier, now)
    if (this.#done) this.#othersEnd = true
    else this.#broken(carrier, now)
  }

  /** Once our last word has left, the carrier is closed; when the other side has closed it too, all is over. */
  #sayGoodbye(): void {
    if (this.#seeker !== undefined) this.#seeker.connects = false
    if (this.#incoming.owed || this.#carrier === undefined) return
    if (!this.#finishing) this.#out.push({ type: 'finish', carrier: this.#carrier })
    this.#finishing = true
    if (this.#othersEnd) this.#end({ type: 'complete' })
  }

  #broken(carrier: number, now: Instant): void {
    if (carrier !== this.#carrier) {
      return this.#attemptFailed(carrier, { type: 'unopened' }, now)
    }
    this.#out.push({ type: 'drop', carrier })
    this.#carrier = undefined
    this.#ready = false
    if (this.#seeker === undefined) this.#timers.set('keep', now + RESUMPTION_LIMITS.keepMs)
    else this.#seek((seeker) => seeker.lost(now))
  }

  #attemptFailed(carrier: number, outcome: Outcome, now: Instant): void {
    if (this.#seeker?.isAttempt(carrier) !== true) return
    if (!this.#established) return this.#end(outcome)
    this.#out.push({ type: 'drop', carrier })
    this.#seeker.failed(now)
  }

  #tick(now: Instant): void {
    this.#seek((seeker) => seeker.tick(now))
    if (!this.#established && this.#seeker?.timers.has('retry') === true) {
      return this.#end({ type: 'unopened' })
    }
    if (this.#seeker?.gaveUp === true) return this.#giveUp(RESUMPTION_LIMITS.seekMs)
    for (const name of this.#timers.takeDue(now)) {
      if (name === 'keep') return this.#giveUp(RESUMPTION_LIMITS.keepMs)
      if (name === 'stall') this.#seek((seeker) => seeker.stalled(now))
      else this.#ackDue = true
    }
  }

  #giveUp(ms: number): void {
    if (this.#done) return this.#end({ type: 'complete' })
    this.#end({ type: 'lost', text: `there was no way to the peer for ${ms / 1000} s` })
  }

  #seek(decide: (seeker: Seeker) => SeekOutput[]): void {
    if (this.#seeker !== undefined) this.#out.push(...decide(this.#seeker))
  }

  /**
   * What was written has arrived: the other side may go on reading it, which a reset would end. Then, or when that side
   * finds the session gone, it learns the rest.
   */
  #leave(): void {
    if (this.#flushed) this.#end({ type: 'lost', text: 'the link was closed' })
    else this.#reset('application', { type: 'lost', text: 'the link was closed' })
  }

  #violation(text: string): void {
    this.#reset('violation', { type: 'violation', text })
  }

  #reset(code: ResetCode, outcome: Outcome): void {
    if (this.#carrier !== undefined && this.#established) {
      this.#send(this.#carrier, { type: 'reset', code })
      this.#out.push({ type: 'finish', carrier: this.#carrier })
    }
    this.#end(outcome)
  }

  #end(outcome: Outcome): void {
    this.#over = true
    for (const name of ['ack', 'stall', 'keep'] as const) this.#timers.clear(name)
    this.#outgoing.release()
    this.#incoming.release(outcome.type !== 'complete')
    this.#out.push({ type: 'over', outcome })
  }
}
