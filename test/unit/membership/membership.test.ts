import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../../protocols/membership/limits.ts'
import type { Frame, FrameOf } from '../../../protocols/peer-exchange/messages.ts'
import type { Input, Output } from '../../../protocols/membership/membership.ts'
import { Bench, START, addressOf, names } from './bench.ts'

const HOUR = 3_600_000

/** In an overlay that is no small one any more, with neighbours of its choosing. */
function settled(self = 'zz', count = 100, options = {}): Bench {
  const bench = new Bench(self, options)
  for (const peer of names(count)) bench.know(peer)
  bench.start()
  bench.pass(10_000)
  return bench
}

test('every bootstrap is dialled at start, and no more at once than dials are allowed', () => {
  const bench = new Bench()
  bench.start(...names(6))
  assert.equal(bench.dialled().size, 6)
  const silent = new Bench()
  const bootstraps = names(20).map((peer) => ({ peer, addresses: [addressOf(peer)] }))
  const out = silent.machine.step({ type: 'start', bootstraps }, START)
  assert.equal(out.filter(({ type }) => type === 'dial').length, limits.dials)
})

test('peers of the book are dialled beside bootstraps that do not answer', () => {
  const bench = new Bench('a')
  for (const peer of names(20)) bench.know(peer)
  const bootstraps = names(4, 'b').map((peer) => ({ peer, addresses: [addressOf(peer)] }))
  bench.pass(limits.yieldMs)
  const out = bench.machine.step({ type: 'start', bootstraps }, bench.now)
  const dialled = out.flatMap((one) => (one.type === 'dial' ? [one.peer[0]] : []))
  assert.equal(dialled.filter((first) => first === 'b').length, limits.bootstrapDials)
  assert.equal(dialled.filter((first) => first === 'p').length, 3)
})

test('a book of peers that were reached before goes first, and bootstraps wait for three seconds', () => {
  const bench = new Bench('a')
  bench.reaches = () => false
  for (const peer of names(limits.bookEnough)) {
    bench.know(peer)
    bench.book.reached(peer, bench.now)
  }
  bench.start('b')
  assert.deepEqual(bench.dials('b'), [])
  bench.pass(limits.bookFirstMs)
  assert.equal(bench.dials('b').length, 1)
})

const dials = (out: readonly Output[]): number => out.filter(({ type }) => type === 'dial').length

test('bootstraps that come late find only the dials that are left', () => {
  const bench = new Bench('a')
  const known = names(limits.everybody)
  for (const peer of known) {
    bench.know(peer)
    bench.book.reached(peer, bench.now)
  }
  const bootstraps = names(6, 'b').map((peer) => ({ peer, addresses: [addressOf(peer)] }))
  const before = dials(bench.machine.step({ type: 'start', bootstraps }, bench.now))
  assert.equal(before, known.length)
  const late = dials(bench.machine.step({ type: 'tick' }, bench.now + limits.bookFirstMs))
  assert.equal(before + late, limits.urgentDials)
})

test('of two peers that learn of each other one dials and the other waits', () => {
  const [a, b] = [new Bench('a'), new Bench('b')]
  for (const one of [a, b]) {
    one.feed({ type: 'self', dependable: true })
    one.start()
  }
  a.know('b')
  b.know('a')
  assert.deepEqual([a.dials().length, b.dials().length], [1, 0])
  b.pass(limits.yieldMs)
  assert.equal(b.dials().length, 1, 'but not for ever')
})

test('a hidden node dials a public one rather than wait for it', () => {
  const hidden = new Bench('z')
  hidden.start()
  hidden.know('a')
  assert.equal(hidden.dials().length, 1)
})

test('in a small overlay everybody is chosen, in a large one five', () => {
  const small = new Bench('a')
  small.start()
  for (const peer of names(limits.everybody)) small.know(peer)
  small.pass(10_000)
  assert.equal(small.roles('chosen').length, limits.everybody)
  assert.equal(settled().roles('chosen').length, limits.chosen)
})

