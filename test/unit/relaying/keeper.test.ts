import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RelayKeeper } from '../../../protocols/relaying/keeper.ts'
import type { KeeperInput, KeeperOutput } from '../../../protocols/relaying/keeper.ts'
import { KEEPER_LIMITS } from '../../../protocols/relaying/limits.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'

const HOUR = 3_600_000

function keeperWith(...peers: string[]): RelayKeeper {
  const keeper = new RelayKeeper(seededRng(1))
  for (const peer of peers) keeper.step({ type: 'candidate', peer, source: 'bootstrap' }, 0)
  return keeper
}

function asked(outputs: readonly KeeperOutput[]): string[] {
  return outputs.flatMap((one) => (one.type === 'dial-and-reserve' ? [one.peer] : []))
}

function types(outputs: readonly KeeperOutput[]): string[] {
  return outputs.map(({ type }) => type)
}

test('nothing is asked for until relays are needed', () => {
  const keeper = keeperWith('a', 'b')
  assert.equal(keeper.nextWake(), undefined)
  assert.deepEqual(asked(keeper.step({ type: 'need', need: true }, 0)), ['a', 'b'])
})

test('two are held of many, and one where there is only one', () => {
  assert.equal(asked(keeperWith('a', 'b', 'c').step({ type: 'need', need: true }, 0)).length, 2)
  assert.equal(asked(keeperWith('a').step({ type: 'need', need: true }, 0)).length, 1)
})

test('a lost relay is asked again within about a second', () => {
  const keeper = keeperWith('a')
  keeper.step({ type: 'need', need: true }, 0)
  keeper.step({ type: 'granted', peer: 'a', until: HOUR }, 10)
  assert.deepEqual(types(keeper.step({ type: 'lost', peer: 'a', reason: 'gone' }, 1_000)), [
    'relay.lost',
  ])
  const wake = keeper.nextWake() as number
  assert.ok(wake > 1_300 && wake <= 2_000, `${wake}`)
  assert.deepEqual(asked(keeper.step({ type: 'tick' }, wake)), ['a'])
})

test('another candidate takes the place of a lost relay at once', () => {
  const keeper = keeperWith('a', 'b', 'c')
  keeper.step({ type: 'need', need: true }, 0)
  for (const peer of ['a', 'b']) keeper.step({ type: 'granted', peer, until: HOUR }, 10)
  const outputs = keeper.step({ type: 'lost', peer: 'a', reason: 'gone' }, 1_000)
  assert.deepEqual(types(outputs), ['relay.lost', 'dial-and-reserve'])
  keeper.step({ type: 'granted', peer: 'c', until: HOUR }, 1_100)
  const later = keeper.step({ type: 'tick' }, 3_000)
  assert.deepEqual(asked(later), [], 'the lost one is not needed any more')
})

test('a relay that never answers makes room for the next', () => {
  const keeper = keeperWith('a', 'b', 'c')
  keeper.step({ type: 'need', need: true }, 0)
  keeper.step({ type: 'granted', peer: 'b', until: HOUR }, 10)
  assert.equal(keeper.nextWake(), KEEPER_LIMITS.answerMs)
  assert.deepEqual(asked(keeper.step({ type: 'tick' }, KEEPER_LIMITS.answerMs)), ['c'])
})

test('an unreachable relay is tried less and less often, a refusing one much less', () => {
  for (const [failure, last] of [
    ['unreachable', KEEPER_LIMITS.unreachable.maxMs],
    ['refused', KEEPER_LIMITS.refused.maxMs],
  ] as const) {
    const keeper = keeperWith('a')
    keeper.step({ type: 'need', need: true }, 0)
    let now = 0
    let pause = 0
    for (let i = 0; i < 12; i++) {
      keeper.step({ type: 'failed', peer: 'a', failure }, now)
      pause = (keeper.nextWake() as number) - now
      now += pause
      assert.deepEqual(asked(keeper.step({ type: 'tick' }, now)), ['a'])
    }
    assert.ok(pause >= last * 0.75 && pause <= last * 1.25, `${failure}: ${pause}`)
  }
})

