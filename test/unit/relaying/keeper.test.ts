import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Candidate } from '../../../protocols/relaying/candidates.ts'
import { RelayKeeper } from '../../../protocols/relaying/keeper.ts'
import type { KeeperInput, KeeperOutput } from '../../../protocols/relaying/keeper.ts'
import { KEEPER_LIMITS } from '../../../protocols/relaying/limits.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'

const HOUR = 3_600_000

type Offer = Partial<Candidate> & { peer: string }

/** A keeper that knows these, by default connected ones. */
function keeperWith(...offers: (string | Offer)[]): RelayKeeper {
  const keeper = new RelayKeeper(seededRng(1))
  for (const offer of offers) {
    const given = typeof offer === 'string' ? { peer: offer } : offer
    keeper.step({ type: 'candidate', source: 'exchange', connected: true, ...given }, 0)
  }
  return keeper
}

/** The same, which needs relays and holds the first two. */
function holding(...offers: (string | Offer)[]): RelayKeeper {
  const keeper = keeperWith(...offers)
  keeper.step({ type: 'need', need: true }, 0)
  for (const { peer } of keeper.relays().filter(({ state }) => state === 'reserving')) {
    keeper.step({ type: 'granted', peer, until: HOUR }, 10)
    keeper.step({ type: 'tested', peer, outcome: 'forwards' }, 10)
  }
  return keeper
}

const peersOf = (type: KeeperOutput['type'], outputs: readonly KeeperOutput[]): string[] =>
  outputs.flatMap((one) => (one.type === type ? [one.peer] : []))
const asked = (outputs: readonly KeeperOutput[]): string[] => peersOf('reserve', outputs)
const reached = (outputs: readonly KeeperOutput[]): string[] => peersOf('reach', outputs)
const types = (outputs: readonly KeeperOutput[]): string[] => outputs.map(({ type }) => type)
const held = (keeper: RelayKeeper): string[] =>
  keeper.relays().flatMap(({ peer, state }) => (state === 'held' ? [peer] : []))

