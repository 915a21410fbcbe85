import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SIGNAL_LIMITS } from '../../../protocols/signalling/limits.ts'
import { Switchboard } from '../../../protocols/signalling/switchboard.ts'
import type { Verdict } from '../../../protocols/signalling/switchboard.ts'

/** A relay at which `holders` hold reservations and `clients` have streams. */
function relayWith({ holders, clients }: { holders: string[]; clients: string[] }) {
  const state = { serving: true, holders: new Set(holders) }
  const board = new Switchboard(
    { serving: () => state.serving, holdsReservation: (peer) => state.holders.has(peer) },
    0,
  )
  for (const client of clients) assert.ok(board.join(client).admitted)
  return { board, state }
}

const SIZE = 300

/** The verdicts on `count` messages that come at once. */
function flood(board: Switchboard, from: string, to: string, count: number, now = 0): Verdict[] {
  return Array.from({ length: count }, () => board.judge(from, to, SIZE, now))
}

function countOf(verdicts: Verdict[], verdict: Verdict): number {
  return verdicts.filter((each) => each === verdict).length
}

test('a message reaches a peer that holds a reservation and a stream', () => {
  const { board } = relayWith({ holders: ['B'], clients: ['A', 'B'] })
  assert.equal(board.judge('A', 'B', SIZE, 0), 'pass')
})

test('a reservation without a stream, a stream without a reservation, and oneself are unknown', () => {
  const { board } = relayWith({ holders: ['B', 'A'], clients: ['A', 'C'] })
  for (const target of ['B', 'C', 'A', 'nobody', '']) {
    assert.equal(board.judge('A', target, SIZE, 0), 'unknown-target', target)
  }
})

test('whoever was written to may answer for a minute, and nobody else may', () => {
  const { board } = relayWith({ holders: ['B'], clients: ['A', 'B', 'C'] })
  assert.equal(board.judge('B', 'A', SIZE, 0), 'unknown-target')
  assert.equal(board.judge('A', 'B', SIZE, 1_000), 'pass')
  assert.equal(board.judge('B', 'A', SIZE, 1_000 + SIGNAL_LIMITS.replyMs), 'pass')
  assert.equal(board.judge('B', 'A', SIZE, 1_001 + SIGNAL_LIMITS.replyMs), 'unknown-target')
  assert.equal(board.judge('C', 'A', SIZE, 1_000), 'unknown-target')
})

test('a message that was refused allows no answer', () => {
  const { board } = relayWith({ holders: ['B'], clients: ['A', 'B'] })
  assert.equal(board.judge('A', 'B', SIGNAL_LIMITS.sealedBytes + 1, 0), 'too-big')
  assert.equal(board.judge('B', 'A', SIZE, 0), 'unknown-target')
})

test('the longest message passes, one byte more does not', () => {
  const { board } = relayWith({ holders: ['B'], clients: ['A', 'B'] })
  assert.equal(board.judge('A', 'B', SIGNAL_LIMITS.sealedBytes, 0), 'pass')
  assert.equal(board.judge('A', 'B', SIGNAL_LIMITS.sealedBytes + 1, 0), 'too-big')
})

test('a sender has its burst, then its rate, and coming again does not help', () => {
  const { board } = relayWith({ holders: ['B'], clients: ['A', 'B'] })
  const { burst, perSecond } = SIGNAL_LIMITS.sender
  assert.equal(countOf(flood(board, 'A', 'B', burst + 10), 'pass'), burst)
  board.leave('A')
  board.join('A')
  assert.equal(board.judge('A', 'B', SIZE, 0), 'too-fast')
  assert.equal(countOf(flood(board, 'A', 'B', 10, 1_000), 'pass'), perSecond)
})

test('asking for targets that are not there costs the sender its own rate', () => {
  const { board } = relayWith({ holders: ['B'], clients: ['A', 'B'] })
  flood(board, 'A', 'nobody', SIGNAL_LIMITS.sender.burst)
  assert.equal(board.judge('A', 'B', SIZE, 0), 'too-fast')
})

test('a target is protected from many senders, which still reach others', () => {
  const senders = Array.from({ length: 10 }, (_, i) => `A${i}`)
  const { board } = relayWith({ holders: ['B', 'C'], clients: ['B', 'C', ...senders] })
  const verdicts = senders.flatMap((sender) => flood(board, sender, 'B', 20))
  assert.equal(countOf(verdicts, 'pass'), SIGNAL_LIMITS.target.burst)
  assert.equal(board.judge('A0', 'C', SIZE, 0), 'pass')
})

test('all together have a bound', () => {
  const count = SIGNAL_LIMITS.all.burst / 8
  const holders = Array.from({ length: count }, (_, i) => `B${i}`)
  const senders = Array.from({ length: count }, (_, i) => `A${i}`)
  const { board } = relayWith({ holders, clients: [...holders, ...senders] })
  const verdicts = senders.flatMap((sender, i) => flood(board, sender, `B${i}`, 9))
  assert.equal(countOf(verdicts, 'pass'), SIGNAL_LIMITS.all.burst)
})

test('whoever goes on after hundreds of refusals is hung up on, also when it comes again', () => {
  const { board } = relayWith({ holders: [], clients: ['A', 'C'] })
  const { burst } = SIGNAL_LIMITS.patience
  assert.equal(countOf(flood(board, 'A', 'nobody', burst), 'hang-up'), 0)
  assert.equal(board.judge('A', 'nobody', SIZE, 0), 'hang-up')
  board.leave('A')
  board.join('A')
  assert.equal(board.judge('A', 'nobody', SIZE, 0), 'hang-up')
  assert.equal(board.judge('C', 'nobody', SIZE, 0), 'unknown-target')
})

test('a node that does not relay admits nobody and passes nothing', () => {
  const { board, state } = relayWith({ holders: ['B'], clients: ['A', 'B'] })
  state.serving = false
  assert.equal(board.judge('A', 'B', SIZE, 0), 'not-served')
  assert.deepEqual(board.join('C'), { admitted: false })
})

test('at the bound the visitor that was silent longest makes room, and never a reservation', () => {
  const visitors = Array.from({ length: SIGNAL_LIMITS.clients - 1 }, (_, i) => `V${i}`)
  const { board, state } = relayWith({ holders: ['B'], clients: ['B', ...visitors] })
  board.judge('V0', 'B', SIZE, 0)
  assert.deepEqual(board.join('new'), { admitted: true, instead: 'V1' })
  assert.deepEqual(board.join('new'), { admitted: true, instead: undefined })
  assert.equal(board.clients, SIGNAL_LIMITS.clients)

  for (const visitor of [...visitors, 'new']) state.holders.add(visitor)
  assert.deepEqual(board.join('another'), { admitted: false })
})
