import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Try } from '../../lab/cell.ts'
import { cellOf } from '../../lab/matrix.ts'
import { matrixTable, percentile, summarise } from '../../lab/report.ts'

const tried = (directMs: number | null, failure: string | null = null): Try => ({
  ok: failure === null,
  knownMs: 50,
  directMs,
  relayedMs: 100,
  method: failure === null ? 'punch' : null,
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

  it('gives times in round trips too', () => {
    const text = matrixTable([summarise(cellOf('port×port'), [tried(300)])], 50)
    assert.match(text, /port×port +direct +1\/1 +300 +300 +6\.0 +6\.0/)
  })
})

describe('the name of a cell', () => {
  it('is read with × and with x', () => {
    assert.equal(cellOf('symxsym').expected, 'relayed')
    assert.equal(cellOf('sym×sym').expected, 'relayed')
  })

  it('may be any pair of kinds', () => {
    assert.deepEqual(cellOf('port-rst×cgn'), { a: 'port-rst', b: 'cgn', expected: 'direct' })
  })

  it('is refused with the kinds there are', () => {
    assert.throws(() => cellOf('port×pony'), /name two of public, full/)
  })
})
