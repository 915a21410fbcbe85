import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellName } from '../../lab/cell.ts'
import { expectationOf } from '../../lab/expectation.ts'
import { cellOf, cellsAmong, COMPARED, MATRIX, SHORT } from '../../lab/matrix.ts'
import { NAT_KINDS } from '../../lab/nat-kinds.ts'

const names = MATRIX.map(cellName)

describe('what must come of a pair', () => {
  it('is a direct path wherever one side has the same mapping for everybody', () => {
    for (const kind of ['full', 'addr', 'port', 'port-rst', 'shift', 'cgn', 'double'] as const) {
      for (const other of NAT_KINDS.filter((one) => one !== 'v6fw')) {
        assert.equal(expectationOf(kind, other).expected, 'direct', `${kind}×${other}`)
        assert.equal(expectationOf(other, kind).expected, 'direct', `${other}×${kind}`)
      }
    }
  })

  it('is a relayed path between two symmetric NATs, each pair with its own reason', () => {
    const pairs = [
      expectationOf('sym', 'sym'),
      expectationOf('sym', 'sym-seq'),
      expectationOf('sym-seq', 'sym-seq'),
    ]
    for (const { expected } of pairs) assert.equal(expected, 'relayed')
    assert.equal(new Set(pairs.map(({ reason }) => reason)).size, 3)
    assert.deepEqual(expectationOf('sym', 'sym-seq'), expectationOf('sym-seq', 'sym'))
  })

  it('is a LAN path behind one router, and no LAN path anywhere else', () => {
    assert.deepEqual(expectationOf('sym', 'same').methods, ['lan'])
    assert.deepEqual(expectationOf('port', 'same-hairpin').methods, ['lan'])
    for (const { b, methods, expected } of MATRIX)
      if (expected === 'direct' && !b.startsWith('same')) assert.ok(!methods.includes('lan'))
  })

  it('is direct where one side is public', () => {
    assert.equal(expectationOf('public', 'sym').expected, 'direct')
    assert.equal(expectationOf('v6fw', 'public').expected, 'direct')
  })

  it('is relayed where the two have no address family in common', () => {
    const { expected, reason } = expectationOf('v6fw', 'port')
    assert.equal(expected, 'relayed')
    assert.match(reason ?? '', /IPv6 only/)
  })
})

describe('the matrix', () => {
  it('has every pair of NATs that translate, at least one way round', () => {
    const kinds = NAT_KINDS.filter((kind) => kind !== 'v6fw')
    for (const a of kinds)
      for (const b of kinds) assert.ok(names.includes(`${a}×${b}`) || names.includes(`${b}×${a}`))
  })

  it('has both ways round where the two sides have different parts to play', () => {
    for (const pair of ['sym×port', 'sym-seq×cgn', 'sym×sym-seq', 'public×full']) {
      const [a, b] = pair.split('×')
      assert.ok(names.includes(`${a}×${b}`) && names.includes(`${b}×${a}`), pair)
    }
  })

  it('has no cell twice, and those that need IPv6 last', () => {
    assert.equal(new Set(names).size, names.length)
    const firstV6 = names.findIndex((name) => name.includes('v6fw'))
    assert.ok(names.slice(firstV6).every((name) => name.includes('v6fw')))
  })

  it('contains the cells of the short run and of the comparison, one way round or the other', () => {
    for (const { a, b } of [...SHORT, ...COMPARED])
      assert.ok(names.includes(`${a}×${b}`) || names.includes(`${b}×${a}`), `${a}×${b}`)
  })

  it('can be narrowed to some kinds', () => {
    assert.deepEqual(cellsAmong(['sym', 'port']).map(cellName), [
      'port×port',
      'port×sym',
      'sym×port',
      'sym×sym',
    ])
    assert.throws(() => cellsAmong(['pony']), /no kind pony/)
    assert.throws(() => cellsAmong(['same']), /no cell among same/)
  })
})

describe('the name of a cell', () => {
  it('is read with × and with x', () => {
    assert.equal(cellOf('symxsym').expected, 'relayed')
    assert.equal(cellOf('sym×sym').expected, 'relayed')
  })

  it('may be any pair of kinds', () => {
    const { a, b, expected } = cellOf('port-rst×cgn')
    assert.deepEqual({ a, b, expected }, { a: 'port-rst', b: 'cgn', expected: 'direct' })
    assert.deepEqual(cellName(cellOf('sym-seqxsame-hairpin')), 'sym-seq×same-hairpin')
  })

  it('is refused with the kinds there are', () => {
    assert.throws(() => cellOf('port×pony'), /name two of public, full/)
  })
})
