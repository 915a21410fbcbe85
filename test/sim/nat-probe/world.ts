import type { Rng } from '../../../protocols/kernel/rng.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { ProbeAsker } from '../../../protocols/nat-probe/asker.ts'
import type { AskerInput, AskerOutput } from '../../../protocols/nat-probe/asker.ts'
import type { DialOutcome, RefusalCode } from '../../../protocols/nat-probe/codec.ts'
import type { Finding, Sampling } from '../../../protocols/nat-probe/findings.ts'
import { ProbeHelper } from '../../../protocols/nat-probe/helper.ts'
import type { HelperInput, HelperOutput } from '../../../protocols/nat-probe/helper.ts'
import { PROBE_LIMITS } from '../../../protocols/nat-probe/limits.ts'
import { ReachabilityMachine } from '../../../protocols/reachability/reachability.ts'
import type { ReachabilityInput } from '../../../protocols/reachability/reachability.ts'
import { Clock } from '../hole-punching/clock.ts'
import type { Alarm } from '../hole-punching/clock.ts'
import { Router } from './router.ts'
import type { Endpoint, Traits } from './router.ts'

/**
 * How a helper behaves. A `denier` says of everything that it failed, a `boaster` that it worked, without dialling; a `painter`
 * sees every connection somewhere else; a `cheat` passes the question on to a peer that the router lets in; a `mute` one
 * never answers.
 */
export type Nature = 'honest' | 'denier' | 'boaster' | 'painter' | 'cheat' | 'mute'

export interface HelperSpec {
  nature?: Nature
  trusted?: boolean
  /** It lives behind the asker's router. */
  neighbour?: boolean
}

export interface WorldOptions {
  /** Undefined: the asker has an address of the internet, behind a firewall or not. */
  router?: Traits
  firewalled?: boolean
  helpers: HelperSpec[]
  seed: number
  /** Helpers that the asker has no connection to, but that its helpers know. */
  strangers?: number
}

const INSIDE = '192.168.1.5'
const OUTSIDE = '51.20.0.10'
const PORT = 4_001
const ONE_WAY_MS = 25
const NOBODY = { ip: '192.0.2.1', port: 9 }

interface Member {
  peer: string
  ip: string
  nature: Nature
  trusted: boolean
  linked: boolean
  machine: ProbeHelper
  jobs: Map<number, (result: DialOutcome | RefusalCode) => void>
  nextPort: number
}

/** One node that asks, everybody who helps, and the router between, in virtual time. */
export class World {
  readonly clock = new Clock()
  readonly reachability = new ReachabilityMachine()
  readonly findings: Finding[] = []
  /** Dials that helpers and third peers made, as `ip:port`. */
  readonly dials: string[] = []
  readonly #asker: ProbeAsker
  readonly #router: Router | undefined
  #firewalled: boolean
  readonly #rng: Rng
  readonly #members: Member[]
  readonly #sent = new Set<string>()
  /** Local ports that somebody listens on. */
  readonly #listening = new Set([PORT])
  #alarm: Alarm | undefined
  #judging: Alarm | undefined
  #numbers = 0
  #ephemeral = 40_000

  constructor({ router, firewalled = false, helpers, seed, strangers = 0 }: WorldOptions) {
    this.#rng = seededRng(seed)
    this.#asker = new ProbeAsker(this.#rng)
    this.#firewalled = firewalled
    this.#router = router === undefined ? undefined : new Router(router, this.#rng)
    const unlinked = Array.from({ length: strangers }, (): HelperSpec => ({}))
    this.#members = [...helpers, ...unlinked].map((spec, i) =>
      this.#member(spec, i, i < helpers.length),
    )
    this.#know({ type: 'interfaces', addresses: [{ ip: this.#host, port: PORT }] })
    for (const member of this.#members) if (member.linked) this.#link(member)
  }

  get state(): ReachabilityMachine['state'] {
    return this.reachability.state
  }

  /** The facts in one line. */
  get facts(): string {
    const { verdict, mapping, filtering, ports } = this.state
    return `${verdict}, ${mapping}, ${filtering}, ${ports}`
  }

  /** The router says from now on that it forwards this port to the one that is listened on, or that it does no more. */
  mapped(outside: number | undefined): void {
    const ports = outside === undefined ? [] : [outside]
    const said = this.#router?.addresses[0]
    const at = outside === undefined ? undefined : { port: outside, ...(said && { said }) }
    this.#know({ type: 'mapped', at })
    this.#feed({ type: 'mapped', ports })
  }

  /** What the router does, to be changed on the way. */
  get router(): Traits | undefined {
    return this.#router?.traits
  }

  /** From now on a firewall stands before the asker. */
  close(): void {
    this.#firewalled = true
  }

  /** Lets time pass. */
  run(ms: number): void {
    this.clock.runUntil(() => false, ms)
  }

  /** Until the facts are so, and for how long they take; undefined when they never are. */
  until(facts: string, ms: number): number | undefined {
    const since = this.clock.now
    while (this.clock.now < since + ms) {
      if (this.facts === facts) return this.clock.now - since
      this.run(50)
    }
    return undefined
  }

