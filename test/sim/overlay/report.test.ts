import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import * as made from './hand-made-results.ts'
import { load, merged, save } from './report/file.ts'
import { atLeast, atMost, between, decimals, nearOne, percent, seconds } from './report/goals.ts'
import { fails, judgeRow, type JudgedRow } from './report/judge.ts'
import type { Run } from './report/plays.ts'
import { clock, ProgressLines } from './report/progress.ts'
import { ROWS } from './report/rows/index.ts'
import { measured, rowsTable, textTable } from './report/table.ts'

function judge(number: number, ...runs: Run[]): JudgedRow {
  const row = ROWS.find((one) => one.number === number)
  assert.ok(row)
  return judgeRow(row, runs)
}

const verdicts = ({ figures }: JudgedRow) => figures.map(({ verdict }) => verdict)

describe('a row', () => {
  test('is met when every figure of every seed is', () => {
    const two = [1, 2].map((seed) => made.run('massfail-80', made.massfail(), { seed }))
    assert.equal(judge(10, ...two).verdict, 'met')
    const bad = made.massfail({
      component: { after1min: 0.9, after2min: 1, after5min: 1, after20min: 1 },
    })
    const judged = judge(10, ...two, made.run('massfail-80', bad, { seed: 3 }))
    assert.equal(judged.verdict, 'MISSED')
    assert.deepEqual(verdicts(judged), ['MISSED', 'met'])
    assert.deepEqual(judged.figures[0]?.values, [0.9995, 0.9995, 0.9])
  })

  test('is met in part when some of it was not run', () => {
    const judged = judge(3, made.run('steady', made.steady()))
    assert.deepEqual(verdicts(judged), ['met', 'not run'])
    assert.equal(judged.verdict, 'partly')
  })

  test('is missed when something never came about', () => {
    const never = made.partition({ mergedAfterMs: Number.NaN })
    assert.equal(judge(16, made.run('partition-12h', never)).verdict, 'MISSED')
    const joins = { started: 10, joined: 0.5, p50Ms: 4_000, p95Ms: Infinity, p99Ms: Infinity }
    const late = { ...made.steady(), public: joins, hidden: { ...joins, p95Ms: 20_000 } }
    assert.deepEqual(verdicts(judge(24, made.run('join', late))), ['MISSED', 'met', 'not run'])
  })

  test('that nothing was run for is not run', () => {
    assert.equal(judge(23).verdict, 'not run')
    assert.equal(judge(28).verdict, 'elsewhere')
  })

  test('without goal is reported and fails nothing', () => {
    const bad = made.massfail({ firstFlood: { atMs: 0, reach: 0, hops: 0, tookMs: 0 } })
    const judged = judge(9, made.run('massfail-90', bad))
    assert.equal(verdicts(judged)[3], 'reported')
    assert.ok(!fails(judged))
  })

  test('that is a known weakness shows what it missed and fails nothing', () => {
    const bad = made.byzantine({ end: made.measured({ hostileSlots: 0.9 }) })
    const judged = judge(21, made.run('slot-exhaust', bad))
    assert.equal(judged.verdict, 'MISSED')
    assert.ok(!fails(judged))
    assert.ok(fails(judge(20, made.run('byz-growth', bad))))
  })

  test('says how its runs differ from what it is about', () => {
    const short = judge(1, made.run('steady', made.steady(), { n: 1_000, punchShare: 0.5 }))
    assert.equal(short.verdict, 'met')
    assert.deepEqual(short.figures[0]?.differences, [
      'n 1000',
      'punch 0.5',
      '2 of 24 h',
      '1 of 5 seeds',
    ])
    const full = [1, 2, 3, 4, 5].map((seed) =>
      made.run('steady', made.steady(), { hours: 24, seed }),
    )
    assert.deepEqual(judge(1, ...full).figures[0]?.differences, [])
  })

  test('takes the runs that are as it wants them, if there are any', () => {
    const small = made.run('massfail-95', made.massfail(), { n: 100 })
    const full = made.run(
      'massfail-95',
      made.massfail({
        component: { after1min: 0, after2min: 0, after5min: 0, after20min: 0.5 },
      }),
    )
    assert.deepEqual(judge(12, small, full).figures[0]?.values, [0.5])
    assert.deepEqual(judge(12, small).figures[0]?.values, [1])
  })

  test('whose goal is for 10,000 nodes is not judged on fewer', () => {
    const few = judge(4, made.run('steady', made.steady(), { n: 300 }))
    assert.deepEqual(verdicts(few), ['too few nodes', 'too few nodes'])
    assert.equal(few.verdict, 'not run')
  })

  test('is fed by a lesser run where the right one is missing, and says so', () => {
    const grown = {
      ...made.steady(),
      end: made.measured({ averagePath: 4.2, longestPath: 6 }),
      public: { started: 1, joined: 1, p50Ms: 1, p95Ms: 1, p99Ms: 1 },
      hidden: { started: 1, joined: 1, p50Ms: 1, p95Ms: 1, p99Ms: 1 },
    }
    const lesser = judge(4, made.run('formation', grown))
    assert.equal(lesser.verdict, 'met')
    assert.deepEqual(lesser.figures[0]?.differences, ['formation only'])
    const both = judge(4, made.run('formation', grown), made.run('steady', made.steady()))
    assert.deepEqual(both.figures[0]?.differences, [])
  })

  test('has nothing to say about hidden nodes where there are none', () => {
    const open = made.steady({ checks: [made.checkAt(2, { hiddenToPublic: Number.NaN })] })
    assert.equal(judge(8, made.run('steady', open)).verdict, 'not run')
  })
})

