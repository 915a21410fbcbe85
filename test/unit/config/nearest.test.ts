import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { nearest } from '../../../src/config/nearest.ts'

test('the nearest name needs the fewest edits', () => {
  const names = ['listen', 'relay', 'bootstrap', 'expose']
  assert.equal(nearest('bootstraps', names), 'bootstrap')
  assert.equal(nearest('RELY', names), 'relay')
  assert.equal(nearest('x', []), undefined)
})

test('a name that exists is nearest to itself', () => {
  const lists = fc.uniqueArray(fc.stringMatching(/^[a-z-]{1,8}$/), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(lists, (names) => assert.equal(nearest(names.at(-1) ?? '', names), names.at(-1))),
  )
})
