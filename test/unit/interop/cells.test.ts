import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellName, cellOf, CELLS } from '../../interop/cells.ts'

describe('the name of an interop cell', () => {
  it('tells who is where, written in what, and who relays', () => {
    assert.deepEqual(cellOf('port-rst×go-cgn'), {
      a: { maker: 'warren', place: 'port-rst' },
      b: { maker: 'go', place: 'cgn' },
      relay: 'warren',
    })
    assert.equal(cellOf('go-portxport/go').relay, 'go')
  })

  it('reads back as the same cell', () => {
    for (const cell of CELLS) assert.deepEqual(cellOf(cellName(cell)), cell)
  })

  it('is refused when no such places exist', () => {
    for (const name of ['port', 'port×go', 'port×rust-port', 'port×port×port', ''])
      assert.throws(() => cellOf(name), /there is no cell/)
  })
})

describe('the listed cells', () => {
  it('have every endpoint-independent NAT on both sides, in both directions, with its own kind and another', () => {
    const names = new Set(CELLS.map(cellName))
    for (const kind of ['full', 'addr', 'port', 'port-rst', 'shift', 'cgn']) {
      assert.ok(names.has(`${kind}×go-${kind}`) && names.has(`go-${kind}×${kind}`), kind)
      const mixed = CELLS.filter(({ a, b }) => a.place === kind && b.place !== kind)
      assert.ok(mixed.length > 0, kind)
    }
  })

  it('are listed once each', () => {
    assert.equal(new Set(CELLS.map(cellName)).size, CELLS.length)
  })
})
