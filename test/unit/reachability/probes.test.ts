import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../protocols/reachability/limits.ts'
import { natClass } from '../../../protocols/reachability/nat-class.ts'
import { ReachabilityMachine } from '../../../protocols/reachability/reachability.ts'
import type { ReachabilityInput } from '../../../protocols/reachability/reachability.ts'

const INSIDE = '192.168.1.5'
const OUTSIDE = '51.0.0.1'

type Probed = Extract<ReachabilityInput, { type: 'probed' }>

function machineAt(ip: string): ReachabilityMachine {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'interfaces', addresses: [{ ip, port: 4001 }] }, 0)
  return machine
}

const helperIp = (i: number): string => `62.0.${i}.1`

const seen = (i: number, ip = OUTSIDE, port = 4001, trusted = false): ReachabilityInput => ({
  type: 'observed',
  connection: `c${i}`,
  observer: `p${i}`,
  observerIp: helperIp(i),
  ip,
  port,
  localIp: INSIDE,
  localPort: 4001,
  trusted,
})

const probed = (i: number, change: Partial<Probed> = {}): Probed => ({
  type: 'probed',
  byIp: helperIp(i),
  trusted: false,
  door: 'listening',
  other: false,
  result: 'failed',
  ...change,
})

const stranger = (i: number, from = `73.0.${i}.1`): Probed =>
  probed(i, { other: true, result: 'stranger', from })

/** How helper `i` saw the listening port at a second port of its, and new ports with these outsides. */
function sampled(
  i: number,
  { again = 4001, fresh = [41_000, 42_000, 43_000], trusted = false } = {},
): ReachabilityInput {
  return {
    type: 'sampled',
    byIp: helperIp(i),
    trusted,
    seen: { ip: OUTSIDE, port: 4001 },
    listening: { ip: OUTSIDE, port: again },
    fresh: fresh.map((port, n) => ({ local: 41_000 + 1_000 * n, port })),
    listeningPort: 4001,
  }
}

/** A node behind a NAT that one helper sees. */
function hidden(...inputs: ReachabilityInput[]): ReachabilityMachine {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  for (const input of inputs) machine.step(input, 1_000)
  return machine
}

test('one helper with two ports is enough to know the mapping', () => {
  assert.equal(hidden().state.mapping, 'unknown')
  assert.equal(hidden(sampled(1)).state.mapping, 'endpoint-independent')
  assert.equal(hidden(sampled(1, { again: 50_111 })).state.mapping, 'address-and-port-dependent')
})

test('of two observers that differ the operator’s choice is believed, by what it sees at two ports', () => {
  const one = hidden(
    seen(1, OUTSIDE, 4001, true),
    seen(2, '8.8.8.8', 9),
    sampled(1, { trusted: true }),
  )
  assert.equal(one.state.mapping, 'endpoint-independent')
  assert.equal(one.state.externalAddresses[0], `${OUTSIDE}:4001`)
  const other = hidden(
    seen(1, OUTSIDE, 4001, true),
    seen(2, OUTSIDE, 9_999),
    sampled(1, { again: 7_777, trusted: true }),
  )
  assert.equal(other.state.mapping, 'address-and-port-dependent')
})

test('a tie among observers goes to the operator’s choice, also when it speaks last', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1, '8.8.8.8', 9), 0)
  machine.step(seen(2, OUTSIDE, 4001, true), 1)
  assert.equal(machine.state.externalAddresses[0], `${OUTSIDE}:4001`)
})

test('observers that differ by host and not by port show an address-dependent mapping', () => {
  const machine = hidden(seen(2, OUTSIDE, 5_555), seen(3, OUTSIDE, 6_666))
  machine.step(sampled(1), 1_000)
  machine.step(sampled(2), 1_000)
  machine.step(sampled(3, { again: 9_999 }), 1_000)
  assert.equal(machine.state.mapping, 'address-dependent')
})

test('two outside addresses with the same port are one mapping, and both are told', () => {
  const machine = hidden(seen(2, '51.0.9.9'), seen(3), seen(4, '51.0.9.9'))
  assert.equal(machine.state.mapping, 'endpoint-independent')
  assert.deepEqual(machine.state.externalAddresses.toSorted(), [`${OUTSIDE}:4001`, '51.0.9.9:4001'])
})

