/** The relay keeper among relays that die, refuse, restart, drop and swallow, for hours of virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RelayKeeper } from '../../../protocols/relaying/keeper.ts'
import type { KeeperInput, KeeperOutput } from '../../../protocols/relaying/keeper.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import type { Rng } from '../../../protocols/kernel/rng.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** How a relay behaves. */
type Nature =
  | 'good'
  | 'restarting' // away for up to five seconds, every few minutes; one at a time, as a careful operator does it
  | 'dead' // swallows packets
  | 'refusing'
  | 'dropping' // grants, and closes the connection soon after
  | 'swallowing' // grants, and passes nothing on
  | 'once' // grants, and never renews

const RTT_MS = 50
const GRANT_MS = 30 * MINUTE

class World {
  readonly keeper: RelayKeeper
  readonly asked = new Map<string, number>()
  readonly #rng: Rng
  readonly #natures: Map<string, Nature>
  readonly #down = new Set<string>()
  readonly #connected = new Set<string>()
  readonly #granted = new Set<string>()
  readonly #events: { at: number; run: () => void }[] = []
  #now = 0
  /** Time without any held relay that passes something on: the longest, since `settled`. */
  longestGap = 0
  swallowedMs = 0
  #goodSince: number | undefined
  #gapSince = 0

  constructor(seed: number, natures: Record<string, Nature>) {
    this.#rng = seededRng(seed)
    this.keeper = new RelayKeeper(this.#rng)
    this.#natures = new Map(Object.entries(natures))
    for (const [peer, nature] of this.#natures) {
      this.#feed({ type: 'candidate', peer, source: 'exchange', rttMs: RTT_MS })
      if (nature === 'restarting') this.#restartSoon(peer)
    }
    this.#feed({ type: 'need', need: true })
  }

  run(until: number): void {
    for (;;) {
      const event = this.#events.toSorted((a, b) => a.at - b.at)[0]
      const wake = this.keeper.nextWake() ?? Infinity
      const next = Math.min(wake, event?.at ?? Infinity, until)
      this.#judge(next)
      this.#now = next
      if (next === until) return
      if (event !== undefined && event.at === next) {
        this.#events.splice(this.#events.indexOf(event), 1)
        event.run()
      } else this.#feed({ type: 'tick' })
    }
  }

  /** What was held in the time up to `next` counts. */
  #judge(next: number): void {
    const held = this.#held()
    const of = (nature: Nature) => held.filter((peer) => this.#natures.get(peer) === nature)
    if (of('swallowing').length > 0) this.swallowedMs += next - this.#now
    const useful = held.some((peer) => this.#natures.get(peer) !== 'swallowing')
    if (useful) {
      this.#goodSince ??= this.#now
      this.#gapSince = next
    } else if (this.#goodSince !== undefined) {
      this.longestGap = Math.max(this.longestGap, next - this.#gapSince)
    }
  }

  #held(): string[] {
    return this.keeper.relays().flatMap(({ peer, state }) => (state === 'held' ? [peer] : []))
  }

  #later(ms: number, run: () => void): void {
    this.#events.push({ at: this.#now + ms, run })
  }

  #feed(input: KeeperInput): void {
    for (const output of this.keeper.step(input, this.#now)) this.#perform(output)
  }

  #perform(output: KeeperOutput): void {
    const { peer } = output
    if (output.type === 'reach' || output.type === 'reserve') {
      this.asked.set(peer, (this.asked.get(peer) ?? 0) + 1)
    }
    if (output.type === 'reach') this.#reach(peer)
    if (output.type === 'reserve' || output.type === 'renew') {
      this.#later(RTT_MS, () => this.#reserve(peer, output.type))
    }
    if (output.type === 'test') this.#test(peer)
  }

  #reach(peer: string): void {
    const nature = this.#natures.get(peer)
    const failed = () => this.#feed({ type: 'failed', peer, failure: 'unreachable' })
    if (nature === 'dead') return this.#later(6_000, failed)
    this.#later(4 * RTT_MS, () => {
      if (this.#down.has(peer)) return failed()
      this.#connected.add(peer)
      this.#feed({ type: 'reached', peer })
    })
  }

  #reserve(peer: string, what: 'reserve' | 'renew'): void {
    const nature = this.#natures.get(peer)
    if (!this.#connected.has(peer)) {
      return this.#feed({ type: 'failed', peer, failure: 'unreachable' })
    }
    const again = nature === 'once' && this.#granted.has(peer)
    if (nature === 'refusing' || again) {
      return this.#feed({ type: 'failed', peer, failure: 'refused' })
    }
    this.#granted.add(peer)
    this.#feed({ type: 'granted', peer, until: this.#now + GRANT_MS })
    if (nature === 'dropping' && what === 'reserve') {
      this.#later(500 + this.#rng() * 3_000, () => this.#cut(peer))
    }
  }

  #test(peer: string): void {
    const silent = this.#natures.get(peer) === 'swallowing'
    this.#later(silent ? 2_000 : 4 * RTT_MS, () => {
      if (!this.#connected.has(peer))
        return this.#feed({ type: 'tested', peer, outcome: 'unclear' })
      this.#feed({ type: 'tested', peer, outcome: silent ? 'silent' : 'forwards', ms: 2 * RTT_MS })
    })
  }

  #cut(peer: string): void {
    if (this.#connected.delete(peer)) this.#feed({ type: 'cut', peer })
  }

  #restartSoon(peer: string): void {
    this.#later(MINUTE + this.#rng() * 4 * MINUTE, () => {
      if (this.#down.size > 0) return this.#restartSoon(peer)
      this.#down.add(peer)
      this.#cut(peer)
      this.#later(200 + this.#rng() * 4_800, () => {
        this.#down.delete(peer)
        this.#restartSoon(peer)
      })
    })
  }
}

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1)