test('in a small overlay whose members come and go the chosen do not add up', () => {
  const bench = new Bench('a')
  bench.start()
  for (let i = 0; i < 100; i++) {
    bench.know(`p${i}`)
    bench.pass(10_000)
    bench.book.remove(`p${i}`)
  }
  assert.ok(bench.roles('chosen').length <= limits.everybody)
})

test('a linked peer is never dialled, nor this node itself', () => {
  const bench = new Bench('a')
  bench.comes('p0')
  bench.start('p0', 'a')
  bench.know('p0')
  bench.know('a')
  bench.pass(HOUR)
  assert.deepEqual(bench.dials(), [])
  assert.deepEqual(bench.roles('chosen'), ['p0'], 'the link that is there is made a neighbour')
})

test('a peer that cannot be reached is tried ever more rarely', () => {
  const bench = new Bench('a')
  bench.reaches = (peer) => peer !== 'dead'
  bench.start()
  for (const peer of ['p0', 'p1', 'p2', 'dead']) bench.know(peer)
  bench.feed({ type: 'proven', address: addressOf('dead') })
  bench.pass(HOUR)
  const at = bench.dials('dead')
  const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0))
  assert.ok((gaps[0] ?? 0) < 2_000 && gaps.length > 5)
  assert.ok(Math.max(...gaps) > 400_000 && Math.max(...gaps) <= 760_000)
  assert.ok(at.length < 20)
})

test('a lonely node tries its bootstraps at least every 75 seconds', () => {
  const bench = new Bench('a')
  bench.reaches = () => false
  bench.start('b0')
  bench.pass(HOUR)
  const at = bench.dials('b0')
  assert.ok(Math.max(...at.slice(1).map((time, i) => time - (at[i] ?? 0))) <= 76_000)
  assert.ok(at.length < 90)
})

test('bootstraps without a link are called rarely once there are enough links', () => {
  const bench = settled()
  bench.reaches = (peer) => peer !== 'b0'
  bench.start('b0')
  bench.pass(60_000)
  const before = bench.dials('b0').length
  bench.pass(HOUR)
  const later = bench.dials('b0').length - before
  assert.ok(later >= 3 && later <= 13, `${later} in an hour`)
})

test('unreachable bootstraps are named, and no more when linked', () => {
  const bench = new Bench('a')
  bench.reaches = (peer) => peer !== 'b0'
  bench.start('b0', 'b1')
  bench.pass(10_000)
  const reports = () => bench.of('bootstraps-unreachable').map(({ peers }) => peers)
  assert.deepEqual(reports(), [['b0']])
  bench.comes('b0')
  assert.deepEqual(reports(), [['b0'], []])
})

test('a bootstrap that has no place for us is released once there are neighbours', () => {
  const bench = new Bench('zz')
  bench.verdict = (peer) => (peer === 'b' ? 'full' : 'accepted')
  for (const peer of names(20)) bench.know(peer)
  bench.start('b')
  bench.pass(10_000)
  assert.equal(bench.roles('chosen').length, limits.chosen)
  assert.ok(bench.of('release').some(({ peer }) => peer === 'b'))
})

test('a node without links says so after a while, and when it is over', () => {
  const bench = new Bench('a')
  const said = () => bench.of('alone').map(({ alone }) => alone)
  bench.start()
  bench.pass(limits.aloneMs - 1)
  assert.deepEqual(said(), [])
  bench.pass(10_000)
  assert.deepEqual(said(), [true])
  bench.feed({ type: 'linked', peer: 's', path: 'direct', limited: false, dialled: false })
  assert.deepEqual(said(), [true], 'a stranger is no company')
  bench.feed({ type: 'greeted', peer: 's' })
  assert.deepEqual(said(), [true, false])
})

test('a new version of its record gives an unreachable peer another chance at once', () => {
  const bench = new Bench('a')
  bench.reaches = () => false
  bench.start()
  bench.know('p0')
  bench.feed({ type: 'proven', address: addressOf('p0') })
  bench.pass(5_000)
  const before = bench.dials('p0').length
  bench.know('p0', { seq: 2 })
  assert.equal(bench.dials('p0').length, before + 1)
})