test('two outside addresses with a port each are one mapping as well', () => {
  const machine = hidden(seen(2, '51.0.9.9', 7_000), seen(3), seen(4, '51.0.9.9', 7_000))
  assert.equal(machine.state.mapping, 'endpoint-independent')
})

/** How the router seems to pick ports when new ones look like this from outside. */
const choice = (fresh: number[], again = 4001): string =>
  hidden(sampled(1, { fresh, again })).state.ports

test('how a router picks ports shows in new ones', () => {
  assert.equal(choice([41_000, 42_000, 43_000]), 'preserved')
  assert.equal(choice([41_000, 42_000, 9_999]), 'preserved', 'one was taken')
  assert.equal(choice([51_000, 52_000, 53_000]), 'shifted')
  assert.equal(choice([20_001, 20_002, 20_004], 20_000), 'sequential')
  assert.equal(choice([20_009, 20_005, 20_001], 20_010), 'sequential', 'downwards')
  assert.equal(choice([20_001, 20_002, 20_004], 3_000), 'sequential', 'the old port aside')
  assert.equal(choice([20_001, 44_002, 1_999], 3_000), 'random')
  assert.equal(choice([20_001, 20_002], 3_000), 'unknown', 'two are no rule')
})

test('a minority of helpers changes neither the choice of ports nor the mapping', () => {
  const machine = hidden(...[2, 3, 4].map((i) => seen(i)))
  for (let i = 1; i <= 3; i++) machine.step(sampled(i), 1_000)
  for (let i = 4; i <= 5; i++) {
    machine.step(sampled(i, { fresh: [9, 8_000, 70], again: 5 }), 2_000)
  }
  assert.equal(machine.state.ports, 'preserved')
  assert.equal(machine.state.mapping, 'endpoint-independent')
})

test('ports of new connections are samples for whoever searches, where every destination gets another', () => {
  assert.deepEqual(hidden(sampled(1)).externalPorts(), [4001])
  const symmetric = hidden(sampled(1, { again: 20_000, fresh: [20_001, 20_002, 20_003] }))
  assert.deepEqual(symmetric.externalPorts(), [4001, 20_000, 20_001, 20_002, 20_003])
})

test('filtering follows from who gets in where', () => {
  const self = probed(1, { result: 'reached', from: helperIp(1) })
  const cases: [string, ReachabilityInput[]][] = [
    ['address-and-port-dependent', [probed(1)]],
    ['unknown', [self]],
    ['unknown', [probed(1, { other: true })]],
    ['address-dependent', [self, probed(1, { other: true })]],
    ['address-dependent', [self, probed(1, { door: 'fresh', other: true })]],
    ['address-dependent', [self, probed(1, { door: 'silent' })]],
    ['endpoint-independent', [self, stranger(1)]],
    [
      'endpoint-independent',
      [self, probed(1, { door: 'silent', result: 'stranger', from: helperIp(1) })],
    ],
    ['endpoint-independent', [stranger(1), probed(2), probed(3), probed(4)]],
    ['address-dependent', [self, probed(2), probed(3), probed(4), probed(2, { other: true })]],
  ]
  for (const [expected, inputs] of cases) {
    assert.equal(hidden(sampled(1), ...inputs).state.filtering, expected)
  }
})

test('behind a router that lets strangers in, one is enough to be public, and soon', () => {
  const machine = hidden(sampled(1))
  machine.step(stranger(1), 2_000)
  assert.equal(machine.state.verdict, 'private')
  assert.equal(machine.nextWake(), 2_000 + LIMITS.untriedHoldMs)
  machine.step({ type: 'tick' }, 2_000 + LIMITS.untriedHoldMs)
  assert.equal(machine.state.verdict, 'public')
  assert.deepEqual(machine.state.announce, [`/ip4/${OUTSIDE}/tcp/4001`])
})

test('what was tried in vain is not believed the other way so soon', () => {
  const machine = hidden(sampled(1), probed(1))
  machine.step(stranger(2), 2_000)
  machine.step({ type: 'tick' }, 2_000 + LIMITS.untriedHoldMs)
  assert.equal(machine.state.verdict, 'private')
  machine.step({ type: 'tick' }, 2_000 + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'public')
})

test('a stranger at one helper’s mapping makes a node with a symmetric NAT neither public nor announced', () => {
  const machine = hidden(sampled(1, { again: 50_111 }), stranger(1))
  machine.step({ type: 'tick' }, 60_000)
  assert.equal(machine.state.verdict, 'private')
  assert.equal(machine.state.filtering, 'endpoint-independent')
  assert.deepEqual(machine.state.announce, [])
})