test('among relays of every bad kind, the good ones are found and kept', () => {
  for (const seed of SEEDS) {
    const world = new World(seed, {
      d1: 'dead',
      d2: 'dead',
      d3: 'dead',
      r1: 'refusing',
      s1: 'swallowing',
      s2: 'swallowing',
      f1: 'dropping',
      o1: 'once',
      g1: 'good',
      g2: 'good',
    })
    world.run(30_000)
    const held = world.keeper.relays().filter(({ state }) => state === 'held')
    assert.ok(held.length >= 2, `seed ${seed}: ${held.length} held`)
    const early = world.longestGap
    world.run(4 * HOUR)
    assert.equal(world.longestGap, early, `seed ${seed}: no gap later on`)
    assert.ok(world.swallowedMs < MINUTE, `seed ${seed}: ${world.swallowedMs} ms in black holes`)
  }
})

test('relays that restart one after the other are not missed for a moment', () => {
  for (const seed of SEEDS) {
    const world = new World(seed, { a: 'restarting', b: 'restarting', c: 'restarting' })
    world.run(4 * HOUR)
    assert.equal(world.longestGap, 0, `seed ${seed}`)
  }
})

test('the only relay is held again within a second of its return', () => {
  for (const seed of SEEDS) {
    const world = new World(seed, { only: 'restarting' })
    world.run(4 * HOUR)
    // Away for at most 5 s, the pause of at most 0.98 s, and five round trips.
    assert.ok(world.longestGap <= 5_000 + 980 + 6 * RTT_MS, `seed ${seed}: ${world.longestGap} ms`)
  }
})

test('nobody is bothered without end', () => {
  for (const seed of SEEDS) {
    const world = new World(seed, {
      dead: 'dead',
      refusing: 'refusing',
      dropping: 'dropping',
      swallowing: 'swallowing',
      good: 'good',
    })
    world.run(4 * HOUR)
    const times = (peer: string) => world.asked.get(peer) ?? 0
    assert.ok(times('dead') < 4 * 120, `dead: ${times('dead')}`)
    assert.ok(times('refusing') < 4 * 20, `refusing: ${times('refusing')}`)
    assert.ok(times('dropping') < 4 * 240, `dropping: ${times('dropping')}`)
    assert.ok(times('swallowing') < 4 * 12, `swallowing: ${times('swallowing')}`)
  }
})
