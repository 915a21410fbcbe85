import { familyOf, networksOf } from '../kernel/address.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { DialOutcome, RefusalCode } from './codec.ts'
import { Examination } from './examination.ts'
import type { Helper, Question, Step } from './examination.ts'
import type { Finding, Sampling } from './findings.ts'
import { PROBE_LIMITS } from './limits.ts'

export type AskerInput =
  | Tick
  /** There is a direct connection to a peer on the internet that speaks the protocol; or there is one no more. */
  | { type: 'helper'; helper: Helper }
  | { type: 'helper-gone'; peer: string }
  /** Whether probes would tell anything that is not known. */
  | { type: 'wanted'; wanted: boolean }
  /** This node is in another network, or behind another address. */
  | { type: 'moved' }
  /** Outside IPv4 ports that the router forwards to our listening port, as it says. */
  | { type: 'mapped'; ports: number[] }
  /** What `sample` came to; undefined when the helper could not or would not. */
  | { type: 'sampled'; examination: number; sampling: Sampling | undefined }
  /** What `open-silent` came to: the local port. */
  | { type: 'opened'; examination: number; port: number | undefined }
  /**
   * Somebody connected to the door that was asked about and knew the nonce. `contacted`: the listening port has sent to
   * that address within the time that routers remember; `ours`: it is our own outside.
   */
  | { type: 'knocked'; question: number; from: string; contacted: boolean; ours: boolean }
  /** What the helper said; `nothing`: no answer in time. */
  | { type: 'answered'; question: number; result: DialOutcome | RefusalCode | 'nothing' }

export type AskerOutput =
  /** Have the helper open a port; connect from the listening port and from `fresh` new ones, which stay open. */
  | { type: 'sample'; examination: number; peer: string; fresh: number }
  /** Ask for a dial-back to `port`, and note from whom it comes, if it comes. */
  | ({ type: 'ask'; question: number; examination: number; peer: string } & Question)
  /** Listen on a new port, and send from it to nobody who could answer. */
  | { type: 'open-silent'; examination: number }
  /** The examination is over: close its ports. */
  | { type: 'close'; examination: number }
  | { type: 'finding'; finding: Finding }

interface Known {
  helper: Helper
  /** Whether there is a connection to it. One that comes back is not to be asked the same again. */
  present: boolean
  /** When it may be examined (again). */
  dueAt: Instant
  /** It has told something since we are in this network, and this is not to be asked again yet. */
  done: boolean
}

interface Asked {
  examination: number
  question: Question
}

const NONE: readonly number[] = []

/** Decides which helpers to ask what about this node's NAT, and when again. See SPEC.md section 3. */
export class ProbeAsker implements Machine<AskerInput, AskerOutput> {
  readonly #rng: Rng
  readonly #helpers = new Map<string, Known>()
  readonly #examinations = new Map<number, Examination>()
  /** Of the examinations under way: a few each. */
  readonly #questions = new Map<number, Asked>()
  #mapped: readonly number[] = []
  #wanted = true
  #numbers = 0
  /** Nothing begins before. */
  #from: Instant = 0

  constructor(rng: Rng) {
    this.#rng = rng
  }

  step(input: AskerInput, now: Instant): readonly AskerOutput[] {
    const out: AskerOutput[] = []
    this.#take(input, now, out)
    this.#endOverdue(now, out)
    this.#beginDue(now, out)
    return out
  }

