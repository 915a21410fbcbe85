import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { untried, type Try } from '../../lab/cell.ts'
import { cellOf } from '../../lab/matrix.ts'
import { comparisonTable, figuresOf } from '../../lab/peers/report.ts'
import { matrixTable, percentile, summarise } from '../../lab/report.ts'

const tried = (directMs: number | null, failure: string | null = null): Try => ({
  ...untried(),
  ok: failure === null,
  knownMs: 50,
  directMs,
  relayedMs: 100,
  method: failure === null ? 'punch' : null,
  packets: { a: 7, b: 9 },
  failure,
})

describe('percentile', () => {
  it('is the smallest value that the share does not exceed', () => {
    const values = [5, 1, 4, 2, 3]
    assert.equal(percentile(values, 0.5), 3)
    assert.equal(percentile(values, 0.95), 5)
    assert.equal(percentile(values, 0), 1)
    assert.equal(percentile([], 0.5), null)
  })
})

describe('the report of a cell', () => {
  it('counts failures and takes times from successes only', () => {
    const report = summarise(cellOf('port×port'), [tried(300), tried(9000, 'too late'), tried(500)])
    assert.equal(report.ok, 2)
    assert.equal(report.tries, 3)
    assert.equal(report.p95Ms, 500)
    assert.deepEqual(report.methods, { punch: 2 })
    assert.deepEqual(report.failures, ['too late'])
  })

  it('takes no times from tries that had begun before the call, and counts them all the same', () => {
    const begun = { ...tried(5), early: true }
    const { ok, early, p50Ms } = summarise(cellOf('port×port'), [tried(300), begun])
    assert.deepEqual({ ok, early, p50Ms }, { ok: 2, early: 1, p50Ms: 300 })
  })

  it('takes the times of tries that had begun before the call where there are no others', () => {
    const begun = { ...tried(5), early: true }
    const report = summarise(cellOf('public×port'), [begun, begun])
    assert.equal(report.p50Ms, 5)
    assert.match(matrixTable([report], 50), /2\/2 \(2 early\)/)
  })

  it('gives times in round trips too, and the packets of both sides', () => {
    const text = matrixTable([summarise(cellOf('port×port'), [tried(300)])], 50)
    assert.match(text, /port×port +direct +1\/1 +300 +300 +6\.0 +6\.0 +100 +50 +7\+9 +punch 1/)
    assert.match(text, /1 of 1 cells as expected in every try; 1 of 1 tries/)
  })

  it('says once why cells are relayed', () => {
    const reports = ['sym×sym', 'sym-seq×sym'].map((name) => summarise(cellOf(name), [tried(null)]))
    const text = matrixTable(reports, 50)
    assert.match(text, /^relayed: sym×sym, because both map/m)
    assert.match(text, /^relayed: sym-seq×sym, because one side's/m)
  })
})

describe('the table of a comparison', () => {
  const attempts = [
    { directMs: 400, early: false, reason: null },
    { directMs: null, early: false, reason: 'not direct after 15 s' },
    { directMs: 200, early: false, reason: null },
    { directMs: 5, early: true, reason: null },
  ]

  it('gives median, range and success, and says who is never direct', () => {
    assert.equal(figuresOf(attempts, 15_000), '200 ms (200-400), 3 of 4')
    assert.equal(
      figuresOf([{ directMs: null, early: false, reason: 'refused' }], 15_000),
      'never direct (15 s)',
    )
  })

  it('has a row a cell and a column a contender', () => {
    const text = comparisonTable([{ cell: 'port×port', name: 'HyperDHT', attempts }], 15_000)
    assert.match(text, /^port×port +- +200 ms \(200-400\), 3 of 4 +-$/m)
  })
})
