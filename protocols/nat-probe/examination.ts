import type { Instant } from '../kernel/machine.ts'
import type { DialOutcome, RefusalCode } from './codec.ts'
import type { Door, Finding, Sampling, Witness } from './findings.ts'
import { PROBE_LIMITS } from './limits.ts'

/** What a helper may be asked about, and how. */
export interface Helper extends Witness {
  /** The port to be dialled at: 0 for the one at which the helper sees us. */
  port: number
  /** Nothing translates between us and the helper: our own address is a public one. */
  bare: boolean
}

/** One dial-back that is asked for. */
export interface Question {
  door: Door
  other: boolean
  port: number
  /** The local port behind a fresh or silent door; of the others it is the one that is listened on. */
  local?: number
}

/** What an examination wants next. */
export type Step =
  | { type: 'sample' }
  | { type: 'ask'; question: Question }
  /** Open a port that has sent to nobody who could answer. */
  | { type: 'open-silent' }

/** What came of a question: `nothing` tells nothing, `no-third` that the helper knows nobody to send. */
type Result = 'stranger' | 'reached' | 'failed' | 'no-third' | 'nothing'

/** An examination with answers that keep it waiting is given up; each wait of the driver's is shorter. */
const OVERDUE_MS = 4 * PROBE_LIMITS.answerMs

/** What is asked of one helper, in which order, and what follows from the answers. See SPEC.md section 3. */
export class Examination {
  readonly helper: Helper
  readonly until: Instant
  /** Outside ports that the router says it forwards. */
  readonly mapped: readonly number[]
  readonly #results = new Map<string, Result>()
  readonly #open = new Set<string>()
  #sampling: Sampling | undefined
  /** Who came in at a mapped port at which it might have come in without the mapping. */
  #ambiguous: Extract<Finding, { type: 'reached' }> | undefined
  #useful = false
  /** Which part is under way: the listening port, fresh ports, the silent one. */
  #part: 'listening' | 'fresh' | 'silent' = 'listening'

  constructor(helper: Helper, mapped: readonly number[], now: Instant) {
    this.helper = helper
    this.until = now + OVERDUE_MS
    this.mapped = mapped
  }

  /** Whether the helper has told anything. */
  get useful(): boolean {
    return this.#useful
  }

  /** Nothing is left to wait for. */
  get over(): boolean {
    return this.#open.size === 0
  }

