import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { clique, flags, lattice, pictureOf, random, ring, star } from './hand-made.ts'
import type { Choices } from './hand-made.ts'
import { componentOf, joins, measure, Series, spread, trafficFrom } from './measure/index.ts'

const near = (found: number, expected: number, tolerance = 1e-9) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected} ± ${tolerance}`)

describe('the graph of links', () => {
  test('of a ring has no triangle, and paths of a quarter of it', () => {
    const found = measure(pictureOf(ring(100)))
    assert.equal(found.links, 100)
    assert.equal(found.component, 1)
    assert.equal(found.clustering, 0)
    assert.equal(found.longestPath, 50)
    // From each node: 1 to 49 twice, 50 once, over 99 others.
    near(found.averagePath, (2 * ((49 * 50) / 2) + 50) / 99)
  })

  test('of a clique is one step across and all triangles', () => {
    const found = measure(pictureOf(clique(12)))
    assert.equal(found.links, 66)
    assert.equal(found.clustering, 1)
    assert.equal(found.averagePath, 1)
    assert.equal(found.longestPath, 1)
  })

  test('of a star has its hub on every path', () => {
    const found = measure(pictureOf(star(9)))
    assert.equal(found.clustering, 0)
    assert.equal(found.longestPath, 2)
    // 9 pairs with the hub at 1, 36 pairs of leaves at 2.
    near(found.averagePath, (9 + 72) / 45)
  })

  test('of a ring lattice clusters as Watts and Strogatz say', () => {
    // 3(K - 2) / 4(K - 1), K neighbours each
    near(measure(pictureOf(lattice(200, 3))).clustering, (3 * 4) / (4 * 5))
  })

  test('of choices by lot is as random as a random graph', () => {
    const found = measure(pictureOf(random(5_000, 5, seededRng(1))))
    assert.equal(found.component, 1)
    // Two neighbours have 4.5 choices each that are not known yet: one chose this node with a chance of a half.
    near(found.clustering, (2 * 4.5) / 5_000, 0.000_4)
    // ln n / ln k is the usual estimate: 3.7; it is a little more, as degrees are uneven.
    near(found.averagePath, Math.log(5_000) / Math.log(10), 0.4)
  })

  test('sampled sources give the average that all sources give', () => {
    const picture = pictureOf(random(4_000, 5, seededRng(2)))
    const sampled = measure(picture)
    near(sampled.averagePath, slowAveragePath(picture.chosen), 0.02)
  })

  test('leaves out the dead, and who is linked only through them', () => {
    // 0-1-2-3-4 with 2 dead
    const found = measure(pictureOf([[1], [2], [3], [4], []], { alive: flags(5, 0, 1, 3, 4) }))
    assert.equal(found.alive, 4)
    assert.equal(found.links, 2)
    assert.equal(found.component, 0.5)
    assert.equal(found.isolated, 0)
  })

  test('leaves out a link that one side has dropped, and says how many there are', () => {
    const picture = pictureOf([[1], [2], []], { accepted: [[], [0], []] })
    const found = measure(picture)
    assert.equal(found.links, 1)
    near(found.component, 2 / 3)
    near(found.isolated, 1 / 3)
    near(found.oneSided, 1 / 3)
  })

  test('leaves out who has just come, not who could not join for a minute', () => {
    const comers = {
      at: 60_000,
      startedAt: Float64Array.from([0, 0, 0, 30_000]),
      joinedAt: Float64Array.from([20_000, 20_000, Number.NaN, Number.NaN]),
    }
    const found = measure(pictureOf([[1], [], [], []], comers))
    assert.equal(found.alive, 3)
    near(found.component, 2 / 3)
  })

  test('of honest nodes does not lead through hostile ones', () => {
    assert.equal(componentOf(pictureOf(star(4), { hostile: flags(5, 0) })), 0.25)
  })

  test('counts a link once though both chose it', () => {
    const found = measure(pictureOf([[1], [0]]))
    assert.equal(found.links, 1)
    assert.equal(found.averagePath, 1)
  })

  test('without nodes has no component', () => {
    assert.ok(Number.isNaN(componentOf(pictureOf([[]], { alive: flags(1) }))))
  })

  test('agrees with a slow count on any small graph', () => {
    const graph = fc.integer({ min: 2, max: 14 }).chain((size) =>
      fc.array(fc.uniqueArray(fc.nat(size - 1), { maxLength: 4 }), {
        minLength: size,
        maxLength: size,
      }),
    )
    fc.assert(
      fc.property(graph, (lists) => {
        const choices = lists.map((list, v) => list.filter((w) => w !== v))
        const found = measure(pictureOf(choices))
        near(found.component, slowComponent(choices))
        near(found.clustering, slowClustering(choices))
        assert.ok(Object.is(found.averagePath, Number.NaN) || found.averagePath >= 1)
      }),
    )
  })
})

describe('neighbours', () => {
  test('are counted by who chose whom, eight accepted ones being active', () => {
    // 12 leaves choose the hub; the hub chooses the first leaf.
    const picture = pictureOf(star(12).map((list, v) => (v === 0 ? [1] : list)))
    const found = measure(picture)
    assert.equal(found.accepted.max, 12)
    assert.equal(found.active.max, 9)
    assert.equal(found.total.max, 13)
    assert.equal(found.chosen.mean, 1)
    assert.deepEqual(found.histograms.chosen, [0, 13])
    assert.equal(found.histograms.accepted[12], 1)
  })

  test('that are dead are not counted', () => {
    const found = measure(pictureOf([[1, 2], [], []], { alive: flags(3, 0, 1) }))
    assert.equal(found.chosen.max, 1)
  })

  test('accepted by hidden nodes are held against those of public ones', () => {
    // Everybody chooses 0 and 1, except 0 and 1 themselves; 2 chooses only 0.
    const picture = pictureOf([[], [], [0], [0, 1]], { hidden: flags(4, 1) })
    // Public 0, 2, 3 accepted 2, 0, 0; hidden 1 accepted 1.
    near(measure(picture).hiddenToPublic, 1 / (2 / 3))
  })

  test('across a partition are a share of all links', () => {
    near(measure(pictureOf(ring(4), { side: flags(4, 2, 3) })).crossSide, 0.5)
    assert.equal(measure(pictureOf(ring(4))).crossSide, 0)
  })
})

describe('hostile nodes', () => {
  const picture = pictureOf([[1, 2], [2], [], [2], []], {
    hostile: flags(5, 2),
    slotsById: [[1, 2], [2, 2], [], [3], []],
    slotsByGroup: [[0], [1], [0, 1], [2], []],
  })

  test('are counted among chosen, accepted, and in slots of honest nodes', () => {
    const found = measure(picture)
    assert.equal(found.hostile, 1)
    assert.equal(found.alive, 4)
    near(found.hostileChosen, 3 / 4)
    assert.equal(found.hostileAccepted, 0)
    near(found.hostileSlots, 4 / 8)
  })

  test('eclipse a node that has no other neighbours, not one that has none', () => {
    near(measure(picture).eclipsed, 1 / 4)
  })
})

describe('slots', () => {
  test('tell how unevenly nodes are known, every slot counting', () => {
    // 0 is in three id-ranked slots, 1 in one, 2 in none; those by group do not count.
    const slots = { slotsById: [[0, 0], [0], [1]], slotsByGroup: [[2], [2], [2]] }
    const found = measure(pictureOf(ring(3), slots))
    const mean = 4 / 3
    const deviation = Math.sqrt(((3 - mean) ** 2 + (1 - mean) ** 2 + mean ** 2) / 3)
    near(found.slotsSpread, deviation / mean)
    assert.deepEqual(found.histograms.slotsInDegree, [1, 1, 0, 1])
    near(found.slotsFilled, 7 / 3)
  })

  test('of independent draws have the deviation of Poisson', () => {
    const rng = seededRng(5)
    const size = 4_000
    const slotsById = random(size, 64, rng)
    near(measure(pictureOf(ring(size), { slotsById })).slotsSpread, 1 / Math.sqrt(64), 0.005)
  })

  test('show a bias to public nodes against the living', () => {
    // 0 and 1 public, 2 and 3 hidden, 3 dead: truth is two thirds, id-ranked slots say two thirds too, the others one.
    const found = measure(
      pictureOf(ring(4), {
        alive: flags(4, 0, 1, 2),
        hidden: flags(4, 2, 3),
        slotsById: [[0, 1, 3], [2], [], []],
        slotsByGroup: [[], [], [1], []],
      }),
    )
    near(found.publicBias, 0)
    near(found.publicBiasByGroup, 1 - 2 / 3)
    near(found.staleSlots, 1 / 5)
  })
})

describe('a series', () => {
  test('gives bytes a second and node since its last moment', () => {
    const series = new Series()
    const sent = Float64Array.from([1_000, 1_000])
    series.add(pictureOf(ring(2), { at: 1_000, sent }))
    // The world may use its arrays again.
    sent.set([3_000, 5_000])
    const moment = series.add(
      pictureOf(ring(2), { at: 3_000, sent, received: Float64Array.from([400, 0]) }),
    )
    assert.equal(series.moments[0]?.sentPerSecond, 0)
    assert.equal(moment.sentPerSecond, 1_500)
    assert.equal(moment.receivedPerSecond, 100)
    assert.equal(series.moments.length, 2)
  })

  test('shows component and shares as the full measure does', () => {
    const picture = pictureOf([[1, 2], [2], [], [2], []], {
      hostile: flags(5, 2),
      side: flags(5, 1),
      slotsById: [[1, 2], [2, 2], [], [3], []],
    })
    const moment = new Series().add(picture)
    const full = measure(picture)
    for (const figure of [
      'alive',
      'links',
      'component',
      'crossSide',
      'hostileSlots',
      'hostileChosen',
      'eclipsed',
    ] as const) {
      assert.equal(moment[figure], full[figure], figure)
    }
  })
})

describe('traffic', () => {
  test('is of nodes that lived from the first picture to the second', () => {
    const before = pictureOf(ring(4), {
      alive: flags(4, 0, 1, 2),
      sent: Float64Array.from([100, 0, 0, 0]),
    })
    const end = trafficFrom(before)
    const found = end(
      pictureOf(ring(4), {
        at: 10_000,
        alive: flags(4, 0, 1, 3),
        sent: Float64Array.from([1_100, 3_000, 9_999, 9_999]),
        received: Float64Array.from([2_000, 0, 0, 0]),
      }),
    )
    assert.equal(found.sent.mean, 200)
    assert.equal(found.sent.max, 300)
    assert.equal(found.received.mean, 100)
    // 200 and 300 in steps of 20
    assert.equal(found.histogram.counts[10], 1)
    assert.equal(found.histogram.counts[15], 1)
  })
})

describe('joins', () => {
  const picture = pictureOf(ring(6), {
    hidden: flags(6, 1, 2),
    alive: flags(6, 0, 1, 2, 3),
    startedAt: Float64Array.from([0, 0, 1_000, 2_000, 0, Number.NaN]),
    joinedAt: Float64Array.from([5_000, 9_000, 2_000, Number.NaN, Number.NaN, Number.NaN]),
  })

  test('are of nodes that started, those that died on the way left out', () => {
    const all = joins(picture, {})
    assert.equal(all.started, 4)
    assert.equal(all.joined, 0.75)
    assert.equal(all.p50Ms, 5_000)
    assert.equal(all.p95Ms, Infinity)
  })

  test('can be asked for one kind and one stretch of time', () => {
    assert.equal(joins(picture, { hidden: true }).p95Ms, 9_000)
    assert.equal(joins(picture, { hidden: false, toMs: 2_000 }).p50Ms, 5_000)
    assert.equal(joins(picture, { fromMs: 500, hidden: true }).started, 1)
    assert.ok(Number.isNaN(joins(picture, { fromMs: 99_999 }).p50Ms))
  })
})

test('percentiles are by nearest rank', () => {
  const found = spread(Float64Array.from({ length: 200 }, (_, i) => 200 - i))
  assert.deepEqual(found, { mean: 100.5, p1: 2, p50: 100, p95: 190, p99: 198, max: 200 })
})

const both = (choices: Choices): Set<number>[] => {
  const sets = choices.map((list) => new Set(list))
  for (const [v, list] of choices.entries()) for (const w of list) sets[w]?.add(v)
  return sets
}

function distancesFrom(sets: Set<number>[], source: number): Map<number, number> {
  const distances = new Map([[source, 0]])
  for (const [v, distance] of distances) {
    for (const w of sets[v] ?? []) if (!distances.has(w)) distances.set(w, distance + 1)
  }
  return distances
}

const slowComponent = (choices: Choices): number => {
  const sets = both(choices)
  return Math.max(...sets.map((_, v) => distancesFrom(sets, v).size)) / sets.length
}

const slowAveragePath = (choices: Choices): number => {
  const sets = both(choices)
  let sum = 0
  for (let v = 0; v < sets.length; v += 8) {
    for (const distance of distancesFrom(sets, v).values()) sum += distance
  }
  return sum / (Math.ceil(sets.length / 8) * (sets.length - 1))
}

function slowClustering(choices: Choices): number {
  const sets = both(choices)
  const shares = sets.map((set) => {
    const list = [...set]
    const pairs = list.flatMap((a, i) => list.slice(i + 1).map((b) => sets[a]?.has(b)))
    return pairs.length === 0 ? 0 : pairs.filter(Boolean).length / pairs.length
  })
  return shares.reduce((sum, one) => sum + one, 0) / shares.length
}
