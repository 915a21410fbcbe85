import type { Alarms } from '../kernel/alarms.ts'
import type { Instant } from '../kernel/machine.ts'
import { jittered } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'
import type { Candidates } from './candidates.ts'
import { Healing } from './healing.ts'
import { limits } from './limits.ts'
import type { Neighbours } from './neighbours.ts'
import type { Output } from './outputs.ts'

interface MixingOptions {
  rng: Rng
  candidates: Candidates
  neighbours: Neighbours
  timers: Pick<Alarms<'rotate' | 'healed'>, 'set'>
}

/** When a chosen neighbour is exchanged for another one: rarely, but often while young and after a split. */
export class Mixing {
  readonly #rng: Rng
  readonly #candidates: Candidates
  readonly #neighbours: Neighbours
  readonly #timers: MixingOptions['timers']
  readonly #healing = new Healing()
  #startedAt: Instant | undefined

  constructor({ rng, candidates, neighbours, timers }: MixingOptions) {
    this.#rng = rng
    this.#candidates = candidates
    this.#neighbours = neighbours
    this.#timers = timers
  }

  start(now: Instant): void {
    this.#startedAt = now
    this.#timers.set('rotate', now + jittered(limits.rotateMs.young, 0.25, this.#rng))
  }

  isHealing(now: Instant): boolean {
    return this.#healing.isOn(now)
  }

  rotate(now: Instant, out: Output[]): void {
    const age = now - (this.#startedAt ?? now)
    const { young, small, steady, healing } = limits.rotateMs
    const fast = this.#candidates.isSmall ? small : young
    const calm = age < limits.mixingMs ? fast : steady
    const every = this.#healing.isOn(now) ? healing : calm
    this.#timers.set('rotate', now + jittered(every, 0.25, this.#rng))
    if (!this.#candidates.everybody) this.#neighbours.rotate(now, out)
  }

  /** A sign that the overlay was split and is whole again. */
  sign(strong: boolean, now: Instant, out: Output[]): void {
    if (this.#healing.sign(now, strong)) this.#heal(now, out)
  }

  /** A new estimate of the overlay's size. */
  size(estimate: number, now: Instant, out: Output[]): void {
    if (this.#healing.size(estimate, now)) this.#heal(now, out)
  }

  #heal(now: Instant, out: Output[]): void {
    out.push({ type: 'healing', healing: true })
    this.#timers.set('healed', now + limits.healingMs)
    this.#timers.set('rotate', now + jittered(limits.rotateMs.healing, 0.5, this.#rng))
  }

  healed(now: Instant, out: Output[]): void {
    if (this.#healing.isOn(now)) this.#timers.set('healed', this.#healing.until)
    else out.push({ type: 'healing', healing: false })
  }
}