  begin(): Step[] {
    const listening = this.#both({ door: 'listening', port: this.helper.port })
    const mapped = this.mapped.flatMap((port) => this.#both({ door: 'mapped', port }))
    if (this.helper.bare) return [...listening, ...mapped]
    this.#open.add('sample')
    return [{ type: 'sample' }, ...listening, ...mapped]
  }

  /** What the helper saw, or undefined when it could not tell. */
  sampled(sampling: Sampling | undefined): { findings: Finding[]; next: Step[] } {
    if (!this.#open.delete('sample')) return { findings: [], next: [] }
    this.#sampling = sampling
    if (sampling === undefined) return { findings: [], next: this.#next() }
    this.#useful = true
    const finding: Finding = { type: 'sampled', by: this.#witness(), sampling }
    return { findings: [finding, ...this.#resolved()], next: this.#next() }
  }

  /** The silent port is open, or could not be opened. */
  opened(local: number | undefined): Step[] {
    if (!this.#open.delete('opening')) return []
    const offset = this.#offset()
    const port = (local ?? 0) + (offset ?? 0)
    if (local === undefined || offset === undefined || port < 1 || port > 65_535) return []
    return [this.#ask({ door: 'silent', other: false, port, local })]
  }

  /** Somebody knocked for a question; `contacted`: the listening port has sent to that address; `ours`: it is our own. */
  knocked(question: Question, from: string, { contacted, ours }: Contact): Finding[] {
    const key = keyOf(question)
    if (!this.#open.has(key) || this.#results.has(key)) return []
    this.#useful = true
    const { door, other, port } = question
    const stranger = !ours && this.#isStranger(door, from, contacted)
    this.#results.set(key, stranger ? 'stranger' : 'reached')
    const by = this.#witness()
    const mapped = door === 'mapped' ? { port } : {}
    const finding = { type: 'reached', by, door, other, stranger, from, ...mapped } as const
    if (door === 'mapped' && !stranger && !ours) this.#ambiguous ??= finding
    return [finding, ...this.#resolved()]
  }

  /** A fresh port has sent to the helper alone, a silent one to nobody, the others to whomever this node talks to. */
  #isStranger(door: Door, from: string, contacted: boolean): boolean {
    if (door === 'silent') return true
    return door === 'fresh' ? from !== this.helper.ip : !contacted
  }

  /** The helper answered; `nothing`: it did not in time, or it lied. */
  answered(
    question: Question,
    result: DialOutcome | RefusalCode | 'nothing',
  ): { findings: Finding[]; next: Step[] } {
    const key = keyOf(question)
    if (!this.#open.delete(key)) return { findings: [], next: [] }
    if (!this.#results.has(key)) this.#results.set(key, resultOf(result))
    const failed = this.#results.get(key) === 'failed'
    if (failed) this.#useful = true
    const { door, other, port } = question
    const own = door === 'listening' || door === 'mapped'
    const findings: Finding[] =
      failed && own
        ? [{ type: 'failed', by: this.#witness(), door, other, ...(door === 'mapped' && { port }) }]
        : []
    const together = [...this.#resolved(), ...this.#controlled()]
    return { findings: [...findings, ...together], next: this.#next() }
  }

  /**
   * Whoever came in at a mapped port did so because of the mapping if it is one that we never sent from; or if the helper, to which
   * we have sent from another port too, does not get in there.
   */
  #resolved(): Finding[] {
    const mapped = this.#ambiguous
    const seen = this.#sampling?.seen
    if (mapped === undefined || seen === undefined) return []
    const forwarded = seen.port !== mapped.port || this.#resultOf('fresh', false) === 'failed'
    if (!forwarded) return []
    this.#ambiguous = undefined
    return [{ ...mapped, stranger: true }]
  }

  /**
   * That nobody gets in at a fresh port tells something of the router only if the helper, to which that port has sent, does: this
   * host's own firewall may know the listening port alone.
   */
  #controlled(): Finding[] {
    if (!this.over || this.#resultOf('fresh', false) !== 'reached') return []
    return (['fresh', 'silent'] as const).flatMap((door) => {
      const other = door === 'fresh'
      if (this.#resultOf(door, other) !== 'failed') return []
      return [{ type: 'failed', by: this.#witness(), door, other }]
    })
  }

  #next(): Step[] {
    if (!this.over) return []
    if (this.#part === 'listening' && this.#isUndecided()) return this.#freshPart()
    const fresh = this.#resultOf('fresh', true)
    const unanswered = fresh === 'nothing' || fresh === 'no-third'
    return this.#part === 'fresh' && unanswered ? this.#silentPart() : []
  }

  /** The helper gets in at the listening port, and nobody has told yet whether a stranger does. */
  #isUndecided(): boolean {
    const [self, other] = [this.#resultOf('listening', false), this.#resultOf('listening', true)]
    const open = self === 'reached' || other === 'reached'
    return open && other !== 'stranger' && other !== 'failed' && this.#door() !== undefined
  }

  #freshPart(): Step[] {
    this.#part = 'fresh'
    const fresh = this.#door()
    if (fresh === undefined) return []
    const door = { door: 'fresh', port: fresh.seen.port, local: fresh.local } as const
    const self = this.#ask({ ...door, other: false })
    if (this.#resultOf('listening', true) === 'no-third') return [self, ...this.#silentPart()]
    return [self, this.#ask({ ...door, other: true })]
  }

  #silentPart(): Step[] {
    this.#part = 'silent'
    if (this.#offset() === undefined) return []
    this.#open.add('opening')
    return [{ type: 'open-silent' }]
  }

  /** A fresh port with its outside at the address that the helper will dial: routers with two addresses may use either. */
  #door(): Sampling['fresh'][number] | undefined {
    return this.#sampling?.fresh.find((one) => one.seen.ip === this.#sampling?.seen.ip)
  }

  /** What the router adds to every local port, if it does. */
  #offset(): number | undefined {
    const fresh = this.#sampling?.fresh ?? []
    const [first] = fresh.map(({ local, seen }) => seen.port - local)
    const same = fresh.every(({ local, seen }) => seen.port - local === first)
    return same && fresh.length >= PROBE_LIMITS.freshPorts ? first : undefined
  }

  #both(question: Omit<Question, 'other'>): Step[] {
    return [false, true].map((other) => this.#ask({ ...question, other }))
  }

  #ask(question: Question): Step {
    this.#open.add(keyOf(question))
    return { type: 'ask', question }
  }

  #resultOf(door: Door, other: boolean): Result | undefined {
    for (const [key, result] of this.#results) {
      if (key.startsWith(`${door} ${other} `)) return result
    }
    return undefined
  }

  #witness(): Witness {
    const { peer, ip, trusted } = this.helper
    return { peer, ip, trusted }
  }
}

interface Contact {
  contacted: boolean
  ours: boolean
}

/** Who says "reached" without a knock that arrived here tells nothing; nor who met somebody else, or could not dial at all. */
function resultOf(result: DialOutcome | RefusalCode | 'nothing'): Result {
  if (result === 'refused' || result === 'silent') return 'failed'
  return result === 'no-third' ? 'no-third' : 'nothing'
}

function keyOf({ door, other, port }: Question): string {
  return `${door} ${other} ${port}`
}
