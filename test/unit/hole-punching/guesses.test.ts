import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { guessPorts, successChance } from '../../../protocols/hole-punching/guesses.ts'
import type { ObservedPort } from '../../../protocols/hole-punching/guesses.ts'
import { SEARCH, SearchBudget } from '../../../protocols/hole-punching/search-limits.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'

const seen = (...ports: number[]): ObservedPort[] =>
  ports.map((port, i) => ({ port, atMs: i * 10 }))
const guess = (observed: ObservedPort[], count: number) => guessPorts(observed, count, seededRng(7))
const first = (...ports: number[]) => guess(seen(...ports), 1)[0]
const within = (ports: number[], least: number, most: number) =>
  ports.every((port) => port >= least && port <= most)

describe('guessed ports', () => {
  test('are distinct, unprivileged and as many as were asked for, whatever was observed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ port: fc.integer(), atMs: fc.double() }), { maxLength: 80 }),
        fc.integer({ min: 0, max: 2_000 }),
        fc.integer(),
        (observed, count, seed) => {
          const ports = guessPorts(observed, count, seededRng(seed))
          assert.equal(ports.length, count)
          assert.equal(new Set(ports).size, count)
          assert.ok(ports.every((port) => port >= 1024 && port <= 65_535))
        },
      ),
      { numRuns: 50 },
    )
  })

  test('are all unprivileged ports when more are asked for than there are', () => {
    assert.equal(guess(seen(40_000, 50_000), 100_000).length, 64_512)
  })

  test('begin right behind the newest one of a NAT that counts up', () => {
    const ports = guess(seen(20_000, 20_001, 20_003), 1_500)
    assert.deepEqual(
      ports.slice(0, 8),
      [20_004, 20_005, 20_006, 20_002, 20_007, 20_008, 20_009, 20_001],
    )
    const window = new Set(ports.slice(0, 128))
    for (let step = 1; step <= 64; step++) {
      assert.ok(window.has(20_003 + step))
      assert.ok(window.has(20_003 - step))
    }
  })

  test('begin below the newest one of a NAT that counts down', () => {
    assert.deepEqual(guess(seen(30_010, 30_008, 30_006), 3), [30_005, 30_004, 30_003])
  })

  test('follow the order in which the ports were seen, not that of the list', () => {
    const [newest, oldest, middle] = seen(502, 500, 501).map(({ port }) => port + 20_000)
    const observed = [
      { port: newest as number, atMs: 30 },
      { port: oldest as number, atMs: 10 },
      { port: middle as number, atMs: 20 },
    ]
    assert.equal(guess(observed, 1)[0], 20_503)
  })

  test('go on at the other end after the last port', () => {
    assert.deepEqual(guess(seen(65_530, 65_533, 65_534), 3), [65_535, 1024, 1025])
    assert.deepEqual(guess(seen(65_531, 65_533, 65_535, 1025), 2), [1026, 1027])
    assert.deepEqual(guess(seen(1030, 1027, 1025), 2), [1024, 65_535])
  })

  test('are drawn from the narrowest range that holds all samples when these do not follow each other', () => {
    assert.ok(within(guess(seen(50_000, 65_000, 52_000), 1_500), 49_152, 65_535))
    assert.ok(within(guess(seen(33_000, 60_000, 41_000), 1_500), 32_768, 60_999))
    const wide = guess(seen(2_000, 60_000, 33_000), 1_500)
    assert.ok(Math.min(...wide) < 5_000 && Math.max(...wide) > 62_000)
  })

  test('are no sequence after one sample, or where the ports leap', () => {
    assert.notEqual(first(40_000), 40_001)
    assert.notEqual(first(40_000, 40_000), 40_001)
    assert.notEqual(first(40_000, 50_000, 50_001), 50_002)
    assert.notEqual(first(40_000, 40_002, 40_001), 40_002)
  })
})

describe('the chance of success', () => {
  test('is that of the birthday problem', () => {
    const range = 64_512
    assert.ok(Math.abs(successChance({ sockets: 256, probes: 1024, range }) - 0.983) < 0.001)
    assert.ok(successChance({ sockets: SEARCH.sockets, probes: SEARCH.probes, range }) > 0.997)
    assert.equal(successChance({ sockets: 1, probes: 500, range: 400 }), 1)
    assert.equal(successChance({ sockets: 0, probes: 500, range }), 0)
  })
})

describe('the budget of searches', () => {
  test('admits one search at a time, until it is over or was forgotten', () => {
    const budget = new SearchBudget()
    assert.equal(budget.take(0, 'a', '1.1.1.1'), 'ok')
    assert.equal(budget.take(1, 'b', '2.2.2.2'), 'busy')
    budget.over()
    assert.equal(budget.take(2, 'b', '2.2.2.2'), 'ok')
    assert.equal(budget.take(1 + SEARCH.mostMs, 'c', '3.3.3.3'), 'busy')
    assert.equal(budget.take(2 + SEARCH.mostMs, 'c', '3.3.3.3'), 'ok')
  })

  test('asks for a pause between searches towards one address, whoever wants them', () => {
    const budget = new SearchBudget()
    budget.take(0, 'a', '1.1.1.1')
    budget.over()
    assert.equal(budget.take(SEARCH.pauseMs - 1, 'b', '1.1.1.1'), 'pause')
    assert.equal(budget.take(SEARCH.pauseMs, 'b', '1.1.1.1'), 'ok')
  })

  test('admits so many an hour with one peer, and with all', () => {
    const budget = new SearchBudget()
    const admitted = (peer: string) => {
      let count = 0
      for (let n = 0; n < 40; n++) {
        if (budget.take(n, peer, `${peer}.${n}`) === 'ok') count++
        budget.over()
      }
      return count
    }
    assert.equal(admitted('a'), SEARCH.perPeerPerHour)
    assert.equal(budget.take(50, 'a', 'x'), 'peer-limit')
    for (const peer of ['b', 'c', 'd', 'e']) assert.equal(admitted(peer), SEARCH.perPeerPerHour)
    assert.equal(budget.take(50, 'f', 'x'), 'node-limit')
    assert.equal(budget.take(61 * 60_000, 'a', 'x'), 'ok')
  })
})
