import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LIMITS } from '../../../protocols/reachability/limits.ts'
import { ReachabilityMachine } from '../../../protocols/reachability/reachability.ts'
import type { ReachabilityInput } from '../../../protocols/reachability/reachability.ts'

const INSIDE = '192.168.1.5'
const OUTSIDE = '51.0.0.1'

function machineAt(...ips: string[]): ReachabilityMachine {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'interfaces', addresses: ips.map((ip) => ({ ip, port: 4001 })) }, 0)
  return machine
}

/** What observer number `i`, somewhere on the internet, saw of our connection. */
function seen(i: number, ip = OUTSIDE, port = 4001): ReachabilityInput {
  return {
    type: 'observed',
    connection: `c${i}`,
    observer: `p${i}`,
    observerIp: `62.${i >> 8}.${i & 255}.1`,
    ip,
    port,
    localIp: INSIDE,
    localPort: 4001,
  }
}

function dialBack(i: number, ip: string, ok: boolean, independent = false): ReachabilityInput {
  return { type: 'dial-back', ip, port: 4001, ok, byIp: `73.0.${i}.1`, independent }
}

function inbound(remoteIp: string, localIp: string, dialledBefore = false): ReachabilityInput {
  return { type: 'inbound', remoteIp, localIp, dialledBefore }
}

test('nothing is known and nothing announced at first', () => {
  const { state } = machineAt(INSIDE, '127.0.0.1')
  assert.equal(state.verdict, 'unknown')
  assert.deepEqual(state.announce, [])
})

test('configured addresses make a node public and are announced exactly so', () => {
  const machine = machineAt(INSIDE, OUTSIDE)
  machine.step({ type: 'configured', announce: ['/dns4/a.example/tcp/1'] }, 0)
  assert.equal(machine.state.verdict, 'public')
  assert.deepEqual(machine.state.announce, ['/dns4/a.example/tcp/1'])
})

test('a public interface address is announced at once, and public when the first stranger got in', () => {
  const machine = machineAt(OUTSIDE, '172.17.0.1', '127.0.0.1')
  assert.equal(machine.state.verdict, 'unknown')
  assert.equal(machine.state.mapping, 'none')
  assert.deepEqual(machine.state.announce, [`/ip4/${OUTSIDE}/tcp/4001`])
  machine.step(inbound('73.0.0.9', OUTSIDE), 10)
  machine.step(inbound('73.0.0.9', OUTSIDE), 11)
  assert.equal(machine.state.verdict, 'public')
  assert.equal(machine.state.confirmations, 1, 'one network counts once')
  assert.equal(machine.state.filtering, 'none')
})

test('a public address behind a firewall is announced no more after one failed dial-back, and private after three', () => {
  const machine = machineAt(OUTSIDE)
  machine.step(dialBack(0, OUTSIDE, false), 1_000)
  assert.equal(machine.state.verdict, 'unknown')
  assert.deepEqual(machine.state.announce, [])
  assert.deepEqual(machine.state.externalAddresses, [`${OUTSIDE}:4001`], 'a punch may aim at it')
  for (let i = 1; i < 3; i++) machine.step(dialBack(i, OUTSIDE, false), 1_000)
  assert.equal(machine.state.verdict, 'private')
})

test('a node that strangers reached stays public until that is long ago, whatever dial-backs say', () => {
  const machine = machineAt(OUTSIDE)
  machine.step(inbound('73.0.0.9', OUTSIDE), 0)
  for (let i = 0; i < 8; i++) machine.step(dialBack(i, OUTSIDE, false), 1_000)
  machine.step({ type: 'tick' }, 60_000)
  assert.equal(machine.state.verdict, 'public')
})