test('an address that many identities sign is dialled three times, then left alone for a day', () => {
  const bench = new Bench('zz')
  bench.start()
  for (const peer of names(3, 'n')) bench.know(peer)
  bench.pass(20_000)
  bench.reaches = () => false
  const before = bench.dials().length
  const told = (peer: string, address: string) => bench.know(peer, { addresses: [address] })
  for (const peer of names(100, 'v')) told(peer, '/ip4/8.8.8.8/tcp/4001')
  bench.pass(limits.target.blockedMs - 60_000)
  assert.equal(bench.dials().length - before, limits.target.perPort)
})

test('a dial whose end is never told does not block the others', () => {
  const bench = new Bench('a')
  const bootstraps = [{ peer: 'b', addresses: ['/a'] }]
  bench.machine.step({ type: 'start', bootstraps }, START)
  const dials = (now: number) =>
    bench.machine.step({ type: 'tick' }, now).filter(({ type }) => type === 'dial').length
  assert.equal(dials(START + limits.silentMs - 1), 0)
  dials(START + limits.silentMs)
  assert.equal(dials(START + limits.silentMs + 2_000), 1)
})

// --- neighbours -------------------------------------------------------------------------------------------

test('a peer that greets and asks is accepted; one that only connects is not, nor a stranger', () => {
  const bench = new Bench('a')
  bench.start()
  assert.equal(bench.asks('nobody'), 'refused')
  bench.feed({ type: 'linked', peer: 'p', path: 'direct', limited: false, dialled: false })
  assert.equal(bench.asks('p'), 'refused')
  bench.feed({ type: 'greeted', peer: 'p' })
  assert.equal(bench.asks('p'), 'accepted')
  assert.equal(bench.asks('p'), 'accepted', 'and again costs nothing')
  assert.deepEqual(bench.machine.neighbours(), [{ peer: 'p', role: 'accepted' }])
  assert.equal(bench.of('neighbour').length, 1)
})

test('of two that ask each other at once both are chosen, and each takes back what it gave', () => {
  const bench = settled()
  const [peer = ''] = bench.roles('chosen')
  const role = () => bench.machine.neighbours().find((one) => one.peer === peer)?.role
  const ends = (evicted: boolean) => {
    const frame: FrameOf<'neighbourEnd'> = { type: 'neighbourEnd', entries: [], evicted }
    bench.feed({ type: 'request', exchange: 0, peer, frame })
  }
  assert.equal(bench.asks(peer), 'accepted')
  assert.equal(bench.machine.neighbours().length, limits.chosen)
  ends(false)
  assert.equal(role(), 'chosen', 'it does not choose us any more, we do it still')
  assert.equal(bench.asks(peer), 'accepted')
  ends(true)
  assert.equal(role(), 'accepted', 'it has no place for us, but wants one here')
  assert.equal(bench.of('neighbour-lost').length, 0)
  ends(false)
  assert.equal(role(), undefined)
  assert.equal(bench.of('neighbour-lost').length, 1)
  ends(true)
  assert.equal(bench.of('neighbour-lost').length, 1, 'an end of nothing is nothing')
})

test('a request, an answer and an end in any order leave both sides in agreement with what was said last', () => {
  const bench = new Bench('a')
  bench.verdict = () => undefined
  bench.start()
  bench.comes('p')
  const end = { type: 'request', exchange: 0, peer: 'p' } as const
  const farewell: FrameOf<'neighbourEnd'> = { type: 'neighbourEnd', entries: [], evicted: false }
  assert.equal(bench.asks('p'), 'accepted')
  bench.feed({ ...end, frame: farewell })
  assert.deepEqual(bench.machine.neighbours(), [])
  bench.feed({ ...end, frame: farewell })
  assert.equal(bench.of('neighbour-lost').length, 1, 'an end of nothing is nothing')
  assert.equal(bench.asks('p'), 'accepted')
  bench.feed({ type: 'unlinked', peer: 'p' })
  assert.equal(bench.of('neighbour-lost').length, 2)
  bench.feed({ type: 'unlinked', peer: 'p' })
  assert.deepEqual([bench.of('neighbour-lost').length, bench.machine.contacts], [2, 0])
})