test('a helper that gets in from another port makes a bare host public, and nobody behind a NAT', () => {
  const reached = probed(1, { result: 'reached', from: helperIp(1) })
  const bare = machineAt(OUTSIDE)
  bare.step(reached, 0)
  assert.equal(bare.state.verdict, 'public')
  assert.equal(bare.state.filtering, 'none')
  const machine = hidden(reached)
  machine.step({ type: 'tick' }, 60_000)
  assert.equal(machine.state.verdict, 'private')
})

test('a bare host is hidden by the word of its bootstrap, or of three networks', () => {
  const trusted = machineAt(OUTSIDE)
  trusted.step(probed(1, { trusted: true }), 0)
  assert.equal(trusted.state.verdict, 'private')
  assert.equal(trusted.state.filtering, 'address-and-port-dependent')
  const others = machineAt(OUTSIDE)
  for (const i of [1, 2]) others.step(probed(i), 0)
  assert.equal(others.state.verdict, 'unknown')
  others.step(probed(3), 0)
  assert.equal(others.state.verdict, 'private')
})

test('a third peer that fails says nothing against the helper that got in', () => {
  const machine = machineAt(OUTSIDE)
  machine.step(probed(1, { trusted: true, result: 'reached', from: helperIp(1) }), 0)
  machine.step(probed(1, { trusted: true, other: true }), 1)
  machine.step({ type: 'tick' }, 60_000)
  assert.equal(machine.state.verdict, 'public')
})

test('a way in is refuted by several networks a round later, not by one, and not in the same round', () => {
  const machine = machineAt(OUTSIDE)
  machine.step(stranger(1), 0)
  for (let i = 1; i <= 5; i++) machine.step(probed(i), LIMITS.roundMs)
  assert.equal(machine.state.verdict, 'public', 'the same round')
  for (let i = 1; i <= 2; i++) machine.step(probed(i), LIMITS.roundMs + 1)
  machine.step({ type: 'tick' }, 2 * LIMITS.roundMs)
  assert.equal(machine.state.verdict, 'public', 'two may lie')
  machine.step(probed(3), 2 * LIMITS.roundMs)
  machine.step({ type: 'tick' }, 2 * LIMITS.roundMs + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'private')
  machine.step(stranger(9), 3 * LIMITS.roundMs)
  machine.step({ type: 'tick' }, 3 * LIMITS.roundMs + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'public', 'open again')
})

test('one stranger’s word on where it came in is not announced against everybody else’s', () => {
  const machine = hidden(seen(2), seen(3))
  machine.step(
    {
      type: 'inbound',
      remoteIp: '73.0.0.9',
      localIp: INSIDE,
      dialledBefore: false,
      via: { ip: '8.8.8.8', port: 80 },
    },
    1_000,
  )
  machine.step({ type: 'tick' }, 60_000)
  assert.equal(machine.state.verdict, 'public')
  assert.deepEqual(machine.state.announce, [`/ip4/${OUTSIDE}/tcp/4001`])
})

test('a forwarded port is announced once a stranger came in by it, and no longer than the router forwards it', () => {
  const at = { port: 5_000, said: OUTSIDE }
  const machine = hidden(sampled(1), probed(1), { type: 'mapped', at })
  assert.deepEqual(machine.state.announce, [])
  const inside = { door: 'mapped', port: 5_000, other: true, from: '73.0.0.9' } as const
  machine.step(probed(1, { ...inside, result: 'reached' }), 2_000)
  machine.step({ type: 'tick' }, 20_000)
  assert.equal(machine.state.verdict, 'private', 'not by a peer that we talk to')
  machine.step(probed(1, { ...inside, port: 5_001, result: 'stranger' }), 20_000)
  machine.step({ type: 'tick' }, 30_000)
  assert.equal(machine.state.verdict, 'private', 'not by another port')
  machine.step(probed(1, { ...inside, result: 'stranger' }), 30_000)
  machine.step({ type: 'tick' }, 40_000)
  assert.equal(machine.state.verdict, 'public')
  assert.deepEqual(machine.state.announce, [`/ip4/${OUTSIDE}/tcp/5000`])
  assert.ok(
    machine.reasons().some(({ kind, says }) => kind === 'port-mapping' && says === 'public'),
  )
  machine.step({ type: 'mapped', at: undefined }, 50_000)
  machine.step({ type: 'tick' }, 50_000 + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'private')
  assert.deepEqual(machine.state.announce, [])
})