  nextWake(): Instant | undefined {
    const times = [...this.#examinations.values()].map(({ until }) => until)
    const due = this.#wanted ? this.#nextDue() : undefined
    if (due !== undefined) times.push(due)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** How many could be asked, and whether any is being asked or is about to be. */
  progress(now: Instant): { helpers: number; busy: boolean } {
    const due = this.#wanted ? this.#nextDue() : undefined
    const soon = due !== undefined && due <= now + PROBE_LIMITS.movedMs
    return { helpers: this.#candidates().length, busy: this.#examinations.size > 0 || soon }
  }

  #take(input: AskerInput, now: Instant, out: AskerOutput[]): void {
    switch (input.type) {
      case 'tick':
        return
      case 'helper':
        return this.#met(input.helper, now)
      case 'helper-gone':
        return this.#gone(input.peer, out)
      case 'wanted':
        this.#wanted = input.wanted
        return
      case 'moved':
        return this.#moved(now, out)
      case 'mapped':
        return this.#setMapped(input.ports, now)
      case 'sampled':
      case 'opened':
        return this.#ported(input, now, out)
      default:
        return this.#told(input, now, out)
    }
  }

  #met(helper: Helper, now: Instant): void {
    const known = this.#helpers.get(helper.peer)
    if (known !== undefined) {
      Object.assign(known, { helper, present: true })
      return
    }
    if (this.#helpers.size >= PROBE_LIMITS.helpers && !this.#forgetOneAbsent()) return
    const dueAt = now + PROBE_LIMITS.startMs
    this.#helpers.set(helper.peer, { helper, present: true, dueAt, done: false })
  }

  #forgetOneAbsent(): boolean {
    const [peer] = [...this.#helpers].find(([, { present }]) => !present) ?? []
    return peer !== undefined && this.#helpers.delete(peer)
  }

  #gone(peer: string, out: AskerOutput[]): void {
    const known = this.#helpers.get(peer)
    if (known !== undefined) known.present = false
    for (const [number, { helper }] of this.#examinations) {
      if (helper.peer === peer) this.#close(number, out)
    }
  }

  #moved(now: Instant, out: AskerOutput[]): void {
    for (const number of this.#examinations.keys()) this.#close(number, out)
    this.#allDue(now)
  }

  #setMapped(ports: number[], now: Instant): void {
    const mapped = ports.slice(0, PROBE_LIMITS.mapped)
    if (mapped.join() === this.#mapped.join()) return
    this.#mapped = mapped
    // A port that the router does not forward any more needs no asking.
    if (mapped.length > 0) this.#allDue(now)
  }

  /** Routers map ports of IPv4; over IPv6 they open the one that is listened on. */
  #mappedFor({ ip }: Helper): readonly number[] {
    return familyOf(ip) === 'ip4' ? this.#mapped : NONE
  }