test('an answer of an earlier link is no answer on the next one', () => {
  const bench = new Bench('a')
  bench.know('p')
  const linked = { type: 'linked', peer: 'p', path: 'direct', limited: false } as const
  const step = (input: Input) => bench.machine.step(input, bench.now)
  assert.ok(step({ type: 'start', bootstraps: [] }).some(({ type }) => type === 'dial'))
  step({ ...linked, dialled: true })
  const [ask] = step({ type: 'greeted', peer: 'p' }).filter(({ type }) => type === 'ask')
  assert.ok(ask?.type === 'ask')
  step({ type: 'unlinked', peer: 'p' })
  step({ ...linked, dialled: false })
  const { exchange } = ask
  const ack: Frame = { type: 'neighbourAck', verdict: 'accepted', retryS: 0, entries: [] }
  assert.deepEqual(
    step({ type: 'answer', exchange, frame: ack }).filter(({ type }) => type === 'neighbour'),
    [],
  )
})

test('a question that is never answered is given up, and asked again later', () => {
  const bench = new Bench('a')
  bench.know('p')
  const step = (input: Input) => bench.machine.step(input, bench.now)
  step({ type: 'start', bootstraps: [] })
  const asked: number[] = []
  const note = (output: Output): void => {
    if (output.type === 'ask') asked.push(bench.now)
    if (output.type !== 'dial') return
    const { peer } = output
    step({ type: 'linked', peer, path: 'direct', limited: false, dialled: true }).forEach(note)
    step({ type: 'greeted', peer }).forEach(note)
  }
  for (; bench.now < START + 300_000; bench.now += 500) step({ type: 'tick' }).forEach(note)
  assert.ok(asked.length >= 3 && asked.length <= 5, `${asked.length} times in five minutes`)
})

test('who was refused is left alone for as long as was asked for', () => {
  const bench = new Bench('a')
  bench.verdict = () => 'full'
  bench.start()
  bench.know('p')
  bench.pass(limits.retryMs.refused - 1_000)
  assert.equal(bench.of('ask').length, 1)
  bench.pass(10_000)
  assert.equal(bench.of('ask').length, 2)
})

test('one that asks too often is told so', () => {
  const bench = new Bench('a')
  bench.start()
  bench.comes('p')
  const end: FrameOf<'neighbourEnd'> = { type: 'neighbourEnd', entries: [], evicted: false }
  const verdicts = Array.from({ length: 6 }, () => {
    const verdict = bench.asks('p')
    bench.feed({ type: 'request', exchange: 0, peer: 'p', frame: end })
    return verdict
  })
  assert.deepEqual(verdicts.slice(0, 3), ['accepted', 'accepted', 'accepted'])
  assert.deepEqual(verdicts.slice(3), ['too-often', 'too-often', 'too-often'])
})

test('however many come, places are bounded, and of one address group few are taken', () => {
  const hidden = settled('zz')
  for (let i = 0; i < 200; i++) {
    hidden.comes(`c${i}`)
    hidden.asks(`c${i}`)
  }
  assert.equal(hidden.roles('accepted').length, limits.accepted.hidden)
  const open = settled('zz')
  open.feed({ type: 'self', dependable: true })
  for (let i = 0; i < 200; i++) {
    open.comes(`c${i}`, `/ip4/8.8.${i}.1/tcp/${i + 1}`)
    open.asks(`c${i}`)
  }
  assert.equal(open.roles('accepted').length, limits.acceptedFreely)
  const trusted = settled('zz', 100, { trusted: true })
  trusted.feed({ type: 'self', dependable: true })
  for (let i = 0; i < 200; i++) {
    trusted.comes(`c${i}`, `/ip4/8.8.${i}.1/tcp/${i + 1}`)
    trusted.asks(`c${i}`)
  }
  assert.equal(trusted.roles('accepted').length, limits.accepted.public)
})

