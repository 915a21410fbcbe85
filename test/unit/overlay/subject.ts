import assert from 'node:assert/strict'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { limits as member } from '../../../protocols/membership/limits.ts'
import { Overlay } from '../../../protocols/overlay/make.ts'
import type { Input, Output } from '../../../protocols/overlay/overlay.ts'
import { fold } from '../../../protocols/peer-exchange/ids.ts'
import { limits as exchange } from '../../../protocols/peer-exchange/limits.ts'
import { notation } from '../../../src/drivers/overlay-records.ts'
import { EPOCH, NETWORK, isGenuine, persona } from '../peer-exchange/world.ts'

/**
 * The most that one input may lead to: news and farewells go to `ownFanout` contacts in several frames each, an answer
 * of 64 records begins as many checks, a first signature greets all contacts.
 */
export const MOST_OUTPUTS = 512

type Dial = { peer: string; at: number }

/** One overlay node whose every step is checked against what must always hold. */
export class Subject {
  now = EPOCH
  readonly me = persona('subject')
  readonly overlay: Overlay
  /** Questions that are open, for whoever answers them. */
  readonly asks = new Map<number, { peer: string; frame: Output }>()
  readonly jobs = new Map<number, boolean>()
  readonly linked = new Set<string>()
  readonly dialling = new Map<string, Dial>()
  readonly neighbours = new Map<string, string>()
  /** What was asked of it and has to come to an end. */
  readonly searching = new Set<number>()
  leaving = false
  left = false
  /** How far the clock was set back in all. */
  setBack = 0
  most = 0
  counts: Record<string, number> = {}
  #wantsToSign: { seq: number; envelope: Uint8Array } | undefined

  constructor(seed: number) {
    this.overlay = new Overlay({
      self: this.me.peer,
      networkId: NETWORK,
      scope: { loopback: false, subnets: [] },
      notation,
      rng: seededRng(seed),
    })
  }

  /** What has been signed since the last call. */
  signed(): { seq: number; envelope: Uint8Array } | undefined {
    const signed = this.#wantsToSign
    this.#wantsToSign = undefined
    return signed
  }

  step(input: Input): readonly Output[] {
    this.#before(input)
    const out = this.overlay.step(input, this.now)
    this.most = Math.max(this.most, out.length)
    assert.ok(out.length <= MOST_OUTPUTS, `${out.length} outputs of ${input.type}`)
    for (const output of out) this.#note(output)
    const replies = out.filter(({ type }) => type === 'reply')
    assert.equal(replies.length, input.type === 'request' ? 1 : 0, 'one reply a request')
    this.#check()
    return out
  }

  #before(input: Input): void {
    if (input.type === 'leave') this.leaving = true
    if (input.type === 'linked') {
      this.linked.add(input.peer)
      this.dialling.delete(input.peer)
    } else if (input.type === 'unlinked') this.linked.delete(input.peer)
    else if (input.type === 'dial-failed' || input.type === 'dial-done') {
      this.dialling.delete(input.peer)
    } else if (input.type === 'search') this.searching.add(input.search)
    // What says nothing for half a minute counts as failed.
    for (const { peer, at } of this.dialling.values()) {
      if (this.now + this.setBack - at >= member.silentMs) this.dialling.delete(peer)
    }
  }

  #note(output: Output): void {
    this.counts[output.type] = (this.counts[output.type] ?? 0) + 1
    const closes = output.type === 'reply' && output.frame === undefined
    assert.ok(!this.left || closes, `${output.type} after it has left`)
    switch (output.type) {
      case 'dial':
        assert.ok(!this.linked.has(output.peer), 'dials a linked peer')
        assert.ok(!this.dialling.has(output.peer), 'dials a peer that is being dialled')
        assert.notEqual(output.peer, this.me.peer)
        assert.ok(output.addresses.length > 0)
        this.dialling.set(output.peer, { peer: output.peer, at: this.now + this.setBack })
        assert.ok(this.dialling.size <= member.urgentDials, `${this.dialling.size} dials`)
        break
      case 'ask':
        assert.ok(!this.asks.has(output.exchange), 'one number for two questions')
        this.asks.set(output.exchange, { peer: output.peer, frame: output })
        break
      case 'verify':
        this.jobs.set(output.job, isGenuine(output.signed))
        break
      case 'sign':
        this.#wantsToSign = { seq: output.seq, envelope: this.me.seal(output.payload) }
        break
      case 'neighbour':
        this.neighbours.set(output.peer, output.role)
        break
      case 'neighbour-lost':
        assert.ok(this.neighbours.delete(output.peer), 'loses a neighbour it did not have')
        break
      case 'searched':
        assert.ok(this.searching.delete(output.search), 'ends a search nobody began')
        break
      case 'left':
        this.left = true
        break
      default:
    }
  }

  #check(): void {
    const { overlay } = this
    const { heard, reached, lost } = overlay.sizes()
    const { book } = overlay.exchange
    assert.ok(heard <= exchange.heard && reached <= exchange.reached && lost <= exchange.lost)
    assert.equal(book.size, heard + reached + lost)
    assert.equal(book.get(this.me.peer), undefined, 'it knows itself')
    let hash = 0
    for (const { standing, id, record } of book.all()) {
      if (standing !== 'lost') hash ^= fold(id, record.seq)
    }
    assert.equal(book.setHash, hash >>> 0)
    if (this.leaving) return // links end with the node, told or not
    const there = overlay.neighbours()
    assert.deepEqual(new Map(there.map(({ peer, role }) => [peer, role])), this.neighbours)
    for (const { peer } of there) assert.ok(this.linked.has(peer), 'a neighbour without a link')
    const chosen = there.filter(({ role }) => role === 'chosen').length
    assert.ok(chosen <= member.everybody + 1, `${chosen} chosen`)
    assert.ok(there.length - chosen <= member.accepted.public)
    for (const { peer } of overlay.sample()) {
      assert.notEqual(book.get(peer)?.standing ?? 'gone', 'gone', 'samples whom it has forgotten')
      assert.notEqual(peer, this.me.peer)
    }
    assert.ok(overlay.sample().length <= exchange.slots)
    const estimate = overlay.estimate()
    assert.ok(estimate === undefined || (Number.isFinite(estimate) && estimate >= 1))
    const wake = overlay.nextWake()
    assert.ok(wake === undefined || (Number.isFinite(wake) && !this.left))
  }

  /** Ticks whenever it wants to be woken, and counts how often it did without the time going on. */
  sleep(ms: number, performed: (out: readonly Output[]) => void = () => undefined): void {
    const end = this.now + ms
    let inVain = 0
    for (let at = this.overlay.nextWake(); at !== undefined && at <= end;) {
      inVain = at <= this.now ? inVain + 1 : 0
      assert.ok(inVain < 50, 'it wakes again and again at one time')
      this.now = Math.max(this.now, at)
      performed(this.step({ type: 'tick' }))
      at = this.overlay.nextWake()
    }
    this.now = Math.max(this.now, end)
  }
}