/** Rings alarms until `until`, or until one has this output, and returns when that was. */
function wait(keeper: RelayKeeper, until: number, type?: KeeperOutput['type']): number {
  for (let at = keeper.nextWake(); at !== undefined && at <= until; at = keeper.nextWake()) {
    const out = keeper.step({ type: 'tick' }, at)
    if (type !== undefined && types(out).includes(type)) return at
  }
  assert.equal(type, undefined, `no ${type} until ${until}`)
  return until
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

test('candidates that are not connected are reached first, and a third is kept warm', () => {
  const keeper = keeperWith(
    ...['a', 'b', 'c', 'd'].map((peer) => ({ peer, connected: false as const })),
  )
  assert.deepEqual(reached(keeper.step({ type: 'need', need: true }, 0)), ['a', 'b', 'c'])
  assert.deepEqual(asked(keeper.step({ type: 'reached', peer: 'b' }, 50)), ['b'])
  assert.deepEqual(asked(keeper.step({ type: 'reached', peer: 'c' }, 60)), ['c'])
  assert.deepEqual(asked(keeper.step({ type: 'reached', peer: 'a' }, 70)), [])
  assert.deepEqual(
    keeper.relays().map(({ peer, state }) => `${peer} ${state}`),
    ['b reserving', 'c reserving', 'a warm'],
  )
})

test('bootstraps that hang do not hold up a member that is connected', () => {
  const dead = ['x', 'y', 'z'].map((peer) => ({
    peer,
    source: 'bootstrap' as const,
    connected: false,
  }))
  const keeper = keeperWith(...dead)
  assert.equal(reached(keeper.step({ type: 'need', need: true }, 0)).length, 3)
  const member = { type: 'candidate', peer: 'm', source: 'connected', connected: true } as const
  assert.deepEqual(asked(keeper.step(member, 100)), ['m'])
  assert.deepEqual(asked(keeper.step({ ...member, peer: 'n' }, 200)), ['n'])
})

test('a lost relay is asked again within about a second', () => {
  const keeper = holding({ peer: 'a' })
  keeper.step({ type: 'cut', peer: 'a' }, 1_000)
  const at = wait(keeper, 5_000, 'reach')
  assert.ok(at > 1_300 && at <= 2_000, `${at}`)
  assert.deepEqual(asked(keeper.step({ type: 'reached', peer: 'a' }, at + 50)), ['a'])
})

test('while a relay restarts it is tried every second, whoever says farewell for it', () => {
  const keeper = holding({ peer: 'a' })
  keeper.step({ type: 'candidate-gone', peer: 'a' }, 900)
  keeper.step({ type: 'cut', peer: 'a' }, 1_000)
  let before = 1_000
  for (let now = wait(keeper, HOUR, 'reach'); now < 15_000; now = wait(keeper, HOUR, 'reach')) {
    assert.ok(now - before <= 1_000, `${now - before} ms without a try`)
    keeper.step({ type: 'failed', peer: 'a', failure: 'unreachable' }, now)
    before = now
  }
  keeper.step({ type: 'reached', peer: 'a' }, 15_100)
  keeper.step({ type: 'granted', peer: 'a', until: HOUR }, 15_150)
  assert.deepEqual(held(keeper), ['a'])
})

test('a relay that said farewell and does not come back is forgotten', () => {
  const keeper = holding({ peer: 'a' })
  keeper.step({ type: 'candidate-gone', peer: 'a' }, 900)
  keeper.step({ type: 'cut', peer: 'a' }, 1_000)
  for (let i = 0; i < 60 && keeper.relays().length === 0; i++) {
    const at = keeper.nextWake()
    if (at === undefined || at > 60_000) break
    if (reached(keeper.step({ type: 'tick' }, at)).length > 0) {
      keeper.step({ type: 'failed', peer: 'a', failure: 'unreachable' }, at)
    }
  }
  const again = { type: 'granted', peer: 'a', until: HOUR } as const
  assert.deepEqual(types(keeper.step(again, 61_000)), ['release'])
})

test('a relay that comes back by itself is asked at once', () => {
  const keeper = holding({ peer: 'a' })
  keeper.step({ type: 'cut', peer: 'a' }, 1_000)
  const back = { type: 'candidate', peer: 'a', source: 'connected', connected: true } as const
  assert.deepEqual(asked(keeper.step(back, 1_100)), ['a'])
})

test('a relay that takes us and drops us over and over is met with growing pauses', () => {
  const keeper = holding({ peer: 'a' })
  let now = 100
  const pauses: number[] = []
  for (let i = 0; i < 8; i++) {
    keeper.step({ type: 'lost', peer: 'a', reason: 'x' }, now)
    keeper.step({ type: 'candidate', peer: 'a', source: 'connected', connected: true }, now)
    if (asked(keeper.step({ type: 'tick' }, now)).length === 0 && keeper.relays().length === 0) {
      const at = wait(keeper, HOUR, 'reserve')
      pauses.push(at - now)
      now = at
    }
    keeper.step({ type: 'granted', peer: 'a', until: now + HOUR }, now)
  }
  assert.ok((pauses.at(-1) ?? 0) > 8_000, pauses.join())
})

test('the warm one takes the place of a lost relay at once', () => {
  const keeper = holding('a', 'b', 'c')
  const outputs = keeper.step({ type: 'cut', peer: 'a' }, 1_000)
  assert.deepEqual(types(outputs), ['relay.lost', 'reserve'])
  assert.deepEqual(asked(outputs), ['c'])
  keeper.step({ type: 'granted', peer: 'c', until: HOUR }, 1_100)
  assert.deepEqual(asked(keeper.step({ type: 'tick' }, 3_000)), [], 'two are enough')
})

test('a lost relay becomes the warm one when it is back', () => {
  const keeper = holding('a', 'b', 'c')
  keeper.step({ type: 'cut', peer: 'a' }, 1_000)
  keeper.step({ type: 'granted', peer: 'c', until: HOUR }, 1_100)
  const at = wait(keeper, 3_000, 'reach')
  keeper.step({ type: 'reached', peer: 'a' }, at + 100)
  assert.deepEqual(
    keeper.relays().map(({ peer, state }) => `${peer} ${state}`),
    ['b held', 'c held', 'a warm'],
  )
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
    const keeper = keeperWith({ peer: 'a', connected: false })
    keeper.step({ type: 'need', need: true }, 0)
    let now = 0
    let pause = 0
    for (let i = 0; i < 12; i++) {
      keeper.step({ type: 'failed', peer: 'a', failure }, now)
      const at = wait(keeper, now + HOUR, 'reach')
      pause = at - now
      now = at
    }
    assert.ok(pause >= last * 0.75 && pause <= last * 1.25, `${failure}: ${pause}`)
  }
})

