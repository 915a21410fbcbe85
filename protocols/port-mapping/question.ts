import type { Instant } from '../kernel/machine.ts'
import { Epoch } from './epoch.ts'
import { PORT_MAPPING_LIMITS } from './limits.ts'
import type { DatagramProtocol, Outcome, Task, Way, WayInput, WayOutput } from './way.ts'

/** What an answer says, with the gateway's clock where it sends one that counts. */
export interface Heard {
  outcome: Outcome
  epoch?: number
}

/** How one of the protocols over UDP writes its questions and reads the answers. */
export interface Dialect {
  protocol: DatagramProtocol
  encode(task: Task): Uint8Array
  decode(bytes: Uint8Array, task: Task): Heard | undefined
}

/** Asks by datagrams: repeats a question until it is answered or the patience is over. */
export class QuestionWay implements Way {
  readonly #dialect: Dialect
  readonly #epoch = new Epoch()
  #task: Task | undefined
  #sent = 0
  #unreachable = 0
  #repeatAt: Instant | undefined

  constructor(dialect: Dialect) {
    this.#dialect = dialect
  }

  get protocol(): DatagramProtocol {
    return this.#dialect.protocol
  }

  begin(task: Task, now: Instant): WayOutput[] {
    this.#task = task
    this.#sent = 0
    this.#unreachable = 0
    return this.#send(task, now)
  }

  step(input: WayInput, now: Instant): WayOutput[] {
    const task = this.#task
    if (task === undefined) return []
    if (input.type === 'datagram') return this.#hear(input.bytes, task, now)
    if (input.type === 'unreachable') {
      const over = ++this.#unreachable >= PORT_MAPPING_LIMITS.unreachable
      return over ? this.#done(task, { type: 'silent' }) : []
    }
    if (this.#repeatAt === undefined || now < this.#repeatAt) return []
    const patient = this.#sent < PORT_MAPPING_LIMITS.patienceMs.length
    return patient ? this.#send(task, now) : this.#done(task, { type: 'silent' })
  }

  nextWake(): Instant | undefined {
    return this.#repeatAt
  }

  #send(task: Task, now: Instant): WayOutput[] {
    this.#repeatAt = now + (PORT_MAPPING_LIMITS.patienceMs[this.#sent] ?? 0)
    this.#sent += 1
    return [{ type: 'send', bytes: this.#dialect.encode(task) }]
  }

  /** What is no answer is as if it had not come: somebody may send garbage before the gateway speaks. */
  #hear(bytes: Uint8Array, task: Task, now: Instant): WayOutput[] {
    const heard = this.#dialect.decode(bytes, task)
    if (heard === undefined) return []
    const restarted = heard.epoch !== undefined && this.#epoch.restarted(heard.epoch, now)
    const lost = restarted && heard.outcome.type === 'standing'
    return this.#done(task, lost ? { type: 'forgotten' } : heard.outcome)
  }

  #done(task: Task, outcome: Outcome): WayOutput[] {
    this.#task = undefined
    this.#repeatAt = undefined
    return [{ type: 'done', task, outcome }]
  }
}
