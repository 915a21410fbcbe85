import { seededRng } from '../../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../../protocols/kernel/rng.ts'
import { Liveness } from '../../../../protocols/paths/liveness.ts'
import type { LivenessInput, LivenessOutput } from '../../../../protocols/paths/liveness.ts'
import type { Detect, Report, ScenarioOptions } from '../results.ts'
import { TIMES } from '../world/constants.ts'
import { EventQueue } from '../world/events.ts'
import { Population } from '../world/population.ts'
import { fixed, mixed } from '../world/random.ts'
import { Wire } from '../world/wire.ts'
import { HOUR, MINUTE, SECOND } from './session.ts'

/** Links each node makes; with those made to it twice as many. */
const LINKS = 5
/** One node dies every minute, and is back when its death is long known. */
const DEATH_EVERY_MS = MINUTE
const DEAD_FOR_MS = 3 * MINUTE
/** A link that ended without reason is made anew. */
const AGAIN_MS = 5 * SECOND

/** What came within this time of the last sign of life may have been sent before it: as the driver has it. */
const NEWS_MS = 1_000

const EVENT = {
  wake: 0,
  ping: 1,
  pong: 2,
  late: 3,
  missed: 4,
  death: 5,
  birth: 6,
  relink: 7,
} as const

interface Ends {
  a: number
  b: number
  since: number
  /** When bytes of the other last came to each. */
  toA: number
  toB: number
}

/** The failure detector that ships, on every link of a small overlay, over lossy lines and with silent deaths. */
export function detect(options: ScenarioOptions, report: Report): Detect {
  const run = new Detection(options)
  const untilMs = options.hours * HOUR
  for (let at = MINUTE; at < untilMs + MINUTE; at += MINUTE) {
    run.runUntil(Math.min(at, untilMs))
    report({ phase: 'detecting', atMs: run.now, untilMs, events: run.queue.taken })
  }
  return run.figures()
}

class Detection {
  readonly queue = new EventQueue()
  now = 0
  readonly #people: Population
  readonly #wire: Wire
  readonly #rng: Rng
  readonly #loss: number
  readonly #machines: Liveness[] = []
  readonly #links = new Map<number, Ends>()
  readonly #diedAt: number[]
  /** For when each machine's next waking is planned. */
  readonly #wakeAt: number[]
  readonly #detected: number[] = []
  #made = 0
  #deaths = 0
  #falseDown = 0
  #linkMs = 0

