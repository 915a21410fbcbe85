import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { HolePunching } from '../../../protocols/hole-punching/hole-punching.ts'
import type { PunchInput, PunchOutput } from '../../../protocols/hole-punching/hole-punching.ts'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import { LIMITS } from '../../../protocols/hole-punching/limits.ts'
import { SEARCH } from '../../../protocols/hole-punching/search-limits.ts'
import type { Carrier } from '../../../protocols/hole-punching/outputs.ts'
import { scopeOf } from '../../../protocols/kernel/address.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { inputs } from './inputs.ts'

/** Watches a machine from outside and complains about whatever must never happen. */
class Watched {
  readonly machine = new HolePunching('M', seededRng(1))
  readonly #peers: readonly string[]
  now = 0
  /** Addresses at which we were ever seen. */
  readonly #ours = new Set<string>()
  readonly #called = new Set<string>()
  readonly #asking = new Set<string>()
  /** Hosts that a relay of ours has seen each peer use. */
  readonly #seen = new Map<string, Set<string>>()
  #search: { peer: string; until: number } | undefined

  constructor(peers: readonly string[]) {
    this.#peers = peers
  }

  step(input: PunchInput, passes: number): readonly PunchOutput[] {
    const wake = this.machine.nextWake()
    this.now = passes >= 0 ? this.now + passes : Math.max(this.now, wake ?? this.now)
    this.#note(input)
    const wasActive = 'peer' in input && this.machine.isActive(input.peer)
    const outputs = this.machine.step(input, this.now)
    for (const output of outputs) this.#judge(output)
    const active = this.#peers.filter((peer) => this.machine.isActive(peer))
    assert.ok(active.length <= LIMITS.campaigns)
    for (const peer of active) {
      assert.ok(this.machine.nextWake() !== undefined, `the campaign with ${peer} never ends`)
    }
    if (input.type === 'tick') {
      const next = this.machine.nextWake()
      assert.ok(next === undefined || next > this.now, 'what was due is still due')
    }
    if (input.type === 'met' || input.type === 'gone') {
      assert.ok(!this.machine.isActive(input.peer))
      const stopped = outputs.some(({ type }) => type === 'stop')
      assert.equal(stopped, wasActive)
      assert.equal(this.machine.againAt(input.peer), undefined)
    }
    return outputs
  }