test('those that say they are isolated press out each other, and not who came in between', () => {
  const full = settled('zz')
  for (const peer of names(limits.accepted.hidden, 'c')) {
    full.comes(peer)
    full.asks(peer)
    full.pass(1)
  }
  const came: string[] = []
  for (let i = 0; i < 5; i++) {
    full.pass(limits.isolatedMs)
    full.comes(`liar${i}`)
    assert.equal(full.asks(`liar${i}`, true), 'accepted')
    full.pass(1_000)
    full.feed({ type: 'unlinked', peer: `c${i}` })
    full.comes(`new${i}`)
    assert.equal(full.asks(`new${i}`), 'accepted', 'the place that is free')
    came.push(`new${i}`)
  }
  const accepted = full.roles('accepted')
  assert.equal(accepted.length, limits.accepted.hidden)
  assert.deepEqual(
    accepted.filter((peer) => !peer.startsWith('c')),
    [...came.slice(0, -1), 'liar4', ...came.slice(-1)],
  )
})

test('a neighbour is exchanged by finding another one first, and both sides hear of it', () => {
  const bench = settled()
  const before = new Set(bench.roles('chosen'))
  const [mutual = ''] = before
  bench.asks(mutual)
  const least = () => bench.roles('chosen').length
  let fewest = Infinity
  for (let i = 0; i < 60; i++) {
    bench.pass(60_000)
    fewest = Math.min(fewest, least())
  }
  const farewells = bench.of('tell').filter(({ frame }) => frame.type === 'neighbourEnd')
  assert.ok(farewells.length >= 15 && farewells.length <= 26, `${farewells.length} in an hour`)
  assert.deepEqual([fewest, least()], [limits.chosen, limits.chosen])
  for (const { at, peer } of farewells) {
    const lost = bench.of('neighbour-lost').some((one) => one.peer === peer)
    assert.equal(lost, peer !== mutual, 'who chose us stays, as one that we accept')
    const chosen = bench.of('neighbour').filter((one) => one.at <= at && one.role === 'chosen')
    assert.notEqual(chosen.at(-1)?.peer, peer, 'the newcomer stays')
  }
  assert.ok(bench.machine.neighbours().some((one) => one.peer === mutual))
})

test('chosen neighbours are of different address groups when there is a choice', () => {
  const bench = new Bench('zz')
  for (let i = 0; i < 40; i++) bench.know(`g${i}`, { addresses: [`/ip4/8.8.${i}.1/tcp/4001`] })
  for (let i = 0; i < 40; i++) bench.know(`d${i}`)
  bench.start()
  bench.pass(10_000)
  const same = bench.roles('chosen').filter((peer) => peer.startsWith('g'))
  // The first ones are taken in need; a bench links them by addresses of their own.
  assert.equal(bench.roles('chosen').length, limits.chosen)
  assert.ok(same.length < limits.chosen)
})

// --- visits -----------------------------------------------------------------------------------------------

test('visits are frequent for an hour, then ever rarer where few peers vanish, and end with a pull and a release', () => {
  const bench = settled()
  bench.book.mortality.survived(100 * HOUR)
  const visitsOfAnHour = () => {
    const before = bench.out.length
    bench.pass(HOUR)
    const later = bench.out.slice(before)
    const visits = later.flatMap((one) =>
      one.type === 'dial' && one.purpose === 'visit' ? [one.peer] : [],
    )
    return { later, visits }
  }
  const young = visitsOfAnHour().visits.length
  assert.ok(young >= 40 && young <= 100, `${young} in the first hour: everybody of the sample once`)
  const { later, visits } = visitsOfAnHour()
  assert.ok(visits.length >= 14 && visits.length <= 24, `${visits.length} in the second hour`)
  for (const peer of visits) {
    const at = later.findIndex((one) => one.type === 'dial' && one.peer === peer)
    const rest = later
      .slice(at)
      .flatMap((one) => ('peer' in one && one.peer === peer ? [one.type] : []))
    assert.deepEqual(rest.slice(0, 3), ['dial', 'pull', 'release'])
  }
})