describe('the table', () => {
  test('has every row, whatever was run', () => {
    const runs = [made.run('churn-1', made.churn(), { n: 500 })]
    const text = rowsTable(ROWS.map((row) => judgeRow(row, runs)))
    for (const { number, title } of ROWS) {
      const line = text.split('\n').find((one) => one.startsWith(`${number} `))
      assert.ok(line?.includes(title.slice(0, 20)), `${number} ${title}`)
    }
    assert.match(text, /failed dials +14 % +14\.4 % +≤ 15 % +met \*1/)
    assert.match(text, /\*1 run otherwise than the row says: n 500/)
    assert.match(text, /npm run lab -- --scenario crowd/)
    assert.match(text, /1 row met, none missed, 26 not run, 1 measured elsewhere$/)
  })

  test('names what was missed', () => {
    const late = made.partition({ mergedAfterMs: 500_000, crossSideAfter60min: 0.1 })
    const weak = made.byzantine({ end: made.measured({ eclipsed: 0.5 }) })
    const runs = [made.run('partition-30m', late), made.run('slot-exhaust', weak)]
    const text = rowsTable(ROWS.map((row) => judgeRow(row, runs)))
    assert.match(text, /merged after +500 s .*≤ 120 s +MISSED/)
    assert.match(text, /1 MISSED \(15\), known weakness missed \(21\)/)
  })

  test('shows the least, the middle and the largest of several seeds', () => {
    assert.equal(measured([3, 1, 2], decimals(0)), '1 / 2 / 3')
    assert.equal(measured([2, 2, 2], decimals(0)), '2')
    assert.equal(measured([Number.NaN, 1_000, 2_000], seconds), '1 s / 2 s / never')
    assert.equal(measured([], decimals(0)), '–')
  })

  test('wraps long cells between words and keeps their indent', () => {
    const text = textTable(
      [
        ['a', '  two words more', 'x'],
        ['long', 'b', 'y'],
      ],
      [4, 10, 4],
    )
    const lines = ['a       two      x', '          words', '          more', 'long  b          y']
    assert.equal(text, lines.join('\n'))
  })
})

describe('a goal', () => {
  test('does not hold for what never came about', () => {
    for (const goal of [atMost(1), atLeast(1), between(0, 1)]) assert.ok(!goal.holds(Number.NaN))
    assert.ok(!atMost(1).holds(Infinity))
  })

  test('is never shown as reached by rounding', () => {
    assert.equal(nearOne(0.999999), '0.99999')
    assert.equal(nearOne(1), '1.0000')
    assert.equal(percent(0.00016), '0.02 %')
  })
})

describe('a file of runs', () => {
  test('gives back what was saved, what never came about included', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'warren-sim-'))
    try {
      const file = join(folder, 'runs.json')
      const late = made.partition({ mergedAfterMs: Number.NaN })
      const runs = [
        made.run('steady', made.steady(), { seed: 4 }),
        made.run('partition-12h', late),
        made.run('determinism', { n: 500, hashes: ['a', 'a', 'b'] }),
      ]
      await save(
        file,
        runs,
        ROWS.map((row) => judgeRow(row, runs)),
      )
      const back = await load(file)
      assert.deepEqual(back, runs)
      assert.equal(judge(16, ...back).verdict, 'MISSED')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('of another kind is refused by name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'warren-sim-'))
    try {
      const file = join(folder, 'other.json')
      await writeFile(file, '{"format":1,"runs":[{"play":"unheard"}]}')
      await assert.rejects(load(file), /other\.json is no file of --json: runs\.0\.play/)
      await writeFile(file, 'text')
      await assert.rejects(load(file), /other\.json is no file of --json/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('merged with another lets the later of two equal runs stand', () => {
    const early = made.run('join', made.steady({ stateHash: 'early' }))
    const late = made.run('join', made.steady({ stateHash: 'late' }))
    const other = made.run('join', made.steady(), { seed: 2 })
    assert.deepEqual(merged([early, other, late]), [late, other])
  })
})

/** Back to the start of the line, which is emptied. */
const ERASE = '\r\u001b[K'

const job = { play: 'steady', options: made.run('steady', made.steady()).options } as const
const at = (atMs: number, events: number) => ({
  phase: 'steady',
  atMs,
  untilMs: 7_200_000,
  events,
  moment: made.moment(atMs, { component: 0.9998, links: 50_000 }),
})

function lines(isTTY: boolean) {
  const written: string[] = []
  let now = 0
  const screen = { isTTY, columns: 60, write: (text: string) => written.push(text) }
  const progress = new ProgressLines(screen, () => now)
  return { written, progress, pass: (ms: number) => (now += ms) }
}

describe('progress', () => {
  test('in a log is a line every ten seconds', () => {
    const { written, progress, pass } = lines(false)
    progress.update(job, at(0, 0))
    for (let i = 1; i <= 10; i++) {
      pass(1_000)
      progress.update(job, at(i * 60_000, i * 300_000))
    }
    assert.equal(written.length, 2)
    assert.equal(
      written[1],
      'steady seed 1: steady 0:10:00 of 2:00:00, 300k events/s, component 0.9998, 50000 links\n',
    )
  })

  test('on a terminal is one line that fits and is written over', () => {
    const { written, progress, pass } = lines(true)
    progress.update(job, at(0, 0))
    pass(500)
    progress.update(job, at(1_000, 10))
    assert.equal(written.length, 2)
    for (const text of written) {
      assert.ok(text.startsWith(ERASE), JSON.stringify(text))
      assert.equal(text.length - ERASE.length, 59)
    }
    progress.end(job, 'done')
    assert.deepEqual(written.slice(2), [ERASE, 'done\n'])
  })

  test('is told in hours, minutes and seconds', () => {
    assert.equal(clock(3_723_900), '1:02:03')
  })
})
