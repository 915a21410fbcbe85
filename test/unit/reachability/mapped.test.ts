import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../protocols/reachability/limits.ts'
import { ReachabilityMachine } from '../../../protocols/reachability/reachability.ts'
import type { ReachabilityInput } from '../../../protocols/reachability/reachability.ts'

const INSIDE = '192.168.1.5'
const OUTSIDE = '51.0.0.1'
const ELSEWHERE = '93.0.0.9'
const MAPPED = 33_333

function seen(i: number, port = 4001, ip = OUTSIDE): ReachabilityInput {
  return {
    type: 'observed',
    connection: `c${i} ${port}`,
    observer: `p${i}`,
    observerIp: `62.0.${i}.1`,
    ip,
    port,
    localIp: INSIDE,
    localPort: 4001,
  }
}

const mapped = (port = MAPPED, said = OUTSIDE): ReachabilityInput => ({
  type: 'mapped',
  at: { port, said },
})

/** A peer that we are in contact with, as AutoNAT's always are. */
const dialBack = (ok: boolean, port = MAPPED, i = 0, ip = OUTSIDE): ReachabilityInput => ({
  type: 'dial-back',
  ip,
  port,
  ok,
  byIp: `62.0.${i}.1`,
  independent: false,
})

/** Hidden behind a NAT, seen by two peers. */
function hidden(...inputs: ReachabilityInput[]): ReachabilityMachine {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'interfaces', addresses: [{ ip: INSIDE, port: 4001 }] }, 0)
  for (const input of [seen(0), seen(1), ...inputs]) machine.step(input, 0)
  return machine
}

const later = (machine: ReachabilityMachine): ReachabilityMachine => {
  machine.step({ type: 'tick' }, LIMITS.holdMs)
  return machine
}

test('a port that the router opened is worth a try, and nothing more', () => {
  const { state } = later(hidden(mapped()))
  assert.equal(state.mapped, `${OUTSIDE}:${MAPPED}`)
  assert.equal(state.verdict, 'private')
  assert.deepEqual(state.announce, [])
  assert.ok(!state.externalAddresses.includes(`${OUTSIDE}:${MAPPED}`))
})

test('who got in there proves it, though we are in contact with it, and then it is announced', () => {
  const { state } = later(hidden(mapped(), dialBack(true)))
  assert.equal(state.verdict, 'public')
  assert.deepEqual(state.announce, [`/ip4/${OUTSIDE}/tcp/${MAPPED}`])
  assert.equal(state.filtering, 'unknown', 'of the other ports that says nothing')
})

test('a dial-back to the port that peers see proves nothing, mapped or not', () => {
  for (const inputs of [[dialBack(true, 4001)], [mapped(4001), dialBack(true, 4001)]])
    assert.equal(later(hidden(...inputs)).state.verdict, 'private')
})

test('nor does one that leads to a place that is not mapped', () => {
  assert.equal(later(hidden(mapped(), dialBack(true, 12_345))).state.verdict, 'private')
  const elsewhere = dialBack(true, MAPPED, 0, ELSEWHERE)
  assert.equal(later(hidden(mapped(), elsewhere)).state.verdict, 'private')
})

test('whatever address the router claims, peers are sent only where they see us', () => {
  assert.equal(hidden(mapped(MAPPED, ELSEWHERE)).state.mapped, `${OUTSIDE}:${MAPPED}`)
  assert.equal(hidden(mapped(MAPPED, '10.0.0.1')).state.mapped, `${OUTSIDE}:${MAPPED}`)
})

test('of several addresses that peers see, the one that the router names has the port', () => {
  const other = '52.0.0.2'
  const machine = hidden(seen(2, 4001, other), mapped(MAPPED, other))
  assert.equal(machine.state.mapped, `${other}:${MAPPED}`)
})

test('while nobody on the internet has seen us, there is no place to try', () => {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'interfaces', addresses: [{ ip: INSIDE, port: 4001 }] }, 0)
  machine.step(mapped(), 0)
  assert.equal(machine.state.mapped, undefined)
  machine.step(seen(0), 1)
  assert.equal(machine.state.mapped, `${OUTSIDE}:${MAPPED}`)
})

test('a mapping that is lost makes a node hidden at once', () => {
  const machine = later(hidden(mapped(), dialBack(true)))
  machine.step({ type: 'mapped', at: undefined }, LIMITS.holdMs + 1)
  assert.equal(machine.state.verdict, 'private')
  assert.deepEqual(machine.state.announce, [])
  assert.equal(machine.state.mapped, undefined)
})