test('a node that did not relay is asked at once when it says that it does', () => {
  const keeper = keeperWith({ peer: 'a', connected: false })
  keeper.step({ type: 'need', need: true }, 0)
  keeper.step({ type: 'failed', peer: 'a', failure: 'unsupported' }, 100)
  const again = { type: 'candidate', peer: 'a', source: 'connected', connected: true } as const
  assert.deepEqual(asked(keeper.step(again, 200)), ['a'])
})

test('a near relay in another network is preferred', () => {
  const keeper = keeperWith(
    { peer: 'far', group: 'x', rttMs: 300 },
    { peer: 'near', group: 'y', rttMs: 10 },
    { peer: 'its-neighbour', group: 'y', rttMs: 12 },
  )
  assert.deepEqual(asked(keeper.step({ type: 'need', need: true }, 0)), ['near', 'far'])
})

test('one with free places is preferred to a full one, an idle one to one that lags', () => {
  const full = keeperWith(
    { peer: 'full', free: 0, rttMs: 10 },
    { peer: 'free', free: 1, rttMs: 90 },
  )
  assert.equal(asked(full.step({ type: 'need', need: true }, 0))[0], 'free')

  const keeper = holding(
    { peer: 'a', rttMs: 50 },
    { peer: 'b', rttMs: 50 },
    { peer: 'c', rttMs: 60 },
  )
  keeper.step({ type: 'tested', peer: 'a', outcome: 'forwards', ms: 3_100 }, 50)
  const at = wait(keeper, HOUR, 'reserve')
  assert.ok(at >= KEEPER_LIMITS.reviewMs, 'not in haste')
  keeper.step({ type: 'granted', peer: 'c', until: at + HOUR }, at + 50)
  assert.deepEqual(held(keeper).sort(), ['b', 'c'])
})

test('what lies behind a relay counts, and is assumed of those not measured too', () => {
  const keeper = holding(
    { peer: 'a', rttMs: 50 },
    { peer: 'b', rttMs: 50 },
    { peer: 'c', rttMs: 50 },
  )
  keeper.step({ type: 'measured', peer: 'a', pathMs: 900 }, 100)
  wait(keeper, KEEPER_LIMITS.reviewMs - 1)
  const alone = keeper.step({ type: 'tick' }, KEEPER_LIMITS.reviewMs)
  assert.deepEqual(asked(alone), [], 'c would likely be as far from those peers')
  keeper.step({ type: 'measured', peer: 'b', pathMs: 60 }, KEEPER_LIMITS.reviewMs)
  keeper.step({ type: 'measured', peer: 'c', pathMs: 60 }, KEEPER_LIMITS.reviewMs)
  wait(keeper, 2 * KEEPER_LIMITS.reviewMs - 1)
  const known = keeper.step({ type: 'tick' }, 2 * KEEPER_LIMITS.reviewMs)
  assert.deepEqual(asked(known), ['c'])
})

test('a relay that is held is not given up for one that is a little better', () => {
  const keeper = holding({ peer: 'a', rttMs: 100 }, { peer: 'b', rttMs: 100 })
  const better = { peer: 'c', source: 'exchange', connected: true, rttMs: 40 } as const
  assert.deepEqual(asked(keeper.step({ type: 'candidate', ...better }, 1_000)), [])
  wait(keeper, HOUR - 1)
  assert.deepEqual(held(keeper).sort(), ['a', 'b'])
})

