import { familyOf, networksOf } from '../kernel/address.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { Rates } from '../kernel/rates.ts'
import { ReplayGuard } from '../kernel/replay-guard.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { TokenBucket } from '../kernel/token-bucket.ts'
import type { DialOutcome, Endpoint, RefusalCode } from './codec.ts'
import { PROBE_LIMITS } from './limits.ts'

/** A peer, and the IP address at which this node sees it. */
export interface SeenPeer {
  peer: string
  ip: string
}

/** A voucher in the words of the machine: peers as text, the nonce as hex, the time in milliseconds. */
export interface VouchedFor {
  helper: string
  third: string
  asker: string
  target: Endpoint
  nonce: string
  issuedAt: Instant
}

/** What somebody asks of this node. A `job` is one conversation; its number is the driver's. */
export type HelperInput =
  | Tick
  /** `able`: others can reach a port that this node opens. */
  | { type: 'sample'; job: number; asker: SeenPeer; connections: number; able: boolean }
  /** `thirds`: peers with a direct connection to this node that speak the protocol and can be reached by strangers. */
  | {
      type: 'back'
      job: number
      asker: SeenPeer
      /** The port at which the asker is seen, and the one that it names: 0 for that one. */
      seenPort: number
      port: number
      nonce: string
      byOther: boolean
      thirds: SeenPeer[]
    }
  | { type: 'errand'; job: number; from: string; voucher: VouchedFor | undefined }
  /** What `verify` came to. */
  | { type: 'verified'; job: number; genuine: boolean }
  /** A dial, an errand or the sampling of a job is over. */
  | { type: 'ended'; job: number; result: DialOutcome | RefusalCode }

export type HelperOutput =
  /** Open a port for connections from that address, tell of each, and close it again. */
  | { type: 'listen'; job: number; ip: string; connections: number }
  /** Dial from a port of its own, prove by the nonce for what, and close. */
  | { type: 'dial'; job: number; peer: string; target: Endpoint; nonce: string }
  /** Sign a voucher for that peer and send it there. */
  | { type: 'send'; job: number; third: string; asker: string; target: Endpoint; nonce: string }
  /** Check the signature of the voucher that came with the job. */
  | { type: 'verify'; job: number; by: string }
  | { type: 'answer'; job: number; result: DialOutcome | RefusalCode }

export interface HelperOptions {
  self: string
  rng: Rng
  /** Which addresses may be dialled for others: those of the internet. */
  dialable(ip: string): boolean
}

/** What is left to do for one request. */
interface Job {
  until: Instant
  asker: string
  target: Endpoint
  nonce: string
  /** Third peers that may still be asked. */
  thirds: string[]
  voucher: VouchedFor | undefined
}

const REFUSALS = new Set<string>(['too-many', 'no-third', 'unsupported', 'voucher', 'unknown'])

/** A job whose end nobody tells is given up; drivers have deadlines of their own, well before. */
const FORGOTTEN_MS = 2 * PROBE_LIMITS.answerMs

/**
 * Decides what this node does for askers, and as a third peer for other helpers. The time it is given must be Unix time
 * in milliseconds, because vouchers carry it. See SPEC.md.
 */
export class ProbeHelper implements Machine<HelperInput, HelperOutput> {
  readonly #options: HelperOptions
  readonly #jobs = new Map<number, Job>()
  readonly #askers = new Rates(PROBE_LIMITS.asker, PROBE_LIMITS.accounts)
  readonly #askerNetworks = new Rates(PROBE_LIMITS.askerNetwork, PROBE_LIMITS.accounts)
  readonly #all: TokenBucket
  readonly #helpers = new Rates(PROBE_LIMITS.helper, PROBE_LIMITS.accounts)
  readonly #targetNetworks = new Rates(PROBE_LIMITS.targetNetwork, PROBE_LIMITS.accounts)
  readonly #errands: TokenBucket
  readonly #vouchers = new ReplayGuard(PROBE_LIMITS.vouchers)

  constructor(options: HelperOptions, now: Instant) {
    this.#options = options
    this.#all = new TokenBucket(PROBE_LIMITS.helperAll, now)
    this.#errands = new TokenBucket(PROBE_LIMITS.thirdAll, now)
  }

  /** Requests under way. */
  get jobs(): number {
    return this.#jobs.size
  }

  step(input: HelperInput, now: Instant): readonly HelperOutput[] {
    this.#forget(now)
    switch (input.type) {
      case 'tick':
        return []
      case 'sample':
        return this.#sample(input, now)
      case 'back':
        return this.#back(input, now)
      case 'errand':
        return this.#errand(input, now)
      case 'verified':
        return this.#verified(input.job, input.genuine, now)
      default:
        return this.#ended(input.job, input.result)
    }
  }

  nextWake(): Instant | undefined {
    const [oldest] = this.#jobs.values()
    return oldest?.until
  }