test('another port, or another address, has to be proven anew', () => {
  for (const input of [mapped(MAPPED + 1), mapped(MAPPED, '52.0.0.2')]) {
    const machine = later(hidden(seen(2, 4001, '52.0.0.2'), mapped(), dialBack(true)))
    machine.step(input, LIMITS.holdMs + 1)
    assert.equal(machine.state.verdict, 'private')
  }
})

test('a node that strangers reach elsewhere too stays public without the mapping', () => {
  const stranger: ReachabilityInput = {
    type: 'inbound',
    remoteIp: '73.0.0.1',
    localIp: INSIDE,
    dialledBefore: false,
    via: { ip: OUTSIDE, port: 4001 },
  }
  const machine = later(hidden(mapped(), dialBack(true), stranger))
  machine.step({ type: 'mapped', at: undefined }, LIMITS.holdMs + 1)
  assert.equal(machine.state.verdict, 'public')
  assert.equal(machine.state.filtering, 'endpoint-independent')
})

test('a stranger that came by the mapping proves it, also when it says only the first time where it came', () => {
  const stranger = {
    type: 'inbound' as const,
    remoteIp: '73.0.0.1',
    localIp: INSIDE,
    dialledBefore: false,
  }
  const via = { ip: OUTSIDE, port: MAPPED }
  const machine = later(hidden(mapped(), { ...stranger, via }, stranger))
  assert.deepEqual(machine.state.announce, [`/ip4/${OUTSIDE}/tcp/${MAPPED}`])
  machine.step({ type: 'mapped', at: undefined }, LIMITS.holdMs + 1)
  assert.equal(machine.state.verdict, 'private')
})

test('who got in and does not any more takes back its own word, and nobody else’s', () => {
  const machine = later(hidden(mapped(), dialBack(true, MAPPED, 0), dialBack(true, MAPPED, 1)))
  const failing = (i: number, atMs: number) => {
    machine.step(dialBack(false, MAPPED, i), atMs)
    machine.step({ type: 'tick' }, atMs + LIMITS.holdMs)
  }
  failing(0, 10_000)
  failing(7, 20_000)
  assert.equal(machine.state.verdict, 'public')
  failing(1, 30_000)
  assert.equal(machine.state.verdict, 'private')
})

test('a peer that dials the mapped port while we dial it sees us there, and says nothing of our NAT', () => {
  const machine = hidden(mapped(), seen(2, MAPPED), seen(3, MAPPED))
  assert.equal(machine.state.mapping, 'endpoint-independent')
  assert.deepEqual(machine.externalPorts(), [4001, 4001])
  machine.step(dialBack(true), 0)
  assert.equal(later(machine).state.verdict, 'public')
})

const SIX = '2a01:db9::5'

/** A host with an IPv6 address, whose firewall was opened, and one peer that got in. */
function behindFirewall(): ReachabilityMachine {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'interfaces', addresses: [{ ip: SIX, port: 4001 }] }, 0)
  machine.step({ type: 'pinhole', open: true }, 0)
  const byIp = '2a02:1::1'
  machine.step({ type: 'dial-back', ip: SIX, port: 4001, ok: true, byIp, independent: false }, 1)
  return machine
}

test('a firewall whose hole is closed again makes a node hidden at once, and silent about its address', () => {
  const machine = behindFirewall()
  assert.equal(machine.state.verdict, 'public')
  machine.step({ type: 'pinhole', open: false }, 2)
  assert.equal(machine.state.verdict, 'private')
  assert.deepEqual(machine.state.announce, [])
})

test('who gets in all the same shows that there is no firewall', () => {
  const machine = behindFirewall()
  machine.step({ type: 'pinhole', open: false }, 2)
  machine.step({ type: 'inbound', remoteIp: '2a03:7::1', localIp: SIX, dialledBefore: false }, 3)
  machine.step({ type: 'tick' }, 3 + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'public')
})

/** A helper of the NAT probe tried the mapped port, or had it tried. */
const probed = (
  i: number,
  change: Partial<Extract<ReachabilityInput, { type: 'probed' }>>,
): ReachabilityInput => ({
  type: 'probed',
  byIp: `62.0.${i}.1`,
  trusted: false,
  door: 'mapped',
  port: MAPPED,
  other: false,
  result: 'failed',
  ...change,
})