test('one that is better by far replaces the worst, and is held before that one is let go', () => {
  const near = { peer: 'c', group: 'z', rttMs: 20 }
  const keeper = holding({ peer: 'a', group: 'x', rttMs: 20 }, { peer: 'b', group: 'x', rttMs: 20 })
  keeper.step({ type: 'candidate', source: 'connected', connected: true, ...near }, 20)
  const at = wait(keeper, HOUR, 'reserve')
  assert.deepEqual(held(keeper).length, 2)
  const out = keeper.step({ type: 'granted', peer: 'c', until: at + HOUR }, at + 50)
  assert.deepEqual(types(out).slice(0, 2), ['relay.held', 'test'])
  assert.deepEqual(types(out).slice(2, 4), ['release', 'relay.lost'])
  assert.ok(held(keeper).includes('c'))
})

test('a reservation is renewed ahead', () => {
  const keeper = holding({ peer: 'a' })
  const at = wait(keeper, HOUR, 'renew')
  assert.ok(HOUR - at > 7 * 60_000 && HOUR - at < 10 * 60_000, `${HOUR - at} ms ahead`)
  assert.deepEqual(types(keeper.step({ type: 'granted', peer: 'a', until: 2 * HOUR }, at)), [
    'relay.renewed',
  ])
  assert.ok(wait(keeper, 2 * HOUR, 'renew') > HOUR)
})

test('a short reservation is renewed before a third of it is left', () => {
  const keeper = keeperWith('a')
  keeper.step({ type: 'need', need: true }, 0)
  keeper.step({ type: 'granted', peer: 'a', until: 90_000 }, 0)
  const at = wait(keeper, 90_000, 'renew')
  assert.ok(at > 55_000 && at < 65_000, `${at}`)
})

test('one that refuses to renew serves on until another has taken its place', () => {
  const keeper = holding('a', 'b', 'c')
  wait(keeper, HOUR, 'renew')
  const refusal = { type: 'failed', peer: 'a', failure: 'refused' } as const
  assert.deepEqual(asked(keeper.step(refusal, HOUR - 500_000)), ['c'])
  assert.deepEqual(held(keeper).sort(), ['a', 'b'], 'it still keeps its promise')
  const out = keeper.step({ type: 'granted', peer: 'c', until: 2 * HOUR }, HOUR - 499_000)
  assert.deepEqual(types(out), ['relay.held', 'test', 'release', 'relay.lost'])
  assert.deepEqual(held(keeper).sort(), ['b', 'c'])
})

test('with nobody to take its place it is asked for a renewal until the end', () => {
  const keeper = holding('a')
  let tries = 0
  for (let at = keeper.nextWake() as number; at < HOUR; at = keeper.nextWake() as number) {
    const out = keeper.step({ type: 'tick' }, at)
    if (types(out).includes('renew')) {
      tries++
      keeper.step({ type: 'failed', peer: 'a', failure: 'refused' }, at)
    }
    if (types(out).includes('test')) {
      keeper.step({ type: 'tested', peer: 'a', outcome: 'forwards' }, at)
    }
  }
  assert.ok(tries >= 4, `${tries} tries`)
  assert.deepEqual(held(keeper), ['a'])
  assert.deepEqual(types(keeper.step({ type: 'tick' }, HOUR)).slice(0, 1), ['relay.lost'])
})

test('a new relay is tested at once, and from then on about every minute', () => {
  const keeper = keeperWith('a')
  keeper.step({ type: 'need', need: true }, 0)
  const out = keeper.step({ type: 'granted', peer: 'a', until: HOUR }, 10)
  assert.deepEqual(types(out), ['relay.held', 'test'])
  let now = 20
  for (let i = 0; i < 5; i++) {
    keeper.step({ type: 'tested', peer: 'a', outcome: 'forwards', ms: 20 }, now)
    const at = wait(keeper, now + HOUR, 'test')
    assert.ok(at - now >= 45_000 && at - now <= 75_000, `${at - now}`)
    now = at
  }
})

test('a relay that passes nothing on is replaced, and rests for minutes', () => {
  const keeper = holding('a', 'b', 'c')
  const silent = { type: 'tested', peer: 'a', outcome: 'silent' } as const
  assert.deepEqual(asked(keeper.step(silent, 60_000)), ['c'], 'one doubt is enough to ask another')
  assert.equal(keeper.relays().find(({ peer }) => peer === 'a')?.forwards, false)
  const out = keeper.step({ type: 'granted', peer: 'c', until: HOUR }, 60_050)
  assert.deepEqual(types(out), ['relay.held', 'test', 'release', 'relay.lost'])
  const connected = { type: 'candidate', peer: 'a', source: 'connected', connected: true } as const
  keeper.step({ type: 'cut', peer: 'b' }, 61_000)
  assert.deepEqual(asked(keeper.step(connected, 61_100)), [], 'coming back is no excuse')
  const at = wait(keeper, 61_100 + HOUR, 'reserve')
  assert.ok(at > 61_100, 'only b itself may be asked again')
  assert.ok(!held(keeper).includes('a'))
})

