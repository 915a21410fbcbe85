import assert from 'node:assert/strict'
import { MemoryBudget } from '../../../protocols/resumption/budget.ts'
import { encodeFrame, FrameReader } from '../../../protocols/resumption/codec.ts'
import type { Frame } from '../../../protocols/resumption/codec.ts'
import { MEMORY, RESUMPTION_LIMITS } from '../../../protocols/resumption/limits.ts'
import { Session } from '../../../protocols/resumption/session.ts'
import type {
  Outcome,
  SessionInput,
  SessionOutput,
} from '../../../protocols/resumption/session-io.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'

export type Side = 'opener' | 'answerer'

const OTHER = { opener: 'answerer', answerer: 'opener' } as const

/** All that the sessions of a node may ever hold. */
const BUDGET_BYTES = MEMORY.sharedBytes + 2 * RESUMPTION_LIMITS.sessions * MEMORY.floorBytes

/** The byte at an offset of what a side writes: repeats at no distance that a mistake is likely to have. */
export function byteAt(side: Side, offset: number): number {
  return (offset * 31 + (offset >> 8) * 17 + (side === 'opener' ? 0 : 101)) & 0xff
}

interface Direction {
  /** Frames as bytes, cut wherever the test says. */
  bytes: Uint8Array
  reader: FrameReader
  /** Closed in order by its sender. */
  closed: boolean
  /** The receiver has been told. */
  told: boolean
}

interface Carrier {
  number: number
  /** Towards that side. */
  to: Record<Side, Direction>
}

class End {
  readonly side: Side
  readonly machine: Session
  readonly budget: MemoryBudget
  written = 0
  delivered = 0
  consumed = 0
  reading = true
  finished = false
  ended = false
  flushed = false
  outcome: Outcome | undefined

  constructor(side: Side, now: number) {
    this.side = side
    this.budget = new MemoryBudget()
    const session = new Uint8Array(16).fill(7)
    const opens = { session, protocol: '/test/1.0.0', rng: seededRng(1) }
    const options = { opens: side === 'opener' ? opens : undefined, budget: this.budget }
    this.machine = new Session(options, now)
  }
}

/** Two ends of one session, and between them carriers that deliver, cut and stall as they are told. */
export class World {
  now = 1_000
  readonly ends: Record<Side, End> = {
    opener: new End('opener', this.now),
    answerer: new End('answerer', this.now),
  }
  readonly carriers = new Map<number, Carrier>()
  /** Carriers that the opener wants. */
  wanted: { carrier: number; connect: boolean; avoid: string | undefined }[] = []
  path = 'path-1'

  /** Establishes the session. */
  begin(): void {
    this.feed('opener', { type: 'start' })
    this.connect(true)
    this.settle()
  }

