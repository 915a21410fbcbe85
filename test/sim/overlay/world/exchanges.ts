import type { Frame } from '../../../../protocols/peer-exchange/messages.ts'
import { BYTES, TIMES } from './constants.ts'
import { frameSize } from './frame-size.ts'
import { EVENT } from './ground.ts'
import type { Ground } from './ground.ts'
import type { Link } from './link.ts'
import type { Links } from './links.ts'

/** The number of a telling: nobody waits for its answer. */
const TOLD = -1

interface Exchange {
  link: Link
  from: number
  to: number
  /** As the asker counts. */
  number: number
  askedAt: number
  frame: Frame
  answer: Frame | undefined
}

/** Carries questions, answers and tellings over links. Every question is answered, if only with nothing. */
export class Exchanges {
  readonly #ground: Ground
  readonly #links: Links
  /** What is being answered in this very step. */
  #serving: Exchange | undefined
  #numbers = 0

  constructor(ground: Ground, links: Links) {
    this.#ground = ground
    this.#links = links
  }

  ask(from: number, to: number, number: number, frame: Frame): void {
    const link = this.#links.get(from, to)
    const { now, queue } = this.#ground
    if (link === undefined) {
      queue.push(now, EVENT.answer, from, number, undefined)
      return
    }
    this.#send({ link, from, to, number, askedAt: now, frame, answer: undefined })
  }

  tell(from: number, to: number, frame: Frame): void {
    const link = this.#links.get(from, to)
    if (link === undefined) return
    const askedAt = this.#ground.now
    this.#send({ link, from, to, number: TOLD, askedAt, frame, answer: undefined })
  }

  /** A question has arrived, if the other side still listens. */
  arrived(exchange: Exchange): void {
    const { link, from, to, frame, number } = exchange
    const { people, wire } = this.#ground
    if (people.alive[to] === 0 || !this.#isCarried(exchange)) {
      this.#unanswered(exchange)
      return
    }
    if (!link.isOpenAt(to)) {
      if (number !== TOLD) this.#back(exchange)
      return
    }
    this.#serving = exchange
    const peer = people.keys[from] as string
    this.#ground.feed(to, { type: 'request', exchange: ++this.#numbers, peer, frame })
    this.#serving = undefined
    const { answer } = exchange
    const bytes = BYTES.stream + (answer === undefined || number === TOLD ? 0 : frameSize(answer))
    wire.count(to, from, link.via, bytes, answer?.type ?? 'no answer')
    if (number !== TOLD) this.#back(exchange)
  }

  /** What a machine says to the request it was just given. */
  reply(exchange: number, frame: Frame | undefined): void {
    if (this.#serving !== undefined && exchange === this.#numbers) this.#serving.answer = frame
  }

  answered(node: number, number: number, exchange: Exchange | undefined): void {
    const isHeard = exchange?.link.isOpenAt(node) === true && this.#isCarried(exchange)
    const frame = isHeard ? exchange.answer : undefined
    this.#ground.feed(node, { type: 'answer', exchange: number, frame })
  }

  #send(exchange: Exchange): void {
    const { link, from, to, frame } = exchange
    const { wire, queue, now } = this.#ground
    wire.count(from, to, link.via, BYTES.stream + frameSize(frame), frame.type)
    const at = link.arrival(to, now + wire.delay(from, to, link.via))
    queue.push(at, EVENT.arrive, to, 0, exchange)
  }

  #back(exchange: Exchange): void {
    const { link, from, to, number, askedAt } = exchange
    const { wire, queue, now } = this.#ground
    const at = link.arrival(from, now + wire.delay(to, from, link.via))
    if (at - askedAt > TIMES.answerMs) this.#unanswered(exchange)
    else queue.push(at, EVENT.answer, from, number, exchange)
  }

  /** Nothing comes back: the asker gives up in its own time. */
  #unanswered({ from, number, askedAt }: Exchange): void {
    if (number === TOLD) return
    this.#ground.queue.push(askedAt + TIMES.answerMs, EVENT.answer, from, number, undefined)
  }

  #isCarried({ link, from, to }: Exchange): boolean {
    const { people, wire } = this.#ground
    if (!wire.carries(from, to)) return false
    const { via } = link
    if (via === -1) return true
    return people.alive[via] === 1 && wire.carries(from, via) && wire.carries(via, to)
  }
}

export type { Exchange }