test('where peers vanish within an hour or two visits go on seeing everybody of the sample within minutes', () => {
  const bench = settled()
  bench.pass(2 * HOUR)
  const before = bench.out.length
  for (let i = 0; i < 60; i++) {
    bench.book.mortality.died(HOUR)
    bench.pass(HOUR / 60)
  }
  const visits = bench.out
    .slice(before)
    .flatMap((one) => (one.type === 'dial' && one.purpose === 'visit' ? [one.peer] : []))
  const counts = [...Map.groupBy(visits, (peer) => peer).values()].map(({ length }) => length)
  assert.ok(visits.length >= 50, `${visits.length} visits`)
  assert.ok(Math.max(...counts) <= 4 && Math.max(...counts) > 1, `${Math.max(...counts)} of one`)
})

test('a small overlay is not visited: everybody is linked anyway', () => {
  const bench = new Bench('a')
  bench.start()
  for (const peer of names(5)) bench.know(peer)
  bench.pass(HOUR)
  assert.ok(bench.of('dial').every(({ purpose }) => purpose === 'neighbour'))
})

// --- relayed links ----------------------------------------------------------------------------------------

test('a limited link is asked to become direct, and becomes a neighbour only then', () => {
  const bench = settled()
  const [lost = ''] = bench.roles('chosen')
  bench.limited = true
  bench.feed({ type: 'unlinked', peer: lost })
  bench.pass(3_000)
  const relayed = bench.of('want-direct').map((one) => one.peer)
  assert.ok(relayed.length >= 1)
  const [first = ''] = relayed
  assert.ok(!bench.machine.neighbours().some((one) => one.peer === first))
  const linked = { type: 'linked', path: 'direct', limited: false, dialled: true } as const
  bench.feed({ ...linked, peer: first })
  assert.ok(bench.roles('chosen').includes(first))
})

test('a limited link that stays limited is given up after fifteen seconds, for half an hour', () => {
  const bench = settled()
  const [lost = ''] = bench.roles('chosen')
  bench.limited = true
  bench.feed({ type: 'unlinked', peer: lost })
  bench.pass(1_000)
  const [wanted] = bench.of('want-direct')
  assert.ok(wanted)
  bench.pass(limits.directMs)
  assert.ok(bench.of('release').some(({ peer }) => peer === wanted.peer))
  bench.pass(limits.noDirectPathMs - limits.directMs - 2_000)
  const again = bench.of('dial').filter(({ peer }) => peer === wanted.peer)
  assert.ok(
    again.filter(({ at, purpose }) => at > wanted.at && purpose === 'neighbour').length === 0,
  )
})

test('a limited link asks in vain to be accepted, but in a small overlay', () => {
  const linked = { type: 'linked', path: 'relayed', limited: true, dialled: false } as const
  const large = settled()
  large.feed({ ...linked, peer: 'r' })
  large.feed({ type: 'greeted', peer: 'r' })
  assert.equal(large.asks('r'), 'refused')
  const small = new Bench('a')
  small.start()
  small.feed({ ...linked, peer: 'r' })
  small.feed({ type: 'greeted', peer: 'r' })
  assert.equal(small.asks('r'), 'accepted')
  small.know('s')
  small.limited = true
  small.pass(limits.directMs)
  assert.ok(small.roles('accepted').includes('r'))
})

// --- healing ----------------------------------------------------------------------------------------------

test('two lost peers that answer within ten minutes begin an hour of healing', () => {
  const bench = settled()
  for (const peer of ['l0', 'l1']) {
    bench.know(peer)
    bench.book.missed(peer, bench.now)
    bench.book.missed(peer, bench.now)
    assert.equal(bench.book.get(peer)?.standing, 'lost')
  }
  bench.comes('l0')
  assert.deepEqual(bench.of('healing'), [])
  bench.comes('l1')
  assert.equal(bench.machine.isHealing(bench.now), true)
  bench.pass(limits.healingMs + 1_000)
  assert.deepEqual(
    bench.of('healing').map(({ healing }) => healing),
    [true, false],
  )
  const ends = bench.of('tell').filter(({ frame }) => frame.type === 'neighbourEnd').length
  assert.ok(ends >= 8, `${ends} neighbours exchanged in an hour of healing`)
})

