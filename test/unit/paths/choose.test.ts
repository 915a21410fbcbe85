import assert from 'node:assert/strict'
import { test } from 'node:test'
import { best, SETTLE_MS, superfluous } from '../../../protocols/paths/choose.ts'
import type { OpenConnection } from '../../../protocols/paths/choose.ts'

const one = (id: string, rest: Partial<OpenConnection> = {}): OpenConnection => ({
  id,
  direct: true,
  preferred: false,
  openedAt: 0,
  streams: 0,
  idleSince: 0,
  ...rest,
})

test('best prefers a direct connection, however young', () => {
  const chosen = best(
    [one('relayed', { direct: false }), one('direct', { openedAt: 9_999 })],
    9_999,
  )
  assert.equal(chosen?.id, 'direct')
})

test('best prefers the oldest among equals, so that a second connection changes nothing', () => {
  assert.equal(best([one('young', { openedAt: 9 }), one('old', { openedAt: 1 })], 10)?.id, 'old')
})

test('best is the same on both sides, whose clocks saw two connections in opposite order', () => {
  const here = [one('x', { openedAt: 1, preferred: true }), one('y', { openedAt: 2 })]
  const there = [one('x', { openedAt: 2, preferred: true }), one('y', { openedAt: 1 })]
  assert.equal(best(here, SETTLE_MS * 2)?.id, 'x')
  assert.equal(best(there, SETTLE_MS * 2)?.id, 'x')
})

test('best stays with a settled connection while a new one, however preferred, may be a passing dial-back', () => {
  const both = [one('old'), one('dial-back', { openedAt: 5_000, preferred: true })]
  assert.equal(best(both, 5_001)?.id, 'old')
  assert.equal(best(both, 5_000 + SETTLE_MS)?.id, 'dial-back')
})

test('superfluous names an idle relayed connection beside a settled direct one, on either side', () => {
  const both = [one('relayed', { direct: false }), one('direct')]
  for (const tidies of [true, false]) {
    assert.deepEqual(
      superfluous(both, tidies, SETTLE_MS).map((c) => c.id),
      ['relayed'],
    )
  }
})

test('superfluous never names a connection with a stream on it', () => {
  const both = [one('relayed', { direct: false, streams: 1, idleSince: undefined }), one('direct')]
  assert.deepEqual(superfluous(both, true, 1e9), [])
})

test('superfluous waits until the better connection has settled', () => {
  const both = [one('relayed', { direct: false }), one('direct', { openedAt: 1_000 })]
  assert.deepEqual(superfluous(both, true, 1_000 + SETTLE_MS - 1), [])
})

test('only the side that tidies names duplicates of one kind', () => {
  const both = [one('first'), one('second', { openedAt: 5 })]
  assert.deepEqual(superfluous(both, false, 1e6), [])
  assert.deepEqual(
    superfluous(both, true, 1e6).map((c) => c.id),
    ['second'],
  )
})