  #hasNewPorts(helper: Helper, asked: readonly number[]): boolean {
    return this.#mappedFor(helper).some((port) => !asked.includes(port))
  }

  #allDue(now: Instant): void {
    this.#from = now + PROBE_LIMITS.movedMs
    for (const known of this.#helpers.values()) Object.assign(known, { dueAt: 0, done: false })
  }

  #ported(
    input: Extract<AskerInput, { type: 'sampled' | 'opened' }>,
    now: Instant,
    out: AskerOutput[],
  ): void {
    const examination = this.#examinations.get(input.examination)
    if (examination === undefined) return
    const { findings, next } =
      input.type === 'sampled'
        ? examination.sampled(input.sampling)
        : { findings: [], next: examination.opened(input.port) }
    this.#follow(input.examination, examination, findings, next, now, out)
  }

  #told(
    input: Extract<AskerInput, { type: 'knocked' | 'answered' }>,
    now: Instant,
    out: AskerOutput[],
  ): void {
    const asked = this.#questions.get(input.question)
    const examination = this.#examinations.get(asked?.examination ?? -1)
    if (asked === undefined || examination === undefined) return
    if (input.type === 'knocked') {
      const findings = examination.knocked(asked.question, input.from, input)
      return this.#follow(asked.examination, examination, findings, [], now, out)
    }
    this.#questions.delete(input.question)
    const { findings, next } = examination.answered(asked.question, input.result)
    this.#follow(asked.examination, examination, findings, next, now, out)
  }

  #follow(
    number: number,
    examination: Examination,
    findings: Finding[],
    next: Step[],
    now: Instant,
    out: AskerOutput[],
  ): void {
    for (const finding of findings) out.push({ type: 'finding', finding })
    for (const step of next) this.#carryOut(number, examination.helper.peer, step, out)
    if (examination.over) this.#end(number, examination, now, out)
  }

  #carryOut(examination: number, peer: string, step: Step, out: AskerOutput[]): void {
    if (step.type === 'sample') {
      out.push({ type: 'sample', examination, peer, fresh: PROBE_LIMITS.freshPorts })
    } else if (step.type === 'open-silent') {
      out.push({ type: 'open-silent', examination })
    } else {
      const question = ++this.#numbers
      this.#questions.set(question, { examination, question: step.question })
      out.push({ type: 'ask', question, examination, peer, ...step.question })
    }
  }

  #endOverdue(now: Instant, out: AskerOutput[]): void {
    for (const [number, examination] of this.#examinations) {
      if (examination.until <= now) this.#end(number, examination, now, out)
    }
  }

  #end(number: number, examination: Examination, now: Instant, out: AskerOutput[]): void {
    const { useful, helper, mapped } = examination
    this.#close(number, out)
    const known = this.#helpers.get(helper.peer)
    // A port that the router has opened meanwhile was not asked about: that is due as it was.
    if (known === undefined || this.#hasNewPorts(helper, mapped)) return
    const pause = useful ? PROBE_LIMITS.refreshMs : PROBE_LIMITS.retryMs
    known.dueAt = now + jittered(pause, PROBE_LIMITS.refreshSpread, this.#rng)
    known.done = useful
  }

  #close(number: number, out: AskerOutput[]): void {
    this.#examinations.delete(number)
    for (const [question, { examination }] of this.#questions) {
      if (examination === number) this.#questions.delete(question)
    }
    out.push({ type: 'close', examination: number })
  }

  #beginDue(now: Instant, out: AskerOutput[]): void {
    if (!this.#wanted || now < this.#from) return
    for (const { helper, dueAt } of this.#candidates()) {
      if (dueAt > now) continue
      if (!this.#hasRoomFor(helper, now)) continue
      const number = ++this.#numbers
      const examination = new Examination(helper, this.#mappedFor(helper), now)
      this.#examinations.set(number, examination)
      for (const step of examination.begin()) this.#carryOut(number, helper.peer, step, out)
    }
  }

  /** Whom the operator chose first, then whoever waits longest. */
  #candidates(): Known[] {
    return [...this.#helpers.values()]
      .filter(({ present }) => present)
      .sort((a, b) => Number(b.helper.trusted) - Number(a.helper.trusted) || a.dueAt - b.dueAt)
  }

  /** One word a network is enough, and a few networks are. */
  #hasRoomFor({ ip }: Helper, now: Instant): boolean {
    if (this.#examinations.size >= PROBE_LIMITS.examinations) return false
    const networks = this.#networksHeard(now)
    return networks.size < PROBE_LIMITS.enough && !networks.has(networkOf(ip))
  }

  #networksHeard(now: Instant): Set<string> {
    const underWay = [...this.#examinations.values()].map(({ helper }) => helper)
    const done = [...this.#helpers.values()].filter((known) => known.done && known.dueAt > now)
    return new Set(
      [...underWay, ...done.map(({ helper }) => helper)].map(({ ip }) => networkOf(ip)),
    )
  }

  /** When the next examination can begin, if no other is over before. */
  #nextDue(): Instant | undefined {
    const times = this.#candidates().flatMap(({ helper, dueAt }) => {
      const at = Math.max(dueAt, this.#from)
      return this.#hasRoomFor(helper, at) ? [at] : []
    })
    return times.length === 0 ? undefined : Math.min(...times)
  }
}

function networkOf(ip: string): string {
  return networksOf(ip)?.narrow ?? ip
}