  #note(input: PunchInput): void {
    if (input.type === 'own') for (const { ip } of input.facts.external) this.#ours.add(ip)
    if (input.type === 'call') this.#called.add(input.peer)
    if (input.type !== 'message') return
    if (input.message.type === 'ask') this.#asking.add(input.peer)
    if (input.seen === undefined) return
    const hosts = this.#seen.get(input.peer) ?? new Set()
    this.#seen.set(input.peer, hosts.add(input.seen.ip))
  }

  #judge(output: PunchOutput): void {
    const peer = output.type === 'ended' ? output.attempt.peer : output.peer
    assert.ok(this.#called.has(peer) || this.#asking.has(peer) || output.type === 'due')
    const vouched = this.#seen.get(peer) ?? new Set()
    switch (output.type) {
      case 'send':
        assert.ok((output.message.type === 'ask' ? this.#called : this.#asking).has(peer))
        return
      case 'dial':
        return this.#judgeDial(output, vouched)
      case 'probe':
      case 'knock':
        assert.ok(vouched.has(output.ip), 'a search towards an address that nobody vouches for')
        assert.ok(output.until <= this.now + SEARCH.mostMs)
        if (output.type === 'probe') assert.ok(output.ports.length <= SEARCH.probes)
        else assert.ok(output.sockets <= SEARCH.sockets)
        assert.ok(
          this.#search === undefined || this.now >= this.#search.until,
          'two searches at a time',
        )
        this.#search = { peer, until: output.until }
        return
      case 'ended':
        if (output.attempt.method === 'search' && this.#search?.peer === peer)
          this.#search = undefined
        return
      case 'gave-up':
        assert.ok(output.againAt === undefined || output.againAt >= this.now + LIMITS.newsMs)
        return
      case 'started':
      case 'due':
      case 'stop':
    }
  }

  #judgeDial(
    { targets, startAt, until }: Extract<PunchOutput, { type: 'dial' }>,
    vouched: Set<string>,
  ): void {
    assert.ok(targets.length <= LIMITS.external + LIMITS.lan)
    // Sums, as the machine has them: a difference may be rounded beyond the limit.
    assert.ok(startAt <= this.now + LIMITS.mostRttMs && until <= this.now + LIMITS.meetMostMs)
    const scopes = new Set(['public', ...[...this.#ours].map(scopeOf)])
    for (const { ip, dials, kind } of targets) {
      assert.ok(dials <= (vouched.has(ip) ? LIMITS.dialsVouched : LIMITS.dialsUnvouched))
      assert.notEqual(scopeOf(ip), 'unusable')
      if (kind === 'lan') assert.ok(scopeOf(ip) === 'private' && this.#ours.size > 0)
      else assert.ok(scopes.has(scopeOf(ip)), `${ip} is nobody's outside`)
    }
  }
}

/** How much time passes: none, little, much, until the machine wants to be woken, or ages. */
const passing = fc.oneof(
  fc.constant(0),
  fc.nat(100),
  fc.nat(20_000),
  fc.constant(-1),
  fc.constant(1e12),
)

const run = (
  peers: readonly string[],
  steps: readonly (readonly [PunchInput, number])[],
): Watched => {
  const watched = new Watched(peers)
  for (const [input, passes] of steps) watched.step(input, passes)
  return watched
}

test('nothing that a few peers do, in whatever order, breaks a rule', () => {
  const peers = ['A', 'Z']
  const steps = fc.array(fc.tuple(inputs(fc.constantFrom(...peers)), passing), {
    maxLength: 80,
    size: 'max',
  })
  fc.assert(
    fc.property(steps, (taken) => void run(peers, taken)),
    { numRuns: 1_500 },
  )
})

test('nothing that hundreds of peers do breaks a rule', () => {
  const peers = Array.from({ length: 200 }, (_, i) => `P${i}`)
  const steps = fc.array(fc.tuple(inputs(fc.constantFrom(...peers)), fc.nat(20)), {
    minLength: 200,
    maxLength: 600,
    size: 'max',
  })
  fc.assert(
    fc.property(steps, (taken) => void run(peers, taken)),
    { numRuns: 60 },
  )
})

test('whatever came in, all is quiet in the end', () => {
  const peers = ['A', 'Z']
  const steps = fc.array(fc.tuple(inputs(fc.constantFrom(...peers)), passing), {
    maxLength: 60,
    size: 'max',
  })
  fc.assert(
    fc.property(steps, (taken) => {
      const watched = run(peers, taken)
      for (let i = 0; i < 60; i++) watched.step({ type: 'tick' }, -1)
      for (const peer of peers) assert.ok(!watched.machine.isActive(peer))
    }),
    { numRuns: 500 },
  )
})

const ask = (peer: string, campaign: string): PunchInput => ({
  type: 'message',
  peer,
  carrier: { kind: 'signal', relay: 'R' },
  message: {
    type: 'ask',
    campaign,
    round: 1,
    method: 'meet',
    callerOpens: false,
    blind: false,
    facts: { ...NOTHING_KNOWN, external: [{ ip: '51.0.0.1', port: 4001 }] },
  },
})

test('a flood of asks by ever new peers makes no more dials than the limits say', () => {
  const machine = new HolePunching('M', seededRng(1))
  let [answers, refusals] = [0, 0]
  for (let i = 0; i < 5_000; i++) {
    for (const output of machine.step(ask(`P${i}`, i.toString(16).padStart(32, '0')), i * 2)) {
      if (output.type !== 'send') continue
      if (output.message.type === 'answer') answers++
      else refusals++
    }
  }
  assert.ok(answers <= LIMITS.asksBurst + 10 * LIMITS.asksPerSecond)
  assert.equal(answers + refusals, 5_000)
})

test('a campaign that is over is not begun again by a late ask', () => {
  const machine = new HolePunching('M', seededRng(1))
  const first = machine.step(ask('A', 'ab'.repeat(16)), 0)
  assert.ok(first.some(({ type }) => type === 'dial'))
  machine.step({ type: 'met', peer: 'A', address: '/ip4/51.0.0.1/tcp/4001' }, 100)
  assert.deepEqual(machine.step(ask('A', 'ab'.repeat(16)), 200), [])
})

const call = (peer: string, campaign: string): PunchInput => ({
  type: 'call',
  peer,
  facts: NOTHING_KNOWN,
  campaign,
})
const carriers = (peer: string): PunchInput => ({
  type: 'carriers',
  peer,
  carriers: [{ kind: 'signal', relay: 'R', rttMs: 50 }],
})

test('when both call, the smaller id leads and the larger takes part', () => {
  const [small, large] = [new HolePunching('A', seededRng(1)), new HolePunching('B', seededRng(2))]
  for (const [machine, peer] of [
    [small, 'B'],
    [large, 'A'],
  ] as const) {
    machine.step(carriers(peer), 0)
    machine.step(call(peer, peer.repeat(32).toLowerCase()), 0)
  }
  assert.deepEqual(small.step(ask('B', 'a'.repeat(32)), 50), [])
  const yielded = large.step(ask('A', 'b'.repeat(32)), 50)
  assert.ok(yielded.some((one) => one.type === 'send' && one.message.type === 'answer'))
})

test('the smaller id takes part as long as nobody has heard of its own call', () => {
  const machine = new HolePunching('A', seededRng(1))
  machine.step({ type: 'call', peer: 'B', facts: NOTHING_KNOWN, campaign: 'b'.repeat(32) }, 0)
  const outputs = machine.step(ask('B', 'a'.repeat(32)), 10)
  assert.ok(outputs.some((one) => one.type === 'send' && one.message.type === 'answer'))
})

const signalsThenCircuit = [
  { kind: 'signal', relay: 'R1', rttMs: 50 },
  { kind: 'signal', relay: 'R2', rttMs: 50 },
  { kind: 'circuit', relay: 'R1', rttMs: 120 },
] as const

/** A caller whose relays pass on no signals, at the time when it has found that out. */
function afterTwoSignals(self: string, peer: string): [HolePunching, readonly PunchOutput[]] {
  const machine = new HolePunching(self, seededRng(1))
  machine.step({ type: 'carriers', peer, carriers: signalsThenCircuit }, 0)
  const facts = { ...NOTHING_KNOWN, external: [{ ip: '51.0.0.1', port: 4001 }] }
  machine.step({ type: 'call', peer, facts, campaign: 'b'.repeat(32) }, 0)
  machine.step({ type: 'undelivered', peer, carrier: signalsThenCircuit[0] }, 10)
  return [machine, machine.step({ type: 'undelivered', peer, carrier: signalsThenCircuit[1] }, 20)]
}

const asksIn = (outputs: readonly PunchOutput[]): string[] =>
  outputs.flatMap((one) =>
    one.type === 'send' && one.message.type === 'ask' ? [one.carrier.kind] : [],
  )

test('asks that were not delivered use up none of those that a round has', () => {
  const [machine, outputs] = afterTwoSignals('A', 'B')
  const asks = asksIn(outputs)
  for (let now = 20; now < 1_400; now += 10)
    asks.push(...asksIn(machine.step({ type: 'tick' }, now)))
  assert.deepEqual(
    asks,
    Array.from({ length: LIMITS.asksPerRound }, () => 'circuit'),
  )
})

test('dials are timed by the ask that was delivered, and one that failed is not reported again', () => {
  const [, outputs] = afterTwoSignals('A', 'B')
  const dial = outputs.find((one) => one.type === 'dial')
  assert.equal(dial?.startAt, 20 + 120 / 2)
  assert.ok(!outputs.some(({ type }) => type === 'started'))
})

test('a carrier that failed is not used again in the round', () => {
  const [machine] = afterTwoSignals('A', 'B')
  const again = machine.step({ type: 'undelivered', peer: 'B', carrier: signalsThenCircuit[2] }, 30)
  assert.deepEqual(asksIn(again), [])
  machine.step({ type: 'tick' }, 9_000)
  assert.ok(machine.isActive('B'), 'it waits for something that can carry its ask')
  const carrier = { kind: 'signal', relay: 'R3', rttMs: 50 } as const
  const found = machine.step({ type: 'carriers', peer: 'B', carriers: [carrier] }, 9_500)
  assert.deepEqual(asksIn(found), ['signal'])
})

test('when the last ask of a round was not delivered another one follows, by a carrier that may work', () => {
  const machine = new HolePunching('A', seededRng(1))
  const carriers = signalsThenCircuit.slice(1)
  machine.step({ type: 'carriers', peer: 'B', carriers }, 0)
  const facts = { ...NOTHING_KNOWN, external: [{ ip: '51.0.0.1', port: 4001 }] }
  const sent: Carrier[] = []
  const take = (outputs: readonly PunchOutput[]) => {
    for (const one of outputs)
      if (one.type === 'send' && one.message.type === 'ask') sent.push(one.carrier)
  }
  take(machine.step({ type: 'call', peer: 'B', facts, campaign: 'b'.repeat(32) }, 0))
  let now = 0
  for (; sent.length < LIMITS.asksPerRound && now < 3_000; now += 10)
    take(machine.step({ type: 'tick' }, now))
  assert.equal(sent.length, LIMITS.asksPerRound)
  const last = sent.at(-1) ?? assert.fail()
  const heard = sent.find((one) => one.relay !== last.relay || one.kind !== last.kind)
  machine.step({ type: 'undelivered', peer: 'B', carrier: last }, now)
  for (const end = now + 1_000; now < end; now += 10) take(machine.step({ type: 'tick' }, now))
  assert.deepEqual(sent.slice(LIMITS.asksPerRound), [heard])
})

test('the smaller id takes part as long as its own asks were not delivered', () => {
  const machine = new HolePunching('A', seededRng(1))
  machine.step({ type: 'carriers', peer: 'B', carriers: signalsThenCircuit.slice(0, 1) }, 0)
  machine.step(call('B', 'b'.repeat(32)), 0)
  assert.deepEqual(machine.step(ask('B', 'a'.repeat(32)), 10), [])
  machine.step({ type: 'undelivered', peer: 'B', carrier: signalsThenCircuit[0] }, 20)
  const outputs = machine.step(ask('B', 'a'.repeat(32)), 30)
  assert.ok(outputs.some((one) => one.type === 'send' && one.message.type === 'answer'))
})

test('a call that finds no room is due again later', () => {
  const machine = new HolePunching('M', seededRng(1))
  for (let i = 0; i < LIMITS.campaigns; i++) {
    machine.step(
      {
        type: 'call',
        peer: `P${i}`,
        facts: NOTHING_KNOWN,
        campaign: i.toString(16).padStart(32, '0'),
      },
      0,
    )
  }
  machine.step({ type: 'call', peer: 'late', facts: NOTHING_KNOWN, campaign: 'f'.repeat(32) }, 0)
  assert.ok(!machine.isActive('late'))
  assert.ok((machine.againAt('late') ?? Infinity) < 60_000)
})

test('a host that nobody vouches for is dialled a bounded number of times, however many peers name it', () => {
  const machine = new HolePunching('M', seededRng(1))
  let dials = 0
  for (let i = 0; i < 40; i++) {
    const message = ask(`P${i}`, i.toString(16).padStart(32, '0'))
    if (message.type !== 'message' || message.message.type !== 'ask') throw new Error('no ask')
    message.message.facts = { ...NOTHING_KNOWN, external: [{ ip: '51.9.9.9', port: 80 + i }] }
    for (const output of machine.step(message, 1_000)) {
      if (output.type === 'dial') for (const target of output.targets) dials += target.dials
    }
  }
  assert.ok(dials > 0 && dials <= LIMITS.unvouchedBurst, `${dials} dials`)
})
