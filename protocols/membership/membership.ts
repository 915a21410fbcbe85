import { backoffMs } from '../kernel/backoff.ts'
import type { Instant, Machine, Tick } from '../kernel/machine.ts'
import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import { Timers } from '../kernel/timers.ts'
import { limits } from './limits.ts'
import { Targets } from './targets.ts'

/** The text of a peer id. */
export type PeerKey = string

export interface Candidate {
  peer: PeerKey
  addresses: string[]
  /** Public, or offering itself as relay. */
  dependable: boolean
}

export type Input =
  | Tick
  | { type: 'start'; bootstraps: { peer: PeerKey; addresses: string[] }[] }
  /** A peer became known, or its record changed. */
  | { type: 'known'; candidate: Candidate }
  /** A peer was linked there in an earlier run. */
  | { type: 'proven'; address: string }
  | { type: 'forgotten'; peer: PeerKey }
  /** This node turned out to be public, or not. */
  | { type: 'self'; dependable: boolean }
  /** There is a connection now, or the best one of a peer changed. */
  | { type: 'linked'; peer: PeerKey; path: Path; dialled: boolean; address?: string }
  | { type: 'unlinked'; peer: PeerKey }
  | { type: 'dial-failed'; peer: PeerKey }
  | { type: 'dial-done'; peer: PeerKey }

export type Output =
  | { type: 'dial'; peer: PeerKey; addresses: string[] }
  /** Bootstraps that cannot be reached; none when the list is empty. */
  | { type: 'bootstraps-unreachable'; peers: PeerKey[] }
  | { type: 'alone'; alone: boolean }

type Path = 'direct' | 'relayed'

interface Member {
  peer: PeerKey
  /** From the configuration; they stay, for they may be the only ones that work from here. */
  configured: string[]
  /** From its record. */
  addresses: string[]
  dependable: boolean
  bootstrap: boolean
  /** Whether peer exchange has it; a bootstrap stays a member without. */
  known: boolean
  standing: 'idle' | 'dialling' | 'linked'
  path: Path
  /** Linked because we wanted to be. */
  chosen: boolean
  linkedAt: Instant
  tries: number
  /** Not dialled before. */
  restUntil: Instant
}

/**
 * Decides whom to keep links to: everybody in a small overlay, a few in a large one, bootstraps as long as they
 * are needed. Never closes a link and never dials a peer it is linked to. See SPEC.md.
 */
export class Membership implements Machine<Input, Output> {
  readonly #self: PeerKey
  readonly #rng: Rng
  readonly #members = new Map<PeerKey, Member>()
  readonly #targets = new Targets()
  readonly #timers = new Timers<'fill' | 'alone' | `silent ${PeerKey}`>()
  #dependable = false
  #reported = ''
  #alone = false
  #started = false

  constructor(self: PeerKey, rng: Rng) {
    this.#self = self
    this.#rng = rng
  }

  nextWake(): Instant | undefined {
    return this.#timers.next()
  }

  step(input: Input, now: Instant): readonly Output[] {
    const out: Output[] = []
    switch (input.type) {
      case 'tick':
        this.#wake(now, out)
        break
      case 'start':
        this.#start(input.bootstraps, now)
        break
      case 'known':
        this.#know(input.candidate, now)
        break
      case 'proven':
        this.#targets.prove(input.address)
        break
      case 'forgotten':
        this.#forget(input.peer)
        break
      case 'self':
        this.#dependable = input.dependable
        break
      case 'linked':
        this.#linked(input, now)
        break
      case 'unlinked':
        this.#unlinked(input.peer, now)
        break
      case 'dial-failed':
        this.#failed(input.peer, now)
        break
      case 'dial-done':
        this.#done(input.peer, now)
        break
    }
    if (this.#started) {
      this.#fill(now, out)
      this.#report(now, out)
    }
    return out
  }