test('one failed test and one that comes through change nothing when nobody else is there', () => {
  const keeper = holding('a')
  keeper.step({ type: 'tested', peer: 'a', outcome: 'silent' }, 60_000)
  assert.equal(wait(keeper, 62_000, 'test'), 60_000 + KEEPER_LIMITS.retestMs)
  keeper.step({ type: 'tested', peer: 'a', outcome: 'forwards' }, 61_100)
  assert.deepEqual(held(keeper), ['a'])
  assert.equal(keeper.relays()[0]?.forwards, true)
})

test('two failed tests end even the only one', () => {
  const keeper = holding('a')
  keeper.step({ type: 'tested', peer: 'a', outcome: 'silent' }, 60_000)
  const out = keeper.step({ type: 'tested', peer: 'a', outcome: 'silent' }, 62_000)
  assert.deepEqual(types(out), ['release', 'relay.lost'])
  const again = wait(keeper, HOUR, 'reserve')
  assert.ok(again - 62_000 < 2_000, `nobody else is there: asked again after ${again - 62_000} ms`)
})

test('who passes nothing on beside one that does is left alone for minutes', () => {
  const keeper = holding('a', 'b')
  keeper.step({ type: 'tested', peer: 'a', outcome: 'silent' }, 60_000)
  const out = keeper.step({ type: 'tested', peer: 'a', outcome: 'silent' }, 62_000)
  assert.deepEqual(types(out).slice(0, 2), ['release', 'relay.lost'])
  const again = wait(keeper, HOUR, 'reserve')
  assert.ok(again - 62_000 > 200_000, `asked again after ${again - 62_000} ms`)
})

test('a black hole is asked less often each time, though it grants each time', () => {
  const keeper = holding('a')
  let now = 60_000
  const pauses: number[] = []
  for (let i = 0; i < 12; i++) {
    keeper.step({ type: 'tested', peer: 'a', outcome: 'silent' }, now)
    keeper.step({ type: 'tested', peer: 'a', outcome: 'silent' }, now)
    const at = wait(keeper, now + 2 * HOUR, 'reserve')
    pauses.push(at - now)
    now = at
    keeper.step({ type: 'granted', peer: 'a', until: now + HOUR }, now)
  }
  assert.ok((pauses.at(-1) as number) > 200_000, pauses.join())
})

test('a relay that lets nobody test it is kept until another takes its place', () => {
  const keeper = holding('a', 'b')
  const unclear = { type: 'tested', peer: 'a', outcome: 'unclear' } as const
  for (let i = 1; i < KEEPER_LIMITS.unclearTests; i++) keeper.step(unclear, i * 20_000)
  const spare = { type: 'candidate', peer: 'c', source: 'connected', connected: true } as const
  assert.deepEqual(asked(keeper.step(spare, 90_000)), [], 'it may be busy')
  assert.deepEqual(asked(keeper.step(unclear, 100_000)), ['c'])
  assert.ok(held(keeper).includes('a'))
  const out = keeper.step({ type: 'granted', peer: 'c', until: HOUR }, 100_050)
  assert.deepEqual(types(out), ['relay.held', 'test', 'release', 'relay.lost'])
  assert.equal(out.at(-1)?.type === 'relay.lost' && out.at(-1)?.peer, 'a')
})