test('a router with another address is another router', () => {
  const machine = hidden(sampled(1), stranger(1))
  machine.step({ type: 'tick' }, 10_000)
  assert.equal(machine.state.verdict, 'public')
  machine.step(seen(1, '84.0.0.1'), 20_000)
  machine.step({ type: 'tick' }, 20_000 + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'private')
  assert.equal(machine.state.filtering, 'unknown')
  assert.equal(machine.state.ports, 'unknown')
})

test('every sort of evidence is told with its age, for and against', () => {
  const machine = hidden(seen(2), sampled(1), probed(1), probed(2, { trusted: true }))
  machine.step(stranger(3), 7_000)
  assert.deepEqual(machine.reasons(), [
    { kind: 'probe', says: 'public', networks: 1, at: 7_000 },
    { kind: 'probe', says: 'private', networks: 2, at: 1_000 },
    { kind: 'observers', says: 'private', networks: 2, at: 1_000 },
  ])
  const configured = machineAt(INSIDE)
  configured.step({ type: 'configured', announce: ['/dns4/a.example/tcp/1'] }, 5)
  assert.deepEqual(configured.reasons(), [
    { kind: 'configuration', says: 'public', networks: 0, at: 5 },
  ])
})

test('evidence grows old and is told no more', () => {
  const machine = hidden(sampled(1), probed(1))
  assert.equal(machine.state.filtering, 'address-and-port-dependent')
  machine.step({ type: 'tick' }, 1_000 + LIMITS.evidenceMs)
  assert.equal(machine.state.filtering, 'unknown')
  assert.equal(machine.state.ports, 'unknown')
  assert.deepEqual(
    machine.reasons().map(({ kind }) => kind),
    ['observers'],
  )
})

test('a node that strangers reach needs no probes, until the last one is long ago', () => {
  const machine = machineAt(OUTSIDE)
  assert.equal(machine.state.settled, false)
  const visit = { type: 'inbound', remoteIp: '73.0.0.9', dialledBefore: false } as const
  machine.step({ ...visit, localIp: OUTSIDE }, 1_000)
  assert.equal(machine.state.settled, true)
  assert.equal(machine.nextWake(), 1_000 + LIMITS.settledMs)
  machine.step({ type: 'tick' }, 1_000 + LIMITS.settledMs)
  assert.equal(machine.state.settled, false)
  const behind = hidden()
  behind.step({ ...visit, localIp: INSIDE }, 1_000)
  assert.equal(behind.state.settled, false, 'what its router does is not known')
  behind.step({ type: 'configured', announce: ['/dns4/a.example/tcp/1'] }, 2_000)
  assert.equal(behind.state.settled, true)
})

test('the five classes of old are a rendering of the two behaviours', () => {
  const apd = 'address-and-port-dependent'
  const ei = 'endpoint-independent'
  assert.equal(natClass({ mapping: 'none', filtering: 'none' }), 'public')
  assert.equal(natClass({ mapping: ei, filtering: ei }), 'unrestricted')
  assert.equal(natClass({ mapping: ei, filtering: 'address-dependent' }), 'restricted')
  assert.equal(natClass({ mapping: ei, filtering: apd }), 'restricted')
  assert.equal(natClass({ mapping: 'none', filtering: apd }), 'restricted')
  assert.equal(natClass({ mapping: apd, filtering: apd }), 'symmetric')
  assert.equal(natClass({ mapping: 'address-dependent', filtering: ei }), 'symmetric')
  assert.equal(natClass({ mapping: 'unknown', filtering: 'unknown' }), 'unknown')
  assert.equal(natClass({ mapping: ei, filtering: 'unknown' }), 'unknown')
  assert.equal(natClass({ mapping: 'unknown', filtering: 'unknown', cutOff: true }), 'blocked')
})

test('evidence against the verdict makes it waver until it has stood long enough', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  machine.step(seen(2), 0)
  assert.equal(machine.state.verdict, 'private')
  assert.equal(machine.wavers, false)
  machine.step(stranger(1), 1_000)
  assert.deepEqual([machine.state.verdict, machine.wavers], ['private', true])
  machine.step({ type: 'tick' }, 1_000 + LIMITS.holdMs)
  assert.deepEqual([machine.state.verdict, machine.wavers], ['public', false])
})