  #wake(now: Instant, out: Output[]): void {
    for (const alarm of this.#timers.takeDue(now)) {
      const [name, peer = ''] = alarm.split(' ')
      if (name === 'silent') this.#failed(peer, now)
      if (name === 'alone' && this.#links() === 0) {
        this.#alone = true
        out.push({ type: 'alone', alone: true })
      }
    }
  }

  #start(bootstraps: { peer: PeerKey; addresses: string[] }[], now: Instant): void {
    this.#started = true
    for (const { peer, addresses } of bootstraps.slice(0, limits.bootstraps)) {
      const member = this.#member(peer, now)
      if (member === undefined) continue
      member.bootstrap = true
      member.configured = addresses
    }
  }

  #know({ peer, addresses, dependable }: Candidate, now: Instant): void {
    const isNew = !this.#members.has(peer)
    const member = this.#member(peer, now)
    if (member === undefined) return
    const before = [...member.configured, ...member.addresses]
    if (member.standing === 'idle' && addresses.some((one) => !before.includes(one))) {
      member.tries = 0 // a new address is a new chance
      member.restUntil = Math.min(member.restUntil, now)
    }
    member.addresses = addresses
    member.dependable = dependable
    member.known = true
    if (isNew && !this.#goesFirst(member)) member.restUntil = now + limits.yieldMs
  }

  /** Two hidden or two public peers go by their names; of different ones the hidden one knows the way. */
  #goesFirst({ peer, dependable }: Member): boolean {
    return dependable === this.#dependable ? this.#self < peer : dependable
  }

  #forget(peer: PeerKey): void {
    const member = this.#members.get(peer)
    if (member === undefined) return
    member.known = false
    if (!member.bootstrap && member.standing === 'idle') this.#members.delete(peer)
  }

  #member(peer: PeerKey, now: Instant): Member | undefined {
    if (peer === this.#self) return undefined
    const before = this.#members.get(peer)
    if (before !== undefined) return before
    if (this.#members.size >= limits.candidates) this.#dropOne()
    if (this.#members.size >= limits.candidates) return undefined
    const member: Member = {
      peer,
      configured: [],
      addresses: [],
      dependable: false,
      bootstrap: false,
      known: false,
      standing: 'idle',
      path: 'direct',
      chosen: false,
      linkedAt: now,
      tries: 0,
      restUntil: now,
    }
    this.#members.set(peer, member)
    return member
  }

  /** The one that failed most often makes room. */
  #dropOne(): void {
    let worst: Member | undefined
    for (const member of this.#members.values()) {
      if (member.standing !== 'idle' || member.bootstrap) continue
      if (worst === undefined || member.tries > worst.tries) worst = member
    }
    if (worst !== undefined) this.#members.delete(worst.peer)
  }

  #linked(
    { peer, path, dialled, address }: Extract<Input, { type: 'linked' }>,
    now: Instant,
  ): void {
    if (address !== undefined) this.#targets.prove(address)
    const member = this.#member(peer, now)
    if (member === undefined) return
    if (member.standing !== 'linked') {
      member.chosen = dialled
      member.linkedAt = now
    }
    member.standing = 'linked'
    member.path = path
    this.#timers.clear(`silent ${peer}`)
  }

  #unlinked(peer: PeerKey, now: Instant): void {
    const member = this.#members.get(peer)
    if (member?.standing !== 'linked') return
    member.standing = 'idle'
    if (now - member.linkedAt >= limits.provenMs) member.tries = 0
    this.#rest(member, now)
    if (!member.known && !member.bootstrap) this.#members.delete(peer)
  }

  #failed(peer: PeerKey, now: Instant): void {
    const member = this.#members.get(peer)
    this.#timers.clear(`silent ${peer}`)
    if (member?.standing !== 'dialling') return
    member.standing = 'idle'
    this.#rest(member, now)
    if (!member.known && !member.bootstrap) this.#members.delete(peer)
  }

  /** A dial succeeded; if its connection is gone already it counts as failed. */
  #done(peer: PeerKey, now: Instant): void {
    if (this.#members.get(peer)?.standing === 'dialling') this.#failed(peer, now)
  }

  #rest(member: Member, now: Instant): void {
    member.tries++
    const plan = this.#links() < limits.enough ? limits.urgentBackoff : limits.backoff
    member.restUntil = now + backoffMs(member.tries, plan, this.#rng)
  }

  // --- whom to dial -------------------------------------------------------------------------------------

  #fill(now: Instant, out: Output[]): void {
    const bootstraps = this.#idle((one) => one.bootstrap)
    const others = this.#wanted(now)
    const readyOthers = others.filter(({ restUntil }) => restUntil <= now)
    const readyBootstraps = bootstraps.filter((one) => this.#bootstrapAt(one) <= now)
    const share = readyOthers.length === 0 ? limits.dials : limits.bootstrapDials
    const free = limits.dials - this.#count(({ standing }) => standing === 'dialling')
    const chosen = new Set([...readyBootstraps.slice(0, share), ...readyOthers])
    const dialled = [...chosen].slice(0, Math.max(0, free)).map((one) => this.#dial(one, now, out))

    // What is ready and found no free dial is looked at again when a dial ends.
    const times = [
      ...bootstraps.map((one) => this.#bootstrapAt(one)),
      ...others.map((one) => one.restUntil),
    ]
    // Somebody else takes the place of one whose addresses may not be dialled now.
    const next = dialled.includes(false) ? now : Math.min(...times.filter((at) => at > now))
    if (Number.isFinite(next)) this.#timers.set('fill', next)
    else this.#timers.clear('fill')
  }

  /** False when none of its addresses may be dialled now: then it rests until one may. */
  #dial(member: Member, now: Instant, out: Output[]): boolean {
    const { peer, configured } = member
    const hearsay = member.addresses.filter((one) => !configured.includes(one))
    const addresses = [...configured, ...this.#targets.take(hearsay, now)]
    if (addresses.length === 0 && hearsay.length > 0) {
      member.restUntil = this.#targets.freeAt(hearsay, now)
      return false
    }
    member.standing = 'dialling'
    this.#timers.set(`silent ${peer}`, now + limits.silentMs)
    out.push({ type: 'dial', peer, addresses })
    return true
  }

  /** Peers from peer exchange that we want links to, those that are ready first. */
  #wanted(now: Instant): Member[] {
    const known = this.#idle((one) => one.known && one.addresses.length > 0)
    if (this.#count((one) => one.known) <= limits.everybody) return known
    const missing = this.#missing()
    if (missing <= 0) return []
    const lacking = limits.dependable - this.#count((one) => one.dependable && isOurs(one))
    const ready = (one: Member) => one.restUntil <= now
    const dependable = known.filter((one) => one.dependable && ready(one))
    const first = shuffle(dependable, this.#rng).slice(0, Math.max(0, lacking))
    const rest = shuffle(
      known.filter((one) => !first.includes(one)),
      this.#rng,
    )
    // Resting ones last: a dead half of the overlay must not stop the search.
    rest.sort((a, b) => Math.max(a.restUntil, now) - Math.max(b.restUntil, now))
    return [...first, ...rest].slice(0, missing)
  }

  /** How many more links of our own choosing we want. */
  #missing(): number {
    const ours = [...this.#members.values()].filter(isOurs)
    const strength = ours.reduce((sum, one) => sum + (isRelayedLink(one) ? 0.5 : 1), 0)
    return Math.min(Math.ceil(limits.chosen - strength), limits.chosenAtMost - ours.length)
  }

  /** When a bootstrap without link is due: soon while we need it, else only so that splits heal. */
  #bootstrapAt({ tries, restUntil }: Member): Instant {
    if (this.#links() < limits.enough || tries < limits.bootstrapTries) return restUntil
    // Spread by a number that stays the same until the next try, or the time would move at every look.
    const fraction = (restUntil % 1_000) / 1_000
    return restUntil + limits.recontactMs * (1 + limits.recontactSpread * (2 * fraction - 1))
  }

  #idle(wanted: (member: Member) => boolean): Member[] {
    return [...this.#members.values()].filter((one) => one.standing === 'idle' && wanted(one))
  }

  // --- what to say --------------------------------------------------------------------------------------

  #report(now: Instant, out: Output[]): void {
    const unreachable = [...this.#members.values()]
      .filter((one) => one.bootstrap && one.standing !== 'linked')
      .filter((one) => one.tries >= limits.bootstrapTries)
      .map(({ peer }) => peer)
    if (unreachable.join() !== this.#reported) {
      this.#reported = unreachable.join()
      out.push({ type: 'bootstraps-unreachable', peers: unreachable })
    }
    if (this.#links() > 0) {
      this.#timers.clear('alone')
      if (this.#alone) out.push({ type: 'alone', alone: false })
      this.#alone = false
    } else if (!this.#alone && !this.#timers.has('alone')) {
      this.#timers.set('alone', now + limits.aloneMs)
    }
  }

  /** Links that count: strangers who only connect to us are no members. */
  #links(): number {
    return this.#count((one) => one.standing === 'linked' && (one.known || one.bootstrap))
  }

  #count(which: (member: Member) => boolean): number {
    let count = 0
    for (const member of this.#members.values()) if (which(member)) count++
    return count
  }
}

/** A link of our own choosing, or one that we are making. */
function isOurs({ standing, chosen }: Member): boolean {
  return standing === 'dialling' || (standing === 'linked' && chosen)
}

function isRelayedLink({ standing, path }: Member): boolean {
  return standing === 'linked' && path === 'relayed'
}
