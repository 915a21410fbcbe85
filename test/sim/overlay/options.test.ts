import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { parseArgs } from './report/options.ts'
import { PLAY_NAMES, PLAYS, playsOf } from './report/plays.ts'
import { hoursFor, playsFor, ROWS } from './report/rows/index.ts'

const parse = (text: string) => parseArgs(text.split(' ').filter(Boolean))
const plays = (text: string) => parse(text).jobs.map(({ play }) => play)

/** The program itself: what it says and how it ends when it makes no sense of its arguments. */
function refuse(...args: string[]): string {
  const main = new URL('main.ts', import.meta.url).pathname
  const { status, stderr, stdout } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
  })
  assert.equal(status, 2, stderr)
  assert.equal(stdout, '')
  return stderr
}

describe('the command line of the simulator', () => {
  test('runs a scenario on the usual conditions', () => {
    const { jobs, rows, merge } = parse('steady')
    assert.deepEqual(jobs, [
      {
        play: 'steady',
        options: {
          n: 10_000,
          hours: 2,
          privateShare: 0.7,
          punchShare: 0.7,
          loss: 0.01,
          seed: 1,
        },
      },
    ])
    assert.equal(rows.length, 28)
    assert.deepEqual(merge, [])
  })

  test('runs each scenario with each seed', () => {
    const { jobs } = parse('steady join --seeds 1..3,7')
    assert.deepEqual(
      jobs.map(({ play, options }) => `${play} ${options.seed}`),
      ['steady', 'join'].flatMap((name) => [1, 2, 3, 7].map((seed) => `${name} ${seed}`)),
    )
  })

  test('takes conditions, which a scenario may fix', () => {
    const text = '--n 500 --private 0.5 --punch 0.9 --loss 0.05 --hours 6'
    const [steady, fixed, small] = parse(`steady steady-80 smalln ${text}`).jobs
    assert.deepEqual(steady?.options, {
      n: 500,
      privateShare: 0.5,
      punchShare: 0.9,
      loss: 0.05,
      hours: 6,
      seed: 1,
    })
    assert.equal(fixed?.options.privateShare, 0.8)
    assert.equal(fixed?.options.punchShare, 0.5)
    assert.equal(small?.options.n, 50)
  })

  test('names one scenario, all of a kind, or all', () => {
    assert.deepEqual(plays('churn'), ['churn-1', 'churn-3'])
    assert.deepEqual(plays('churn churn-1 churn-3'), ['churn-1', 'churn-3'])
    assert.deepEqual(plays('steady'), ['steady'])
    assert.deepEqual(plays('all'), PLAY_NAMES)
  })

  test('runs what the asked rows need, for as long as they need', () => {
    const { jobs, rows } = parse('--rows 3,8,10-11')
    assert.deepEqual(
      jobs.map(({ play, options }) => [play, options.hours]),
      [
        ['steady', 8],
        ['steady-80', 2],
        ['massfail-80', 2],
        ['massfail-90', 2],
      ],
    )
    assert.deepEqual(
      rows.map(({ number }) => number),
      [3, 8, 10, 11],
    )
    assert.equal(parse('--rows 3 --hours 1').jobs[0]?.options.hours, 1)
  })

  test('only judges the asked rows when scenarios are named', () => {
    const { jobs, rows } = parse('massfail-80 --rows 10')
    assert.equal(jobs.length, 1)
    assert.equal(rows.length, 1)
  })

  test('runs a short selection for every change', () => {
    const { jobs } = parse('--ci')
    assert.deepEqual(
      jobs.map(({ play }) => play),
      ['massfail-80', 'steady', 'determinism'],
    )
    assert.ok(jobs.every(({ options }) => options.hours < 1))
    assert.equal(parse('--ci --n 300').jobs[0]?.options.n, 300)
    assert.ok(jobs.slice(0, 2).every(({ options }) => options.n === 4_000))
  })

  test('prints earlier runs without running anything', () => {
    const { jobs, merge } = parse('--merge a.json b.json --rows 1')
    assert.deepEqual(jobs, [])
    assert.deepEqual(merge, ['a.json', 'b.json'])
  })

  test('says the nearest name of one that is wrong', () => {
    assert.match(refuse('masfail'), /there is no scenario masfail; did you mean massfail\?/)
    assert.match(refuse('steady', '--ours', '3'), /--hours/)
  })

  test('refuses what makes no sense', () => {
    assert.match(refuse('steady', '--seeds', '5..1'), /no range/)
    assert.match(refuse('steady', '--n', '1.5'), /whole number/)
    assert.match(refuse(), /name a scenario/)
    assert.match(refuse('--rows', '28'), /npm run lab/)
  })
})

describe('scenarios and rows', () => {
  test('fit together: every row is fed, every name is found', () => {
    assert.deepEqual(
      ROWS.map(({ number }) => number),
      Array.from({ length: 28 }, (_, i) => i + 1),
    )
    for (const row of ROWS) assert.ok(row.figures.length > 0 !== (row.elsewhere !== undefined))
    for (const name of PLAY_NAMES) assert.deepEqual(playsOf(name), [name])
    assert.ok(playsFor(ROWS).every((name) => PLAYS[name] !== undefined))
  })

  test('know how long a play takes for the rows that are asked', () => {
    assert.equal(hoursFor(ROWS, 'steady'), 48)
    assert.equal(hoursFor(ROWS, 'join'), undefined)
  })
})