  constructor({ n, seed, privateShare, loss }: ScenarioOptions) {
    this.#rng = seededRng(seed)
    this.#loss = loss
    this.#people = new Population(seed, 0)
    this.#wire = new Wire(this.#people, this.#rng, 0)
    this.#diedAt = Array.from({ length: n }, () => NaN)
    this.#wakeAt = Array.from({ length: n }, () => Infinity)
    for (let node = 0; node < n; node++) {
      this.#people.add({ hidden: fixed(seed, node, 1) < privateShare, hostile: false })
      this.#machines.push(new Liveness(seededRng(mixed(seed, node, 2))))
    }
    for (let node = 0; node < n; node++) {
      for (let i = 0; i < LINKS; i++)
        this.queue.push(this.#rng() * MINUTE, EVENT.relink, node, 0, 0)
    }
    this.queue.push(DEATH_EVERY_MS, EVENT.death, 0, 0, undefined)
  }

  runUntil(end: number): void {
    while (this.queue.next() <= end) {
      this.queue.take()
      this.now = this.queue.at
      this.#happen()
    }
    this.now = end
  }

  figures(): Detect {
    for (const ends of this.#links.values()) this.#countTime(ends)
    const sorted = Float64Array.from(this.#detected).sort()
    const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? NaN
    let hash = 0
    for (const ms of this.#detected) hash = mixed(hash, Math.round(ms * 1000), 0)
    return {
      series: [],
      stateHash: hash.toString(16).padStart(8, '0'),
      events: this.queue.taken,
      endedMs: this.now,
      deaths: this.#deaths,
      detectedP50Ms: at(0.5),
      detectedP99Ms: at(0.99),
      linkHours: this.#linkMs / HOUR,
      falseDown: this.#falseDown,
    }
  }

  #happen(): void {
    const { kind, a, b } = this.queue
    if (kind === EVENT.wake) this.#wake(a)
    else if (kind === EVENT.ping || kind === EVENT.late) this.#cameTo(a, b)
    else if (kind === EVENT.pong) this.#ponged(a, b)
    else if (kind === EVENT.missed) this.#feed(a, { type: 'missed', link: `${b}` })
    else if (kind === EVENT.death) this.#die()
    else if (kind === EVENT.birth) this.#live(a)
    else this.#relink(a)
  }

  #wake(node: number): void {
    this.#wakeAt[node] = Infinity
    this.#feed(node, { type: 'tick' })
  }

  #isAlive(node: number): boolean {
    return Number.isNaN(this.#diedAt[node])
  }

  #die(): void {
    this.queue.push(this.now + DEATH_EVERY_MS, EVENT.death, 0, 0, undefined)
    const node = Math.floor(this.#rng() * this.#diedAt.length)
    if (!this.#isAlive(node)) return
    this.#deaths++
    this.#diedAt[node] = this.now
    this.queue.push(this.now + DEAD_FOR_MS, EVENT.birth, node, 0, undefined)
    for (const ends of this.#links.values()) {
      if (ends.a === node || ends.b === node) this.#countTime(ends)
    }
  }

  #live(node: number): void {
    this.#diedAt[node] = NaN
    this.#machines[node] = new Liveness(seededRng(mixed(this.#made, node, 3)))
    for (let i = 0; i < LINKS; i++) this.#relink(node)
  }

  #relink(a: number): void {
    const b = Math.floor(this.#rng() * this.#diedAt.length)
    if (!this.#isAlive(a)) return
    if (b === a || !this.#isAlive(b)) {
      this.queue.push(this.now + AGAIN_MS, EVENT.relink, a, 0, undefined)
      return
    }
    const link = this.#made++
    this.#links.set(link, { a, b, since: this.now, toA: this.now, toB: this.now })
    for (const [node, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const nature = this.#people.hidden[node] === 1 ? 'hidden' : 'public'
      this.#feed(node, { type: 'link-up', link: `${link}`, nature, peer: this.#people.keys[peer]! })
    }
  }

  #feed(node: number, input: LivenessInput): void {
    if (!this.#isAlive(node)) return
    const machine = this.#machines[node] as Liveness
    for (const output of machine.step(input, this.now)) this.#perform(node, output)
    const wake = machine.nextWake()
    if (wake === undefined || wake >= (this.#wakeAt[node] as number)) return
    this.#wakeAt[node] = wake
    this.queue.push(Math.max(wake, this.now), EVENT.wake, node, 0, undefined)
  }

  #perform(node: number, output: LivenessOutput): void {
    if (output.type === 'ping') this.#ping(node, Number(output.link), output.timeoutMs)
    else if (output.type === 'declare-dead') this.#declared(node, Number(output.link))
  }

  #ping(node: number, link: number, timeoutMs: number): void {
    const ends = this.#links.get(link)
    if (ends === undefined) return
    const heardAt = this.#machines[node]?.heardAt(`${link}`) ?? Infinity
    const at = ends.a === node ? ends.toA : ends.toB
    if (at > heardAt + NEWS_MS) {
      this.#feed(node, { type: 'heard', link: `${link}`, at })
      return
    }
    const other = ends.a === node ? ends.b : ends.a
    const thereMs = this.#segment(node, other)
    const backMs = this.#isAlive(other) ? thereMs + this.#segment(other, node) : Infinity
    if (backMs < Infinity) {
      this.queue.push(this.now + thereMs, EVENT.ping, other, link, undefined)
      const inTime = backMs < timeoutMs ? EVENT.pong : EVENT.late
      this.queue.push(this.now + backMs, inTime, node, link, undefined)
    }
    if (backMs >= timeoutMs)
      this.queue.push(this.now + timeoutMs, EVENT.missed, node, link, undefined)
  }

  /** Bytes of the other side came: worth a look at them when it is to be asked again. */
  #cameTo(node: number, link: number): void {
    const ends = this.#links.get(link)
    if (ends?.a === node) ends.toA = this.now
    else if (ends !== undefined) ends.toB = this.now
  }

  #ponged(node: number, link: number): void {
    this.#cameTo(node, link)
    this.#feed(node, { type: 'heard', link: `${link}` })
  }

  /** One segment: sent again, each time after twice as long, until it is not lost. */
  #segment(from: number, to: number): number {
    let delay = this.#wire.delay(from, to, -1)
    for (let wait = TIMES.retransmitMs; this.#rng() < this.#loss; wait *= 2) delay += wait
    return delay
  }

  #declared(node: number, link: number): void {
    const ends = this.#links.get(link)
    if (ends === undefined) return
    this.#links.delete(link)
    const other = ends.a === node ? ends.b : ends.a
    if (!this.#isAlive(other)) this.#detected.push(this.now - (this.#diedAt[other] as number))
    else {
      this.#falseDown++
      this.#countTime(ends)
      this.#feed(other, { type: 'link-down', link: `${link}` })
    }
    this.queue.push(this.now + AGAIN_MS, EVENT.relink, ends.a, 0, undefined)
  }

  /** Both ends watch: twice the time. */
  #countTime(ends: Ends): void {
    if (!Number.isNaN(ends.since)) this.#linkMs += 2 * (this.now - ends.since)
    ends.since = NaN
  }
}