  get #host(): string {
    return this.#router === undefined ? OUTSIDE : INSIDE
  }

  #member(spec: HelperSpec, i: number, linked: boolean): Member {
    const ip = spec.neighbour === true ? (this.#router?.addresses[0] ?? '') : `62.${i}.0.1`
    const peer = `helper-${i}`
    const machine = new ProbeHelper({ self: peer, rng: this.#rng, dialable: () => true }, 0)
    const { nature = 'honest', trusted = false } = spec
    return { peer, ip, nature, trusted, linked, machine, jobs: new Map(), nextPort: 50_000 }
  }

  /** The listening port has a connection to the helper, which tells by identify how it sees it. */
  #link(member: Member): void {
    const { peer, ip, trusted, nature } = member
    const seen = this.#leaves(PORT, { ip, port: PORT })
    if (this.#router?.addresses.includes(ip) === true) return // seen by its address in the home
    const { ip: at, port } = nature === 'painter' ? this.#painted() : seen
    this.#know({
      type: 'observed',
      connection: peer,
      observer: peer,
      observerIp: ip,
      ip: at,
      port,
      localIp: this.#host,
      localPort: PORT,
      trusted,
    })
    const bare = this.#router === undefined
    const helper = { peer, ip, trusted, bare, port: bare ? PORT : 0 }
    this.#feed({ type: 'helper', helper })
  }

  #painted(): Endpoint {
    return { ip: '66.6.6.6', port: 1_024 + Math.floor(this.#rng() * 60_000) }
  }

  /** How a connection from a local port looks from outside. */
  #leaves(local: number, to: Endpoint): Endpoint {
    this.#sent.add(`${local} ${to.ip}`)
    return this.#router?.out(local, to) ?? { ip: OUTSIDE, port: local }
  }

  // --- the asker ------------------------------------------------------------------------------------------

  #feed(input: AskerInput): void {
    for (const output of this.#asker.step(input, this.clock.now)) this.#perform(output)
    this.clock.callOff(this.#alarm)
    const wake = this.#asker.nextWake()
    if (wake === undefined) return
    this.#alarm = this.clock.after(Math.max(1, wake - this.clock.now), () =>
      this.#feed({ type: 'tick' }),
    )
  }

  #know(input: ReachabilityInput): void {
    this.reachability.step(input, this.clock.now)
    this.clock.callOff(this.#judging)
    const wake = this.reachability.nextWake()
    if (wake === undefined) return
    this.#judging = this.clock.after(Math.max(1, wake - this.clock.now), () =>
      this.#know({ type: 'tick' }),
    )
  }

  #perform(output: AskerOutput): void {
    switch (output.type) {
      case 'finding':
        this.findings.push(output.finding)
        return this.#know(inputOf(output.finding))
      case 'close':
        return
      case 'open-silent': {
        const local = this.#freshPort()
        this.#router?.out(local, NOBODY)
        this.clock.after(1, () =>
          this.#feed({ type: 'opened', examination: output.examination, port: local }),
        )
        return
      }
      case 'sample':
        return this.#sample(output)
      default:
        return this.#ask(output)
    }
  }

  #freshPort(): number {
    const port = (this.#ephemeral += 1 + Math.floor(this.#rng() * 50))
    this.#listening.add(port)
    return port
  }

  #sample({ examination, peer, fresh }: Extract<AskerOutput, { type: 'sample' }>): void {
    const member = this.#called(peer)
    const to = { ip: member.ip, port: 33_333 }
    const seenBy = (local: number): Endpoint => {
      const seen = this.#leaves(local, to)
      return member.nature === 'painter' ? this.#painted() : seen
    }
    const sampling: Sampling = {
      seen:
        member.nature === 'painter'
          ? this.#painted()
          : this.#leaves(PORT, { ip: member.ip, port: PORT }),
      listening: seenBy(PORT),
      fresh: Array.from({ length: fresh }, () => {
        const local = this.#freshPort()
        return { local, seen: seenBy(local) }
      }),
    }
    const mute = member.nature === 'mute'
    this.clock.after(mute ? PROBE_LIMITS.answerMs : 6 * ONE_WAY_MS, () =>
      this.#feed({ type: 'sampled', examination, sampling: mute ? undefined : sampling }),
    )
  }

  #ask(asked: Extract<AskerOutput, { type: 'ask' }>): void {
    const { question, peer, other } = asked
    const member = this.#called(peer)
    const answered = (result: DialOutcome | RefusalCode | 'nothing', ms = ONE_WAY_MS): void => {
      this.clock.after(ms, () => this.#feed({ type: 'answered', question, result }))
    }
    if (member.nature === 'mute') return answered('nothing', PROBE_LIMITS.answerMs)
    if (member.nature === 'denier') return answered('silent', PROBE_LIMITS.connectMs)
    if (member.nature === 'boaster') return answered('reached', 100)
    const seen = this.#leaves(PORT, { ip: member.ip, port: PORT })
    const port = asked.port
    if (member.nature === 'cheat') {
      // Whoever is linked to the asker may get in at the listening port, whatever was asked.
      const friend = this.#members.find((one) => one !== member && one.linked) ?? member
      this.#dial(friend, seen, asked, (result) => answered(result))
      return
    }
    const job = ++this.#numbers
    member.jobs.set(job, (result) => answered(result))
    const thirds = this.#members
      .filter((one) => one !== member && one.nature !== 'mute')
      .map((one) => ({ peer: one.peer, ip: one.ip }))
    this.clock.after(ONE_WAY_MS, () =>
      this.#tell(member, asked, {
        type: 'back',
        job,
        asker: { peer: 'asker', ip: seen.ip },
        seenPort: seen.port,
        port,
        nonce: `${question}`,
        byOther: other,
        thirds,
      }),
    )
  }

  #called(peer: string): Member {
    return this.#members.find((one) => one.peer === peer) as Member
  }

  // --- helpers and third peers ----------------------------------------------------------------------------

  #tell(
    member: Member,
    asked: Extract<AskerOutput, { type: 'ask' }>,
    input: Exclude<HelperInput, { type: 'tick' }>,
  ): void {
    for (const output of member.machine.step(input, this.clock.now)) {
      this.#serve(member, asked, output)
    }
  }

  #serve(member: Member, asked: Extract<AskerOutput, { type: 'ask' }>, output: HelperOutput): void {
    const { job } = output
    switch (output.type) {
      case 'answer':
        member.jobs.get(job)?.(output.result)
        member.jobs.delete(job)
        return
      case 'dial':
        this.#dial(member, output.target, asked, (result) =>
          this.#tell(member, asked, { type: 'ended', job, result }),
        )
        return
      case 'send':
        return this.#send(member, asked, output)
      case 'verify':
        this.#tell(member, asked, { type: 'verified', job, genuine: true })
        return
      case 'listen':
        throw new Error('sampling is played by the world')
    }
  }

  #send(
    member: Member,
    asked: Extract<AskerOutput, { type: 'ask' }>,
    { job, third, asker, target, nonce }: Extract<HelperOutput, { type: 'send' }>,
  ): void {
    const to = this.#called(third)
    const errand = ++this.#numbers
    to.jobs.set(errand, (result) =>
      this.clock.after(ONE_WAY_MS, () => this.#tell(member, asked, { type: 'ended', job, result })),
    )
    const issuedAt = this.clock.now
    const voucher = { helper: member.peer, third, asker, target, nonce, issuedAt }
    this.clock.after(ONE_WAY_MS, () =>
      this.#tell(to, asked, { type: 'errand', job: errand, from: member.peer, voucher }),
    )
  }

  #dial(
    member: Member,
    target: Endpoint,
    { question, local }: Extract<AskerOutput, { type: 'ask' }>,
    ended: (result: DialOutcome) => void,
  ): void {
    this.dials.push(`${target.ip}:${target.port}`)
    const from = { ip: member.ip, port: member.nextPort++ }
    const at = this.#arrivesAt(target, from)
    if (at === undefined) {
      const refused = this.#router?.traits.unsolicited === 'refused'
      this.clock.after(refused ? 2 * ONE_WAY_MS : PROBE_LIMITS.connectMs, () =>
        ended(refused ? 'refused' : 'silent'),
      )
      return
    }
    // Who knocks at another port than the one that was asked about is not let in by it.
    const right = at === (local ?? PORT)
    this.clock.after(3 * ONE_WAY_MS, () => {
      if (right) {
        const contacted = this.#sent.has(`${PORT} ${from.ip}`)
        const ours = this.#router?.addresses.includes(from.ip) === true
        this.#feed({ type: 'knocked', question, from: from.ip, contacted, ours })
      }
      ended(right ? 'reached' : 'failed')
    })
  }

  #arrivesAt(target: Endpoint, from: Endpoint): number | undefined {
    if (this.#router !== undefined) {
      const at = this.#router.in(target, from)
      return at !== undefined && this.#listening.has(at) ? at : undefined
    }
    return this.#firewalled || target.ip !== OUTSIDE || target.port !== PORT ? undefined : PORT
  }
}

/** As the driver hands findings on. */
function inputOf(finding: Finding): ReachabilityInput {
  const { ip: byIp, trusted } = finding.by
  if (finding.type === 'sampled') {
    const { seen, listening, fresh } = finding.sampling
    const ports = fresh.map((one) => ({ local: one.local, port: one.seen.port }))
    return { type: 'sampled', byIp, trusted, seen, listening, fresh: ports, listeningPort: PORT }
  }
  const { door, other, port } = finding
  const asked = {
    type: 'probed',
    byIp,
    trusted,
    door,
    other,
    ...(port !== undefined && { port }),
  } as const
  if (finding.type === 'failed') return { ...asked, result: 'failed' }
  return { ...asked, result: finding.stranger ? 'stranger' : 'reached', from: finding.from }
}
