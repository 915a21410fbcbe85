import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as made from './hand-made-results.ts'
import { chartSvg, type Chart } from './report/chart.ts'
import { plotsOf } from './report/plots.ts'

const chart: Chart = {
  title: 'Links & <loss>',
  x: { label: 'minutes' },
  y: { label: 'share', include: [0, 1] },
  curves: [
    {
      name: 'a',
      points: [
        [0, 0.1],
        [10, 0.9],
      ],
    },
    {
      name: 'b',
      points: [
        [0, 0.4],
        [5, Number.NaN],
        [10, 0.3],
      ],
    },
  ],
}

/** Every opened element is closed, in order. */
function wellFormed(svg: string): void {
  const open: string[] = []
  for (const [, closing, name = '', alone] of svg.matchAll(/<(\/?)(\w+)[^<>]*?(\/?)>/g)) {
    if (closing === '/') assert.equal(open.pop(), name)
    else if (alone !== '/') open.push(name)
  }
  assert.deepEqual(open, [])
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
}

const pathsOf = (svg: string): string[] =>
  [...svg.matchAll(/<path d="([^"]*)"/g)].map(([, d = '']) => d)

describe('a chart', () => {
  test('is well-formed and leaves out what is not known', () => {
    const svg = chartSvg(chart)
    wellFormed(svg)
    assert.match(svg, /Links &amp; &lt;loss&gt;/)
    assert.equal(pathsOf(svg)[1]?.match(/L/g)?.length, 1)
  })

  test('draws a larger value higher, and time to the right', () => {
    const [path = ''] = pathsOf(chartSvg(chart))
    const [, x1, y1, x2, y2] = /M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)/.exec(path)?.map(Number) ?? []
    assert.ok((x2 ?? 0) > (x1 ?? 0))
    assert.ok((y2 ?? 0) < (y1 ?? 0))
  })

  test('keeps everything inside its frame', () => {
    const svg = chartSvg({
      ...chart,
      goal: { y: 3, text: 'goal' },
      marks: [{ x: 9.9, text: 'a long text at the very end' }],
    })
    for (const [, x] of svg.matchAll(/\bx[12]?="([\d.-]+)"/g))
      assert.ok(Number(x) >= 0 && Number(x) <= 900)
    for (const [, y] of svg.matchAll(/\by[12]?="([\d.-]+)"/g))
      assert.ok(Number(y) >= 0 && Number(y) <= 500)
    assert.match(svg, /text-anchor="end"[^>]*>a long text/)
  })

  test('names several curves, and needs no legend for one', () => {
    assert.match(chartSvg(chart), />b<\/text>/)
    const [only] = chart.curves
    assert.ok(only)
    assert.doesNotMatch(chartSvg({ ...chart, curves: [only] }), />a<\/text>/)
  })

  test('of nothing, or of one value, is still a chart', () => {
    wellFormed(chartSvg({ ...chart, curves: [] }))
    wellFormed(
      chartSvg({ ...chart, y: { label: 'share' }, curves: [{ name: 'a', points: [[1, 1]] }] }),
    )
  })
})

const files = (...runs: Parameters<typeof plotsOf>[0]) =>
  plotsOf(runs).map(({ file, svg }) => {
    wellFormed(svg)
    return file
  })

describe('the plots of runs', () => {
  test('show neighbours, slots, reachability and traffic of a steady overlay', () => {
    const two = [1, 2].map((seed) => made.run('steady', made.steady(), { seed }))
    assert.deepEqual(files(...two), [
      'steady-degrees.svg',
      'steady-slots.svg',
      'steady-reachability.svg',
      'steady-traffic.svg',
      'steady-traffic-nodes.svg',
    ])
  })

  test('show all losses healing in one chart', () => {
    const names = files(
      made.run('massfail-80', made.massfail()),
      made.run('massfail-90', made.massfail()),
    )
    assert.equal(names.filter((name) => name === 'massfail-healing.svg').length, 1)
    assert.ok(names.includes('massfail-90-reachability.svg'))
  })

  test('show what hidden nodes cost in a healing of its own', () => {
    const names = files(
      made.run('massfail-80', made.massfail()),
      made.run('massfail-80-public', made.massfail()),
    )
    assert.ok(
      names.includes('massfail-healing.svg') && names.includes('massfail-healing-public.svg'),
    )
  })

  test('of what is not known are left out', () => {
    const unknown = made.minutes(9, () => ({
      sentPerSecond: Number.NaN,
      receivedPerSecond: Number.NaN,
    }))
    const names = files(made.run('churn-1', made.churn({ series: unknown })))
    assert.ok(!names.includes('churn-1-traffic.svg') && names.includes('churn-1-reachability.svg'))
  })

  test('show a partition healing, and hostile shares of an attack', () => {
    assert.ok(
      files(made.run('partition-30m', made.partition())).includes('partition-30m-healing.svg'),
    )
    assert.ok(files(made.run('byz-10', made.byzantine())).includes('byz-10-hostile.svg'))
  })

  test('of what has nothing to draw are none', () => {
    assert.deepEqual(files(made.run('determinism', { n: 10, hashes: ['a'] })), [])
  })

  test('draw every bar of a histogram as wide as its step', () => {
    const svg = plotsOf([made.run('steady', made.steady())]).find(
      ({ file }) => file === 'steady-traffic-nodes.svg',
    )?.svg
    // Twelve steps and the end of the last: thirteen corners at the top, each with its riser.
    const outline = pathsOf(svg ?? '')[1] ?? ''
    const xs = new Set([...outline.matchAll(/[ML]([\d.]+),/g)].map(([, x]) => x))
    assert.equal(xs.size, 13)
  })
})