test('a node that did not relay is asked at once when it says that it does', () => {
  const keeper = keeperWith('a')
  keeper.step({ type: 'need', need: true }, 0)
  keeper.step({ type: 'failed', peer: 'a', failure: 'unsupported' }, 100)
  const again = { type: 'candidate', peer: 'a', source: 'connected', ready: true } as const
  assert.deepEqual(asked(keeper.step(again, 200)), ['a'])
})

test('a near relay in another network is preferred', () => {
  const keeper = new RelayKeeper(seededRng(1))
  const offer = (peer: string, group: string, rttMs: number) =>
    keeper.step({ type: 'candidate', peer, source: 'exchange', group, rttMs }, 0)
  offer('far', 'x', 300)
  offer('near', 'y', 10)
  offer('its-neighbour', 'y', 12)
  assert.deepEqual(asked(keeper.step({ type: 'need', need: true }, 0)), ['near', 'far'])
})

test('a reservation that was not renewed counts as lost; a renewed one is held on', () => {
  const keeper = keeperWith('a')
  keeper.step({ type: 'need', need: true }, 0)
  keeper.step({ type: 'granted', peer: 'a', until: 1_000 }, 10)
  assert.deepEqual(types(keeper.step({ type: 'granted', peer: 'a', until: 2_000 }, 900)), [
    'relay.renewed',
  ])
  assert.deepEqual(types(keeper.step({ type: 'tick' }, 1_000)), [])
  assert.deepEqual(types(keeper.step({ type: 'tick' }, 2_000)), ['relay.lost'])
})

test('everything is released when strangers can reach this node', () => {
  const keeper = keeperWith('a', 'b')
  keeper.step({ type: 'need', need: true }, 0)
  keeper.step({ type: 'granted', peer: 'a', until: HOUR }, 10)
  assert.deepEqual(types(keeper.step({ type: 'need', need: false }, 20)), ['release', 'relay.lost'])
  assert.deepEqual(types(keeper.step({ type: 'granted', peer: 'b', until: HOUR }, 30)), ['release'])
  assert.deepEqual(keeper.relays(), [])
  assert.equal(keeper.nextWake(), undefined)
})

test('gossip never pushes out a bootstrap, and never grows the list without end', () => {
  const keeper = keeperWith('bootstrap')
  for (let i = 0; i < 10_000; i++) {
    keeper.step({ type: 'candidate', peer: `gossip-${i}`, source: 'exchange', rttMs: 0 }, 0)
  }
  keeper.step({ type: 'need', need: true }, 0)
  const tried = new Set<string>()
  for (let now = 0; now < 200_000; now = keeper.nextWake() as number) {
    for (const { peer } of keeper.relays()) {
      tried.add(peer)
      keeper.step({ type: 'failed', peer, failure: 'unreachable' }, now)
    }
    keeper.step({ type: 'tick' }, now)
  }
  assert.ok(tried.has('bootstrap'))
  assert.ok(tried.size <= KEEPER_LIMITS.maxCandidates)
})

test('whatever happens, no more than two are held or asked for', () => {
  const peer = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const input: fc.Arbitrary<KeeperInput> = fc.oneof(
    fc.constant<KeeperInput>({ type: 'tick' }),
    fc.record({ type: fc.constant('need' as const), need: fc.boolean() }),
    fc.record({
      type: fc.constant('candidate' as const),
      peer,
      source: fc.constant('exchange' as const),
    }),
    fc.record({ type: fc.constant('candidate-gone' as const), peer }),
    fc.record({ type: fc.constant('granted' as const), peer, until: fc.nat(200_000) }),
    fc.record({
      type: fc.constant('failed' as const),
      peer,
      failure: fc.constantFrom('refused' as const, 'unsupported' as const, 'unreachable' as const),
    }),
    fc.record({ type: fc.constant('lost' as const), peer, reason: fc.constant('x') }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.nat(5_000)), { maxLength: 80 }), (steps) => {
      const keeper = new RelayKeeper(seededRng(1))
      let now = 0
      for (const [one, later] of steps) {
        now += later
        keeper.step(one, now)
        assert.ok(keeper.relays().length <= KEEPER_LIMITS.wanted)
      }
    }),
  )
})