const gotIn = (i: number): ReachabilityInput =>
  probed(i, { result: 'stranger', from: `62.0.${i}.1` })

test('probes and AutoNAT prove a mapping alike, and are told as its evidence', () => {
  for (const proof of [dialBack(true), gotIn(0)]) {
    const machine = later(hidden(mapped(), proof))
    assert.equal(machine.state.verdict, 'public')
    assert.deepEqual(machine.state.announce, [`/ip4/${OUTSIDE}/tcp/${MAPPED}`])
    const [reason] = machine.reasons()
    assert.deepEqual(reason, { kind: 'port-mapping', says: 'public', networks: 1, at: 0 })
  }
})

test('that nobody gets in at the listening port says nothing against the mapped one, but how the router filters', () => {
  const denials = [0, 1, 2].flatMap((i) => [
    probed(i, { door: 'listening' }),
    dialBack(false, 4001, i),
  ])
  for (const proof of [gotIn(0), dialBack(true)]) {
    const { state } = later(hidden(mapped(), proof, ...denials))
    assert.equal(state.verdict, 'public')
    assert.equal(state.filtering, 'address-and-port-dependent')
  }
})

test('a stranger that does not say where it came may have come by the mapping', () => {
  const remoteIp = '73.0.0.1'
  const silent = { type: 'inbound', remoteIp, localIp: INSIDE, dialledBefore: false } as const
  assert.equal(later(hidden(mapped(), silent)).state.filtering, 'unknown')
  assert.equal(later(hidden(silent)).state.filtering, 'endpoint-independent')
})

test('who got in by a probe takes it back by AutoNAT as well', () => {
  const machine = later(hidden(mapped(), gotIn(0)))
  machine.step(dialBack(false), 10_000)
  machine.step({ type: 'tick' }, 10_000 + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'private')
})

test('where nothing is translated there is no mapped place', () => {
  const machine = new ReachabilityMachine()
  machine.step({ type: 'interfaces', addresses: [{ ip: OUTSIDE, port: 4001 }] }, 0)
  machine.step({ ...seen(0), localIp: OUTSIDE } as ReachabilityInput, 0)
  machine.step(mapped(), 0)
  assert.equal(machine.state.mapped, undefined)
})

test('a mapping that nobody proved ends no verdict before its time', () => {
  const stranger = { type: 'inbound', remoteIp: '73.0.0.1', localIp: INSIDE } as const
  const via = { ip: OUTSIDE, port: 4001 }
  const machine = later(hidden(mapped(), { ...stranger, dialledBefore: false, via }))
  machine.step({ type: 'tick' }, LIMITS.evidenceMs)
  machine.step({ type: 'mapped', at: undefined }, LIMITS.evidenceMs + 1)
  assert.equal(machine.state.verdict, 'public')
  machine.step({ type: 'tick' }, LIMITS.evidenceMs + LIMITS.holdMs)
  assert.equal(machine.state.verdict, 'private')
})

test('a helper that gets in by probe and does not any more takes back its own word', () => {
  const machine = later(hidden(mapped(), gotIn(0), gotIn(1)))
  const failing = (i: number, atMs: number) => {
    machine.step(probed(i, {}), atMs)
    machine.step({ type: 'tick' }, atMs + LIMITS.holdMs)
  }
  failing(0, 10_000)
  machine.step(probed(1, { other: true }), 15_000)
  failing(7, 20_000)
  assert.equal(machine.state.verdict, 'public', 'nobody else’s, and not who was sent')
  failing(1, 30_000)
  assert.equal(machine.state.verdict, 'private')
})

test('a router with another address ends a verdict that rested on its mapping at once', () => {
  const machine = later(hidden(mapped(), dialBack(true), gotIn(1)))
  const at = LIMITS.holdMs + 1
  machine.step({ type: 'observation-gone', connection: 'c0 4001' }, at)
  machine.step({ type: 'observation-gone', connection: 'c1 4001' }, at)
  machine.step(seen(2, 4001, ELSEWHERE), at)
  assert.equal(machine.state.verdict, 'private')
  assert.equal(machine.state.mapped, `${ELSEWHERE}:${MAPPED}`)
})

test('a closed firewall is told as evidence, with its age', () => {
  const machine = behindFirewall()
  machine.step({ type: 'pinhole', open: false }, 2)
  assert.deepEqual(machine.reasons(), [
    { kind: 'port-mapping', says: 'private', networks: 0, at: 2 },
  ])
})