test('failed dial-backs of one network count once, and nothing against one success', () => {
  const machine = machineAt(OUTSIDE)
  for (let i = 0; i < 20; i++) machine.step(dialBack(1, OUTSIDE, false), i)
  machine.step({ type: 'tick' }, 60_000)
  assert.equal(machine.state.verdict, 'unknown')
  machine.step(dialBack(9, OUTSIDE, true), 60_000)
  for (let i = 2; i < 8; i++) machine.step(dialBack(i, OUTSIDE, false), 60_000)
  machine.step({ type: 'tick' }, 120_000)
  assert.equal(machine.state.verdict, 'public')
})

test('one observer is enough to know that a NAT is there', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  assert.equal(machine.state.verdict, 'private')
  assert.equal(machine.state.mapping, 'unknown')
  assert.deepEqual(machine.state.externalAddresses, [`${OUTSIDE}:4001`])
  assert.deepEqual(machine.state.announce, [], 'an outside that lets nobody in is not announced')
})

test('two observers that agree show an endpoint-independent mapping', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1, OUTSIDE, 14_001), 0)
  machine.step(seen(2, OUTSIDE, 14_001), 0)
  assert.equal(machine.state.mapping, 'endpoint-independent')
  assert.deepEqual(machine.state.externalAddresses, [`${OUTSIDE}:14001`])
})

test('observers that all differ show an address-and-port-dependent mapping', () => {
  const machine = machineAt(INSIDE)
  for (let i = 0; i < 4; i++) machine.step(seen(i, OUTSIDE, 30_000 + i * 77), 0)
  assert.equal(machine.state.mapping, 'address-and-port-dependent')
  assert.ok(machine.state.externalAddresses.length <= LIMITS.maxExternalPerFamily)
})

test('one network has one vote, however many peers it runs', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  machine.step({ ...(seen(2) as object), observerIp: '62.0.1.1' } as ReachabilityInput, 0)
  assert.equal(machine.state.mapping, 'unknown')
})

test('a minority of liars changes neither mapping nor address', () => {
  const machine = machineAt(INSIDE)
  for (let i = 0; i < 5; i++) machine.step(seen(i), 0)
  for (let i = 10; i < 14; i++) machine.step(seen(i, '8.8.8.8', 53), 1)
  assert.equal(machine.state.mapping, 'endpoint-independent')
  assert.equal(machine.state.externalAddresses[0], `${OUTSIDE}:4001`)
})

test('a liar on the LAN cannot invent an outside', () => {
  const machine = machineAt(INSIDE)
  const local = { ...(seen(1, INSIDE) as object), observerIp: '192.168.1.9' } as ReachabilityInput
  const liar = {
    ...(seen(2, '8.8.8.8') as object),
    observerIp: '192.168.1.66',
  } as ReachabilityInput
  machine.step(local, 0)
  machine.step(liar, 0)
  assert.equal(machine.state.verdict, 'unknown')
  assert.deepEqual(machine.state.externalAddresses, [])
})

test('what left from another port than the listening one says nothing', () => {
  const machine = machineAt(INSIDE)
  machine.step({ ...(seen(1) as object), localPort: 55_555 } as ReachabilityInput, 0)
  machine.step({ ...(seen(2) as object), localIp: '10.9.9.9' } as ReachabilityInput, 0)
  assert.equal(machine.state.verdict, 'unknown')
})

test('a stranger that gets in through the NAT makes the node public', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  machine.step(inbound('73.0.0.9', INSIDE), 0)
  assert.equal(machine.state.verdict, 'private', 'not before it has held')
  machine.step({ type: 'tick' }, 5_000)
  assert.equal(machine.state.verdict, 'public')
  assert.equal(machine.state.filtering, 'endpoint-independent')
  assert.ok(machine.state.announce.includes(`/ip4/${OUTSIDE}/tcp/4001`))
})

test('neither who was dialled before, nor who comes round our own router, is a stranger', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  machine.step(inbound('73.0.0.9', INSIDE, true), 0)
  machine.step(inbound(OUTSIDE, INSIDE), 0)
  machine.step({ type: 'tick' }, 60_000)
  assert.equal(machine.state.verdict, 'private')
})