test('a test that says nothing is made again soon, and costs the only relay nothing', () => {
  const keeper = holding('a')
  for (let i = 1; i < 20; i++) {
    keeper.step({ type: 'tested', peer: 'a', outcome: 'unclear' }, i * 20_000)
  }
  assert.deepEqual(held(keeper), ['a'])
  assert.equal(wait(keeper, HOUR, 'test'), 19 * 20_000 + KEEPER_LIMITS.unclearMs)
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

test('a reservation that nobody asked for is let go when there are enough', () => {
  const keeper = holding('a', 'b', 'c')
  const unasked = { type: 'granted', peer: 'c', until: HOUR } as const
  assert.deepEqual(types(keeper.step(unasked, 100)), ['release'])
  assert.deepEqual(types(keeper.step({ ...unasked, peer: 'stranger' }, 100)), ['release'])
  assert.deepEqual(held(keeper).sort(), ['a', 'b'])
})

test('gossip never pushes out a bootstrap, and never grows the list without end', () => {
  const keeper = keeperWith({ peer: 'bootstrap', source: 'bootstrap', connected: false })
  for (let i = 0; i < 10_000; i++) {
    keeper.step({ type: 'candidate', peer: `gossip-${i}`, source: 'exchange', rttMs: 0 }, 0)
  }
  keeper.step({ type: 'need', need: true }, 0)
  const tried = new Set<string>()
  for (let now = 0; now < 200_000; now = keeper.nextWake() as number) {
    for (const peer of reached(keeper.step({ type: 'tick' }, now))) {
      tried.add(peer)
      keeper.step({ type: 'failed', peer, failure: 'unreachable' }, now)
    }
  }
  assert.ok(tried.has('bootstrap'))
  assert.ok(tried.size <= KEEPER_LIMITS.maxCandidates)
})

test('whatever happens, few are held, and nobody is let go before others are there', () => {
  const peer = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
  const about = <T extends KeeperInput['type']>(type: T) => ({ type: fc.constant(type), peer })
  const input: fc.Arbitrary<KeeperInput> = fc.oneof(
    fc.constant<KeeperInput>({ type: 'tick' }),
    fc.record({ type: fc.constant('need' as const), need: fc.boolean() }),
    fc.record({
      ...about('candidate'),
      source: fc.constant('exchange' as const),
      connected: fc.boolean(),
    }),
    fc.record(about('candidate-gone')),
    fc.record(about('reached')),
    fc.record(about('cut')),
    fc.record({ ...about('granted'), until: fc.nat(400_000) }),
    fc.record({
      ...about('failed'),
      failure: fc.constantFrom('refused' as const, 'unsupported' as const, 'unreachable' as const),
    }),
    fc.record({ ...about('lost'), reason: fc.constant('x') }),
    fc.record({
      ...about('tested'),
      outcome: fc.constantFrom('forwards' as const, 'silent' as const, 'unclear' as const),
      ms: fc.nat(5_000),
    }),
    fc.record({ ...about('measured'), rttMs: fc.nat(1_000), pathMs: fc.nat(2_000) }),
  )
  const replaced = ['another relay took its place', 'it would not renew', 'it lets nobody test it']
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.nat(5_000)), { maxLength: 120 }), (steps) => {
      const keeper = new RelayKeeper(seededRng(1))
      const open = new Set<string>()
      let now = 0
      const ring = (until: number): KeeperOutput[] => {
        const at = keeper.nextWake()
        if (at === undefined || at > until) return []
        return [...keeper.step({ type: 'tick' }, at), ...ring(until)]
      }
      for (const [one, later] of steps) {
        now += later
        for (const out of [...ring(now), ...keeper.step(one, now)]) {
          if (out.type === 'relay.held') {
            assert.ok(!open.has(out.peer), 'held twice')
            open.add(out.peer)
          }
          if (out.type !== 'relay.lost') continue
          assert.ok(open.delete(out.peer), 'lost what was not held')
          if (replaced.includes(out.reason)) assert.ok(open.size >= KEEPER_LIMITS.wanted)
        }
        const inUse = keeper.relays().filter(({ state }) => state !== 'warm')
        assert.ok(inUse.length <= KEEPER_LIMITS.most)
        const sound = inUse.filter(({ forwards }) => forwards !== false)
        assert.ok(sound.length <= KEEPER_LIMITS.most)
        assert.deepEqual([...open].sort(), held(keeper).sort())
        assert.ok((keeper.nextWake() ?? Infinity) > now, 'no alarm is left behind')
      }
    }),
    { numRuns: 500 },
  )
})
