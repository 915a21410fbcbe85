import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../protocols/reachability/limits.ts'
import { ReachabilityMachine } from '../../../protocols/reachability/reachability.ts'
import type { ReachabilityInput } from '../../../protocols/reachability/reachability.ts'

const INSIDE = '172.18.0.2'
const OUTSIDE = '51.0.0.1'
const PUBLISHED = 14_001
const CLAIM = `/ip4/${OUTSIDE}/tcp/${PUBLISHED}`

const seen = (i: number, ip = OUTSIDE): ReachabilityInput => ({
  type: 'observed',
  connection: `c${i}`,
  observer: `p${i}`,
  observerIp: `62.0.${i}.1`,
  ip,
  port: 4001,
  localIp: INSIDE,
  localPort: 4001,
})

/** What a helper's examination says of the published port. */
const probed = (
  result: 'reached' | 'failed',
  { i = 0, trusted = false, port = PUBLISHED } = {},
): ReachabilityInput => ({
  type: 'probed',
  byIp: `62.0.${i}.1`,
  trusted,
  door: 'mapped',
  other: false,
  result,
  port,
  ...(result === 'reached' && { from: `62.0.${i}.1` }),
})

/** A container that is told where its port is published. */
function container(announce: string[], ...inputs: ReachabilityInput[]): ReachabilityMachine {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'configured', announce }, 0)
  machine.step({ type: 'interfaces', addresses: [{ ip: INSIDE, port: 4001 }] }, 0)
  for (const input of inputs) machine.step(input, 1_000)
  return machine
}

test('a published port is not announced before somebody got in by it', () => {
  const machine = container([CLAIM], seen(0))
  assert.deepEqual(machine.state.announce, [])
  assert.equal(machine.state.verdict, 'private')
  assert.deepEqual(machine.state.claimed, [`${OUTSIDE}:${PUBLISHED}`], 'helpers are to try it')
  assert.equal(machine.state.settled, false)
  machine.step(probed('reached'), 2_000)
  assert.deepEqual(machine.state.announce, [CLAIM])
  assert.equal(machine.state.verdict, 'public')
  assert.equal(machine.state.settled, true)
  assert.equal(machine.state.claims[0]?.state, 'confirmed')
})

test('whoever says that it dialled the address and is here confirms it, before any helper is known', () => {
  const machine = container([CLAIM])
  const via = { ip: OUTSIDE, port: PUBLISHED }
  const visit = { type: 'inbound', remoteIp: '73.0.0.9', localIp: INSIDE, dialledBefore: false }
  machine.step({ ...visit, via } as ReachabilityInput, 500)
  assert.deepEqual(machine.state.announce, [CLAIM])
})

test('an address that a helper of the operator finds closed is not announced', () => {
  const machine = container([CLAIM], seen(0), probed('failed', { trusted: true }))
  machine.step({ type: 'tick' }, LIMITS.claimMs)
  assert.equal(machine.state.claims[0]?.state, 'refuted')
  assert.deepEqual(machine.state.announce, [])
  assert.equal(machine.state.verdict, 'private')
  assert.ok(!machine.reasons().some(({ kind }) => kind === 'configuration'))
  machine.step(probed('reached', { i: 1 }), LIMITS.claimMs + 1)
  assert.deepEqual(machine.state.announce, [CLAIM], 'the port was published after all')
})

test('of strangers it takes three networks to say that it is closed, and one to say that it is open', () => {
  const machine = container([CLAIM], seen(0))
  for (const i of [0, 1]) machine.step(probed('failed', { i }), 2_000)
  assert.equal(machine.state.claims[0]?.state, 'open')
  machine.step(probed('failed', { i: 2 }), 2_000)
  assert.equal(machine.state.claims[0]?.state, 'refuted')
  machine.step(probed('reached', { i: 3 }), 2_001)
  assert.equal(machine.state.claims[0]?.state, 'confirmed')
})

test('what is said of another port says nothing of this one', () => {
  const { state } = container([CLAIM], seen(0), probed('reached', { port: 9 }))
  assert.equal(state.claims[0]?.state, 'open')
})

test('where nobody can tell, the word of the operator counts after a while', () => {
  const machine = container([CLAIM], seen(0, '51.0.0.77'))
  assert.deepEqual(machine.state.claimed, [], 'helpers dial no address but the one they see')
  assert.deepEqual(machine.state.announce, [])
  assert.equal(machine.nextWake(), LIMITS.claimMs)
  machine.step({ type: 'tick' }, LIMITS.claimMs)
  assert.deepEqual(machine.state.announce, [CLAIM])
  assert.equal(machine.state.verdict, 'public')
})

test('names, private addresses and relayed ones are announced as they are, at once', () => {
  const sure = [
    '/dns4/a.example/tcp/1',
    '/ip4/192.168.7.7/tcp/4001',
    `${CLAIM}/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf/p2p-circuit`,
  ]
  const machine = container(sure, seen(0))
  assert.deepEqual(machine.state.announce, sure)
  assert.equal(machine.state.settled, true, 'no probe could tell anything')
})

test('of several addresses only those that lead here are announced', () => {
  const other = `/ip4/${OUTSIDE}/tcp/9`
  const wrong = probed('failed', { trusted: true, port: 9 })
  const { state } = container([CLAIM, other], seen(0), probed('reached'), wrong)
  assert.deepEqual(state.announce, [CLAIM])
  assert.deepEqual(
    state.claims.map((claim) => claim.state),
    ['confirmed', 'refuted'],
  )
})

test('on a host that has the address itself whoever got in at the listening port confirms it', () => {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'configured', announce: [`/ip4/${OUTSIDE}/tcp/4001`] }, 0)
  machine.step({ type: 'interfaces', addresses: [{ ip: OUTSIDE, port: 4001 }] }, 0)
  const visit = { type: 'inbound', remoteIp: '73.0.0.9', localIp: OUTSIDE, dialledBefore: false }
  machine.step(visit as ReachabilityInput, 500)
  assert.deepEqual(machine.state.announce, [`/ip4/${OUTSIDE}/tcp/4001`])
})