  feed(side: Side, input: SessionInput): void {
    const end = this.ends[side]
    const queue: SessionInput[] = [input]
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const output of end.machine.step(next, this.now)) this.#perform(end, output, queue)
      this.#check(end)
    }
  }

  write(side: Side, bytes: number): void {
    const end = this.ends[side]
    if (end.finished || end.outcome !== undefined) return
    const chunk = Uint8Array.from({ length: bytes }, (_, i) => byteAt(side, end.written + i))
    end.written += end.machine.append([chunk])
    // The writer may use its memory again at once.
    chunk.fill(0xee)
    this.feed(side, { type: 'written' })
  }

  finish(side: Side): void {
    this.ends[side].finished = true
    this.feed(side, { type: 'finished' })
  }

  read(side: Side, reading: boolean): void {
    const end = this.ends[side]
    end.reading = reading
    if (!reading) return
    end.consumed = end.delivered
    this.feed(side, { type: 'consumed', offset: end.consumed })
  }

  /** The oldest carrier that is wanted is opened, or cannot be. */
  connect(works: boolean): void {
    const wanted = this.wanted.shift()
    if (wanted === undefined) return
    const { carrier: number } = wanted
    this.feed('opener', { type: 'trying', carrier: number, path: this.path })
    if (!works) return this.feed('opener', { type: 'unopened', carrier: number })
    this.carriers.set(number, { number, to: { opener: direction(), answerer: direction() } })
    this.feed('opener', { type: 'opened', carrier: number })
  }

  /** Delivers up to `bytes` of what is on its way to a side on one of the carriers. */
  deliver(to: Side, which: number, bytes: number): void {
    const carrier = [...this.carriers.values()].at(which % Math.max(1, this.carriers.size))
    if (carrier === undefined) return
    const way = carrier.to[to]
    const chunk = way.bytes.subarray(0, bytes)
    way.bytes = way.bytes.subarray(bytes)
    const { number } = carrier
    way.reader.read(chunk, (frame) => this.feed(to, { type: 'frame', carrier: number, frame }))
    if (chunk.length > 0 && way.bytes.length === 0) {
      this.feed(OTHER[to], { type: 'writable', carrier: number })
    }
    if (way.closed && way.bytes.length === 0 && !way.told) {
      way.told = true
      this.feed(to, { type: 'ended', carrier: number })
    }
  }

  /** All carriers die; what was on its way is lost. */
  cut(): void {
    const numbers = [...this.carriers.keys()]
    this.carriers.clear()
    for (const carrier of numbers) {
      for (const side of ['opener', 'answerer'] as const)
        this.feed(side, { type: 'broken', carrier })
    }
  }

  move(): void {
    this.path = `path-${Number(this.path.slice(5)) + 1}`
    this.feed('opener', { type: 'path', best: this.path })
  }

  pass(ms: number): void {
    this.now += ms
    for (const side of ['opener', 'answerer'] as const) {
      const { machine } = this.ends[side]
      for (let i = 0; (machine.nextWake() ?? Infinity) <= this.now; i++) {
        assert.ok(i < 100, 'a machine that is always due')
        this.feed(side, { type: 'tick' })
      }
    }
  }

  /** Delivers everything there is, until nothing moves any more. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      const busy = [...this.carriers.values()].some(({ to }) =>
        [to.opener, to.answerer].some((way) => way.bytes.length > 0 || (way.closed && !way.told)),
      )
      if (!busy) return
      for (let which = 0; which < this.carriers.size; which++) {
        this.deliver('answerer', which, Infinity)
        this.deliver('opener', which, Infinity)
      }
    }
    assert.fail('the two never come to rest')
  }

  /** From here on the world is kind: everything works, both read, and both finish. */
  endWell(): void {
    for (const side of ['opener', 'answerer'] as const) this.read(side, true)
    for (const side of ['opener', 'answerer'] as const) this.finish(side)
    // A side that cannot know whether its goodbye was heard waits for 45 s, unseen by the application.
    for (let i = 0; i < 1_000 && !this.over; i++) {
      while (this.wanted.length > 0) this.connect(true)
      this.settle()
      this.pass(100)
    }
  }

  get over(): boolean {
    return Object.values(this.ends).every(({ outcome }) => outcome !== undefined)
  }

  #perform(end: End, output: SessionOutput, queue: SessionInput[]): void {
    switch (output.type) {
      case 'open':
        this.wanted.push(output)
        return
      case 'drop':
        return this.#drop(end, output.carrier)
      case 'send':
        return this.#send(end, output.carrier, output.frames)
      case 'finish': {
        const carrier = this.carriers.get(output.carrier)
        if (carrier !== undefined) carrier.to[OTHER[end.side]].closed = true
        return
      }
      case 'deliver':
        this.#deliver(end, output.bytes)
        if (end.reading) end.consumed = end.delivered
        queue.push({ type: 'consumed', offset: end.consumed })
        return
      case 'ended':
        end.ended = true
        return
      case 'flushed':
        end.flushed = true
        return
      case 'over':
        end.outcome = output.outcome
        return this.#letGo(end)
      default:
    }
  }

  #deliver(end: End, bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte !== byteAt(OTHER[end.side], end.delivered++)) {
        assert.fail(`${end.side} was given a wrong byte at ${end.delivered - 1}`)
      }
    }
  }

  #send(end: End, number: number, frames: Frame[]): void {
    const way = this.carriers.get(number)?.to[OTHER[end.side]]
    if (way === undefined) return
    assert.ok(!way.closed, 'nothing is sent on a carrier that was closed')
    way.bytes = new Uint8Array(Buffer.concat([way.bytes, ...frames.flatMap(encodeFrame)]))
  }

  /** One side lets go of a carrier: the other learns that it broke. */
  #drop(end: End, carrier: number): void {
    this.wanted = this.wanted.filter((wanted) => wanted.carrier !== carrier)
    if (!this.carriers.delete(carrier)) return
    this.#broken.push([OTHER[end.side], carrier])
  }

  /** Who is done drops every carrier that it has not closed in order. */
  #letGo(end: End): void {
    if (end.side === 'opener') this.wanted = []
    for (const { number, to } of this.carriers.values()) {
      if (!to[OTHER[end.side]].closed) this.#drop(end, number)
    }
  }

  readonly #broken: [Side, number][] = []

  #check(end: End): void {
    assert.ok(end.budget.used <= BUDGET_BYTES)
    assert.ok(end.delivered - end.consumed <= MEMORY.ceilingBytes)
    assert.ok(
      end.budget.used <= 2 * MEMORY.ceilingBytes,
      `${end.budget.used} bytes for one session`,
    )
    assert.ok(end.written - this.ends[OTHER[end.side]].delivered <= 2 * MEMORY.ceilingBytes)
    if (end.outcome?.type === 'violation') assert.fail(`${end.side}: ${end.outcome.text}`)
    for (const [side, carrier] of this.#broken.splice(0))
      this.feed(side, { type: 'broken', carrier })
  }
}

function direction(): Direction {
  return { bytes: new Uint8Array(), reader: new FrameReader(), closed: false, told: false }
}
