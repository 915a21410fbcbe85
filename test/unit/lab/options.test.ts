import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellName } from '../../lab/cell.ts'
import { COMPARED, MATRIX, SHORT } from '../../lab/matrix.ts'
import { parseArgs } from '../../lab/options.ts'

const parse = (text: string) => parseArgs(text.split(' ').filter(Boolean))

describe('the options of the laboratory', () => {
  it('ask for the self-test and a short run when there are none', () => {
    const { selfTest, cells, options } = parse('')
    assert.ok(selfTest)
    assert.deepEqual(cells, SHORT)
    assert.equal(options.tries, 1)
  })

  it('play the matrix with as many tries as the design asks for, unless told otherwise', () => {
    assert.deepEqual(parse('--matrix').cells, [...MATRIX])
    assert.equal(parse('--matrix').options.tries, 20)
    assert.equal(parse('--matrix --tries 3').options.tries, 3)
    assert.ok(!parse('--matrix').selfTest)
  })

  it('narrow the matrix to kinds, and add single cells', () => {
    const { cells } = parse('--only sym,port --cell cgnxaddr')
    assert.deepEqual(cells.map(cellName), [
      'port×port',
      'port×sym',
      'sym×port',
      'sym×sym',
      'cgn×addr',
    ])
  })

  it('give cells to the comparison when there is one', () => {
    assert.deepEqual(parse('--peers').compared, COMPARED)
    const { compared, cells, patienceMs } = parse('--peers --cell portxsym --patience 30')
    assert.deepEqual([compared.map(cellName), cells, patienceMs], [['port×sym'], [], 30_000])
  })

  it('describe the wire and the addresses', () => {
    const { options } = parse(
      '--cell portxport --rtt 300 --loss 2 --skew 200 --jitter 10 --range-seed 7 --relays split',
    )
    const { tries, ...wire } = options
    assert.equal(tries, 1)
    assert.deepEqual(wire, {
      rttMs: 300,
      lossPercent: 2,
      skewMs: 200,
      jitterMs: 10,
      rangeSeed: 7,
      relays: 'split',
      parallel: 1,
    })
  })

  it('name scenarios, in long and in short', () => {
    const { scenarios, cells } = parse('--scenario survive --scenario fallback --big')
    assert.deepEqual([scenarios, cells], [['survive', 'fallback', 'big'], []])
  })

  it('write JSON to stdout, or into a file', () => {
    assert.equal(parse('--matrix').json, false)
    assert.equal(parse('--matrix --json').json, true)
    assert.equal(parse('--matrix --json figures.json').json, 'figures.json')
  })
})