  #sample(asked: Extract<HelperInput, { type: 'sample' }>, now: Instant): HelperOutput[] {
    const { job, asker, connections, able } = asked
    if (!able || !this.#options.dialable(asker.ip)) return refuse(job, 'unsupported')
    if (!this.#admitsAsker(asker, now)) return refuse(job, 'too-many')
    this.#begin(job, now, { asker: asker.peer, target: { ip: asker.ip, port: 0 }, nonce: '' })
    return [{ type: 'listen', job, ip: asker.ip, connections }]
  }

  /** One dial a request, and only to the address that the request came from. */
  #back(asked: Extract<HelperInput, { type: 'back' }>, now: Instant): HelperOutput[] {
    const { job, asker, nonce, byOther } = asked
    if (!this.#options.dialable(asker.ip)) return refuse(job, 'unsupported')
    // Before it is counted: whoever is told so asks in another way at once.
    const thirds = byOther ? this.#choose(asker, asked.thirds) : []
    if (byOther && thirds.length === 0) return refuse(job, 'no-third')
    if (!this.#admitsAsker(asker, now)) return refuse(job, 'too-many')
    const target = { ip: asker.ip, port: asked.port === 0 ? asked.seenPort : asked.port }
    this.#begin(job, now, { asker: asker.peer, target, nonce, thirds })
    if (byOther) return this.#sendNext(job)
    return [{ type: 'dial', job, peer: asker.peer, target, nonce }]
  }

  /** Somebody from elsewhere: behind the asker's own router a peer sees neither the mapping nor the filter. */
  #choose(asker: SeenPeer, thirds: SeenPeer[]): string[] {
    const home = networksOf(asker.ip)?.narrow
    const fitting = thirds.filter(
      ({ peer, ip }) =>
        peer !== asker.peer &&
        familyOf(ip) === familyOf(asker.ip) &&
        networksOf(ip)?.narrow !== home,
    )
    return shuffle(fitting, this.#options.rng)
      .slice(0, PROBE_LIMITS.thirdsTried)
      .map(({ peer }) => peer)
  }

  #sendNext(number: number): HelperOutput[] {
    const job = this.#jobs.get(number)
    const third = job?.thirds.shift()
    if (job === undefined || third === undefined) return this.#answer(number, 'no-third')
    const { asker, target, nonce } = job
    return [{ type: 'send', job: number, third, asker, target, nonce }]
  }

  #admitsAsker({ peer, ip }: SeenPeer, now: Instant): boolean {
    if (this.#jobs.size >= PROBE_LIMITS.jobs) return false
    const network = networksOf(ip)?.narrow ?? ip
    // The asker pays first: one that asks too often must not use up what its neighbours have.
    return (
      this.#askers.take(peer, now) &&
      this.#askerNetworks.take(network, now) &&
      this.#all.take(1, now)
    )
  }

  #errand(asked: Extract<HelperInput, { type: 'errand' }>, now: Instant): HelperOutput[] {
    const { job, from, voucher } = asked
    if (voucher === undefined || !this.#isForUs(voucher, from, now)) return refuse(job, 'voucher')
    if (!this.#admitsErrand(from, voucher.target.ip, now)) return refuse(job, 'too-many')
    const { asker, target, nonce } = voucher
    this.#begin(job, now, { asker, target, nonce, voucher })
    return [{ type: 'verify', job, by: from }]
  }

  #isForUs(voucher: VouchedFor, from: string, now: Instant): boolean {
    const { helper, third, asker, target, issuedAt } = voucher
    const { self } = this.#options
    if (helper !== from || third !== self || asker === self || asker === from) return false
    const fresh = Math.abs(now - issuedAt) <= PROBE_LIMITS.voucherMs
    return fresh && this.#options.dialable(target.ip)
  }

  #admitsErrand(helper: string, ip: string, now: Instant): boolean {
    if (this.#jobs.size >= PROBE_LIMITS.jobs) return false
    const network = networksOf(ip)?.narrow ?? ip
    return (
      this.#helpers.take(helper, now) &&
      this.#targetNetworks.take(network, now) &&
      this.#errands.take(1, now)
    )
  }

  /** Only what is genuine is remembered, so that nobody can use up another's nonces. */
  #verified(number: number, genuine: boolean, now: Instant): HelperOutput[] {
    const job = this.#jobs.get(number)
    if (job?.voucher === undefined) return []
    const { helper, nonce, issuedAt } = job.voucher
    const until = issuedAt + PROBE_LIMITS.voucherMs
    if (!genuine || !this.#vouchers.admit(`${helper} ${nonce}`, until, now)) {
      return this.#answer(number, 'voucher')
    }
    return [{ type: 'dial', job: number, peer: job.asker, target: job.target, nonce }]
  }

  /** A third peer that refuses has dialled nobody, so another one may be sent. */
  #ended(number: number, result: DialOutcome | RefusalCode): HelperOutput[] {
    const job = this.#jobs.get(number)
    if (job === undefined) return []
    if (REFUSALS.has(result) && job.thirds.length > 0) return this.#sendNext(number)
    return this.#answer(number, result)
  }

  #begin(
    number: number,
    now: Instant,
    job: Pick<Job, 'asker' | 'target' | 'nonce'> & Partial<Job>,
  ): void {
    this.#jobs.set(number, { thirds: [], voucher: undefined, ...job, until: now + FORGOTTEN_MS })
  }

  #answer(job: number, result: DialOutcome | RefusalCode): HelperOutput[] {
    this.#jobs.delete(job)
    return [{ type: 'answer', job, result }]
  }

  #forget(now: Instant): void {
    for (const [number, { until }] of this.#jobs) if (until <= now) this.#jobs.delete(number)
  }
}

function refuse(job: number, result: RefusalCode): HelperOutput[] {
  return [{ type: 'answer', job, result }]
}