test('a dial-back from a peer we talk to does not make a hidden node public, one from elsewhere does', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  machine.step(dialBack(1, OUTSIDE, true), 0)
  machine.step({ type: 'tick' }, 10_000)
  assert.equal(machine.state.verdict, 'private')
  machine.step(dialBack(2, OUTSIDE, true, true), 10_000)
  machine.step({ type: 'tick' }, 20_000)
  assert.equal(machine.state.verdict, 'public')
})

test('a network of private addresses only stays unknown and announces what is used', () => {
  const machine = machineAt('172.20.0.2', '10.5.0.2', '127.0.0.1')
  machine.step(inbound('172.20.0.9', '172.20.0.2'), 0)
  assert.equal(machine.state.verdict, 'unknown')
  assert.deepEqual(machine.state.announce, ['/ip4/172.20.0.2/tcp/4001'])
})

test('loopback is announced only when somebody on this host uses it', () => {
  const machine = machineAt(INSIDE, '127.0.0.1')
  machine.step(inbound('192.168.1.9', '127.0.0.1'), 0)
  assert.deepEqual(machine.state.announce, [])
  machine.step(inbound('127.0.0.1', '127.0.0.1'), 0)
  assert.deepEqual(machine.state.announce, ['/ip4/127.0.0.1/tcp/4001'])
})

test('evidence that flaps faster than the hold never changes the verdict', () => {
  const machine = machineAt(OUTSIDE)
  machine.step(dialBack(7, OUTSIDE, true), 0)
  let changes = 0
  for (let now = 0; now < 60_000; now += 2_000) {
    const before = machine.state.verdict
    for (let i = 0; i < 3; i++) machine.step(dialBack(i, OUTSIDE, (now / 2_000) % 2 === 0), now)
    machine.step({ type: 'tick' }, now)
    if (machine.state.verdict !== before) changes++
  }
  assert.equal(changes, 0)
  assert.equal(machine.state.verdict, 'public')
})

test('a closed connection’s word counts for a while, but never against an open one', () => {
  const machine = machineAt(INSIDE)
  for (let i = 0; i < 3; i++) machine.step(seen(i), 0)
  for (let i = 0; i < 3; i++) machine.step({ type: 'observation-gone', connection: `c${i}` }, 1_000)
  assert.deepEqual(machine.state.externalAddresses, [`${OUTSIDE}:4001`])
  machine.step(seen(9, '51.0.0.2'), 2_000)
  assert.deepEqual(machine.state.externalAddresses, ['51.0.0.2:4001'])
  machine.step({ type: 'observation-gone', connection: 'c9' }, 3_000)
  machine.step({ type: 'tick' }, 3_000 + LIMITS.observationGoneMs)
  assert.deepEqual(machine.state.externalAddresses, [])
})

test('a move to another network starts from unknown', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  assert.equal(machine.state.verdict, 'private')
  machine.step({ type: 'interfaces', addresses: [{ ip: '10.1.1.1', port: 4001 }] }, 100)
  assert.equal(machine.state.verdict, 'unknown')
  assert.deepEqual(machine.state.externalAddresses, [])
})

test('a container bridge that goes away changes nothing', () => {
  const machine = machineAt(INSIDE, '172.17.0.1')
  machine.step(seen(1), 0)
  machine.step({ type: 'interfaces', addresses: [{ ip: INSIDE, port: 4001 }] }, 100)
  assert.equal(machine.state.verdict, 'private')
  assert.deepEqual(machine.state.externalAddresses, [`${OUTSIDE}:4001`])
})

test('IPv6 is judged apart: one public family makes the node public', () => {
  const machine = machineAt(INSIDE, '2a00:1::5')
  machine.step(seen(1), 0)
  machine.step(inbound('2a00:9::9', '2a00:1::5'), 0)
  assert.equal(machine.state.verdict, 'public')
  assert.deepEqual(machine.state.announce, ['/ip6/2a00:1::5/tcp/4001'])
  assert.ok(machine.state.externalAddresses.includes(`${OUTSIDE}:4001`))
})

