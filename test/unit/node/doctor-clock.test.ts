import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerClocks } from '../../../src/drivers/peer-clocks.ts'
import { clock } from '../../../src/node/doctor-clock.ts'

const NOW = Date.parse('2026-11-20T12:34:56Z')
const MINUTE = 60_000

test('a clock that peers share is fine, and one that nobody compares is taken as it is', () => {
  assert.equal(clock(NOW, [200, -900, 3_000]).result, 'ok')
  assert.match(clock(NOW, []).text, /no peer to compare/)
})

test('one liar among three changes nothing', () => {
  assert.equal(clock(NOW, [0, 500, 86_400_000]).result, 'ok')
  assert.equal(clock(NOW, [0, 500, -86_400_000]).result, 'ok')
})

test('a clock that three peers call wrong is, and harms from five minutes on', () => {
  const slow = clock(NOW, [7 * MINUTE, 8 * MINUTE, 7 * MINUTE])
  assert.equal(slow.result, 'problem')
  assert.match(slow.text, /7 min behind 3 peers$/)
  assert.match(slow.remedy ?? '', /NTP/)
  assert.equal(clock(NOW, [-2 * MINUTE, -2 * MINUTE, -2 * MINUTE]).result, 'warning')
})

test('of one or two peers that differ nobody knows whose clock is wrong', () => {
  const { result, text } = clock(NOW, [-60 * MINUTE])
  assert.equal(result, 'warning')
  assert.match(text, /60 min ahead of 1 peer: one of them is wrong/)
  assert.equal(clock(NOW, [0, 60 * MINUTE]).result, 'ok')
})

test('a clock from before this program is wrong whatever peers say', () => {
  assert.equal(clock(0, []).result, 'problem')
})

test('what a greeting said still counts right after the own clock was set', () => {
  let steady = 1_000
  let wall = 1_700_000_000_000
  const clocks = new PeerClocks({ now: () => wall }, { now: () => steady })
  clocks.note('a', wall / 1000 + 600)
  assert.deepEqual(clocks.ahead(), [600_500])
  steady += 5_000
  wall += 5_000 + 600_000
  assert.deepEqual(clocks.ahead(), [500])
})

test('many identities cannot fill the memory with their clocks', () => {
  const clocks = new PeerClocks({ now: Date.now })
  for (let i = 0; i < 1_000; i++) clocks.note(`peer ${i}`, 0)
  assert.ok(clocks.ahead().length <= 64)
})