test('a peer that missed one dial is a sign of a split if that was minutes ago, not if it was just now', () => {
  const bench = settled()
  for (const peer of ['m0', 'm1']) bench.know(peer)
  for (const peer of ['m0', 'm1']) bench.book.missed(peer, bench.now)
  bench.comes('m0')
  bench.comes('m1')
  assert.deepEqual(bench.of('healing'), [])
  for (const peer of ['m2', 'm3']) {
    bench.know(peer)
    bench.book.missed(peer, bench.now - limits.outOfReachMs)
    bench.comes(peer)
  }
  assert.deepEqual(
    bench.of('healing').map(({ healing }) => healing),
    [true],
  )
})

test('peers whose records ran out and who come by again are no sign of a split', () => {
  const bench = settled()
  const known = [...bench.book.all()].filter(({ peer }) => !bench.roles('chosen').includes(peer))
  bench.book.expire(Math.max(...known.map(({ expiresAt }) => expiresAt)))
  for (const { peer, standing } of known.slice(0, 4)) {
    assert.equal(standing, 'lost')
    bench.comes(peer)
  }
  assert.deepEqual(bench.of('healing'), [])
})

test('a bootstrap that was silent for long and answers begins healing at once', () => {
  const bench = settled()
  bench.reaches = (peer) => peer !== 'b'
  bench.start('b')
  for (const peer of bench.roles('chosen')) bench.feed({ type: 'unlinked', peer })
  bench.pass(2 * limits.outOfReachMs + 60_000)
  bench.pass(HOUR)
  assert.deepEqual(bench.of('healing'), [])
  bench.comes('b')
  assert.deepEqual(
    bench.of('healing').map(({ healing }) => healing),
    [true],
  )
})

test('lost peers that come back one by one do not add up to more and more chosen ones', () => {
  const bench = settled()
  for (let i = 0; i < 60; i++) {
    const peer = `l${i}`
    bench.know(peer)
    bench.book.missed(peer, bench.now)
    bench.book.missed(peer, bench.now)
  }
  bench.pass(12 * HOUR)
  const met = bench.of('dial').filter(({ peer }) => peer.startsWith('l')).length
  assert.ok(met >= 20, `${met} visited`)
  assert.ok(bench.roles('chosen').length <= limits.chosen + 1)
})

test('nothing is dialled, asked or accepted after leaving', () => {
  const bench = settled('zz')
  bench.feed({ type: 'leave' })
  assert.equal(bench.machine.nextWake(), undefined)
  const before = bench.out.length
  bench.know('late')
  bench.comes('late')
  bench.feed({ type: 'unlinked', peer: bench.roles('chosen')[0] ?? '' })
  assert.equal(bench.out.length, before)
})

test('a node that has lost its neighbours keeps a visitor, when all names it has are those of the dead', () => {
  const bench = settled()
  bench.reaches = () => false
  const lose = () => {
    for (const { peer } of bench.machine.neighbours()) bench.feed({ type: 'unlinked', peer })
  }
  bench.comes('early')
  assert.deepEqual(bench.roles('chosen').includes('early'), false, 'it needed nobody')
  lose()
  assert.deepEqual(bench.roles('chosen'), ['early'])
  bench.verdict = () => 'refused'
  bench.comes('late')
  assert.deepEqual(bench.roles('chosen'), ['early'], 'both have to want it')
  bench.verdict = () => 'accepted'
  bench.comes('later')
  assert.deepEqual(bench.roles('chosen'), ['early', 'later'])
  bench.comes('last')
  assert.deepEqual(bench.roles('chosen'), ['early', 'later'], 'the others are of its choosing')
})

test('a newcomer does not take whoever comes first', () => {
  const bench = new Bench('zz')
  for (const peer of names(100)) bench.know(peer)
  bench.reaches = () => false
  bench.start()
  bench.comes('p')
  assert.deepEqual(bench.roles('chosen'), [])
})