test('proof grows old', () => {
  const machine = machineAt(INSIDE)
  machine.step(seen(1), 0)
  machine.step(inbound('73.0.0.9', INSIDE), 0)
  machine.step({ type: 'tick' }, 5_000)
  assert.equal(machine.state.verdict, 'public')
  machine.step({ type: 'tick' }, LIMITS.evidenceMs)
  machine.step({ type: 'tick' }, LIMITS.evidenceMs + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'private')
})

test('one peer with many connections cannot push out what others saw', () => {
  const machine = machineAt(INSIDE)
  for (let i = 0; i < 3; i++) machine.step(seen(i), 0)
  const liar = { observer: 'liar', observerIp: '62.99.99.99' }
  for (let i = 100; i < 5_000; i++) {
    machine.step({ ...(seen(i, '8.8.8.8') as object), ...liar } as ReachabilityInput, 1)
  }
  assert.deepEqual(machine.state.externalAddresses, [`${OUTSIDE}:4001`, '8.8.8.8:4001'])
  assert.equal(machine.state.mapping, 'endpoint-independent')
})

test('any input in any order keeps the outputs bounded and free of nonsense', () => {
  const ip = fc.oneof(
    fc.constantFrom(
      INSIDE,
      OUTSIDE,
      '8.8.8.8',
      '127.0.0.1',
      '0.0.0.0',
      '2a00::1',
      '::1',
      'rubbish',
      '',
    ),
    fc.ipV4(),
    fc.ipV6(),
  )
  const port = fc.oneof(fc.constant(4001), fc.integer())
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const input = fc.oneof<fc.Arbitrary<ReachabilityInput>[]>(
    fc.constant({ type: 'tick' as const }),
    fc.record({
      type: fc.constant('interfaces' as const),
      addresses: fc.array(fc.record({ ip, port }), { maxLength: 200 }),
    }),
    fc.record({
      type: fc.constant('observed' as const),
      connection: fc.string(),
      observer: name,
      observerIp: ip,
      ip,
      port,
      localIp: ip,
      localPort: port,
    }),
    fc.record({ type: fc.constant('observation-gone' as const), connection: name }),
    fc.record({
      type: fc.constant('inbound' as const),
      remoteIp: ip,
      localIp: ip,
      dialledBefore: fc.boolean(),
      via: fc.record({ ip, port }),
    }),
    fc.record({
      type: fc.constant('dial-back' as const),
      ip,
      port,
      ok: fc.boolean(),
      byIp: ip,
      independent: fc.boolean(),
    }),
    fc.record({
      type: fc.constant('mapped' as const),
      at: fc.option(fc.record({ port, said: ip }), { nil: undefined }),
    }),
    fc.record({ type: fc.constant('pinhole' as const), open: fc.boolean() }),
    fc.record({
      type: fc.constant('probed' as const),
      byIp: ip,
      trusted: fc.boolean(),
      door: fc.constantFrom('listening' as const, 'fresh' as const, 'mapped' as const),
      other: fc.boolean(),
      result: fc.constantFrom('stranger' as const, 'reached' as const, 'failed' as const),
      from: ip,
      port,
    }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.nat(60_000)), { maxLength: 60 }), (steps) => {
      const machine = machineAt(INSIDE)
      let now = 0
      for (const [one, later] of steps) {
        now += later
        machine.step(one, now)
        const { externalAddresses, announce } = machine.state
        assert.ok(externalAddresses.length <= 2 * LIMITS.maxExternalPerFamily)
        assert.ok(announce.length <= LIMITS.maxAnnounced)
        assert.ok(announce.every((text) => /^\/ip[46]\/[^/]+\/tcp\/\d+$/.test(text)))
      }
    }),
  )
})
