import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { limits } from '../../../protocols/membership/limits.ts'
import { Membership } from '../../../protocols/membership/membership.ts'
import type { Input, Output } from '../../../protocols/membership/membership.ts'

/** A membership whose dials are answered by `reach`, at once. */
class Bench {
  now = 0
  readonly machine: Membership
  readonly out: (Output & { at: number })[] = []
  reach: (peer: string) => boolean = () => true

  constructor(self = 'm') {
    this.machine = new Membership(self, seededRng(1))
  }

  feed(input: Input): void {
    for (const output of this.machine.step(input, this.now)) {
      this.out.push({ ...output, at: this.now })
      if (output.type !== 'dial') continue
      const { peer } = output
      if (this.reach(peer)) this.feed({ type: 'linked', peer, path: 'direct', dialled: true })
      this.feed({ type: this.reach(peer) ? 'dial-done' : 'dial-failed', peer })
    }
  }

  pass(ms: number): void {
    const end = this.now + ms
    for (
      let at = this.machine.nextWake();
      at !== undefined && at <= end;
      at = this.machine.nextWake()
    ) {
      assert.ok(at >= this.now - 1e-6 || this.out.length < 100_000)
      this.now = Math.max(this.now, at)
      this.feed({ type: 'tick' })
    }
    this.now = end
  }

  start(...bootstraps: string[]): void {
    const named = bootstraps.map((peer) => ({ peer, addresses: [`/to/${peer}`] }))
    this.feed({ type: 'start', bootstraps: named })
  }

  know(peer: string, dependable = false): void {
    this.feed({ type: 'known', candidate: { peer, addresses: [`/to/${peer}`], dependable } })
  }

  dials(peer?: string): number[] {
    const dials = this.out.filter(
      (one) => one.type === 'dial' && (peer === undefined || one.peer === peer),
    )
    return dials.map(({ at }) => at)
  }

  dialled(): Set<string> {
    return new Set(this.out.flatMap((one) => (one.type === 'dial' ? [one.peer] : [])))
  }
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`)

test('every bootstrap is dialled at start, four at a time', () => {
  const bench = new Bench()
  const silent = new Membership('m', seededRng(1))
  const bootstraps = names(6).map((peer) => ({ peer, addresses: ['/a'] }))
  assert.equal(silent.step({ type: 'start', bootstraps }, 0).length, limits.dials)
  bench.start(...names(6))
  assert.equal(bench.dialled().size, 6)
})

test('peers of the book are dialled beside bootstraps that do not answer', () => {
  const machine = new Membership('a', seededRng(1))
  for (const peer of names(3)) {
    machine.step({ type: 'known', candidate: { peer, addresses: ['/a'], dependable: false } }, 0)
  }
  const bootstraps = ['b0', 'b1', 'b2', 'b3'].map((peer) => ({ peer, addresses: ['/a'] }))
  const out = machine.step({ type: 'start', bootstraps }, 0)
  const dialled = out.flatMap((one) => (one.type === 'dial' ? [one.peer] : []))
  assert.deepEqual(dialled, ['b0', 'b1', 'p0', 'p1'])
})

test('of two peers that learn of each other one dials and the other waits', () => {
  const [a, b] = [new Bench('a'), new Bench('b')]
  a.start()
  b.start()
  a.know('b')
  b.know('a')
  assert.deepEqual([a.dials().length, b.dials().length], [1, 0])
  b.pass(limits.yieldMs)
  assert.equal(b.dials().length, 1, 'but not for ever')
})

test('a hidden node dials a public one rather than wait for it', () => {
  const hidden = new Bench('z')
  hidden.start()
  hidden.know('a', true)
  assert.equal(hidden.dials().length, 1)
})

test('in a small overlay everybody is linked, in a large one six of our choosing', () => {
  const small = new Bench('a')
  small.start()
  for (const peer of names(7)) small.know(peer)
  small.pass(10_000)
  assert.equal(small.dialled().size, 7)

  const large = new Bench('zz')
  large.start()
  for (const peer of names(100)) large.know(peer)
  large.pass(600_000)
  assert.ok(large.dialled().size >= limits.chosen && large.dialled().size <= limits.everybody)
})

test('at least two of the chosen are public or relays when there are any', () => {
  const bench = new Bench('zz')
  for (const peer of names(100)) bench.know(peer)
  for (const peer of ['r0', 'r1', 'r2']) bench.know(peer, true)
  bench.start()
  bench.pass(10_000)
  const relays = [...bench.dialled()].filter((peer) => peer.startsWith('r'))
  assert.ok(relays.length >= limits.dependable)
})

test('a linked peer is never dialled', () => {
  const bench = new Bench('a')
  bench.feed({ type: 'linked', peer: 'p0', path: 'relayed', dialled: false })
  bench.start('p0')
  bench.know('p0')
  bench.pass(600_000)
  assert.deepEqual(bench.dials(), [])
})

test('a peer that cannot be reached is tried ever more rarely, up to ten minutes', () => {
  const bench = new Bench('a')
  bench.reach = (peer) => peer !== 'dead'
  bench.start()
  for (const peer of ['p0', 'p1', 'dead']) bench.know(peer)
  bench.pass(3_600_000)
  const at = bench.dials('dead')
  const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0))
  assert.ok((gaps[0] ?? 0) < 1_500)
  assert.ok(Math.max(...gaps) > 400_000 && Math.max(...gaps) <= 750_000)
  assert.ok(at.length < 20)
})

test('a lonely node tries its bootstraps at least every 75 seconds', () => {
  const bench = new Bench('a')
  bench.reach = () => false
  bench.start('b0')
  bench.pass(3_600_000)
  const at = bench.dials('b0')
  assert.ok(Math.max(...at.slice(1).map((time, i) => time - (at[i] ?? 0))) <= 75_000)
  assert.ok(at.length < 80)
})

test('bootstraps without a link are called rarely once there are enough links', () => {
  const bench = new Bench('a')
  bench.reach = (peer) => peer !== 'b0'
  bench.start('b0')
  for (const peer of names(4)) bench.know(peer)
  bench.pass(60_000)
  const before = bench.dials('b0').length
  bench.pass(3_600_000)
  const later = bench.dials('b0').length - before
  assert.ok(later >= 3 && later <= 12, `${later} in an hour`)
})

test('unreachable bootstraps are named, and no more when linked', () => {
  const bench = new Bench('a')
  bench.reach = (peer) => peer !== 'b0'
  bench.start('b0', 'b1')
  bench.pass(10_000)
  const reports = () =>
    bench.out.flatMap((one) => (one.type === 'bootstraps-unreachable' ? [one.peers] : []))
  assert.deepEqual(reports(), [['b0']])
  bench.feed({ type: 'linked', peer: 'b0', path: 'direct', dialled: false })
  assert.deepEqual(reports(), [['b0'], []])
})

test('a node without links says so after a while, and when it is over', () => {
  const bench = new Bench('a')
  const said = () => bench.out.flatMap((one) => (one.type === 'alone' ? [one.alone] : []))
  bench.start()
  bench.pass(limits.aloneMs - 1)
  assert.deepEqual(said(), [])
  bench.pass(10_000)
  assert.deepEqual(said(), [true])
  bench.feed({ type: 'linked', peer: 'stranger', path: 'direct', dialled: false })
  assert.deepEqual(said(), [true], 'a stranger is no company')
  bench.know('stranger')
  assert.deepEqual(said(), [true, false])
})

test('a new address gives an unreachable peer another chance at once', () => {
  const bench = new Bench('a')
  bench.reach = () => false
  bench.start()
  bench.know('p0')
  bench.pass(300_000)
  const before = bench.dials('p0').length
  const candidate = { peer: 'p0', addresses: ['/new'], dependable: false }
  bench.feed({ type: 'known', candidate })
  assert.equal(bench.dials('p0').length, before + 1)
})

test('an address that many identities sign is dialled eight times in ten minutes, three of them at one port', () => {
  const bench = new Bench('a')
  bench.reach = () => false
  bench.start()
  const told = (peer: string, ...addresses: string[]) =>
    bench.feed({ type: 'known', candidate: { peer, addresses, dependable: true } })
  for (const peer of names(50)) told(peer, '/ip4/8.8.8.8/tcp/4001')
  bench.pass(limits.target.windowMs - 1_000)
  assert.equal(bench.dials().length, limits.target.perPort)
  for (let port = 5_000; port < 5_050; port++) told(`q${port}`, `/ip4/8.8.8.8/tcp/${port}`)
  told('r', '/ip4/8.8.8.8/tcp/443/p2p/other/p2p-circuit')
  assert.equal(bench.dials().length, limits.target.perHost, 'through a relay or not')
  bench.pass(30_000)
  assert.ok(bench.dials().length <= limits.target.perHost + limits.target.perPort)
})

test('a peer without an address that may be dialled leaves its turn to others', () => {
  const bench = new Bench('zz')
  bench.reach = (peer) => peer === 'good'
  bench.start()
  for (const peer of names(40)) {
    const candidate = { peer, addresses: ['/ip4/8.8.8.8/tcp/4001'], dependable: true }
    bench.feed({ type: 'known', candidate })
  }
  bench.know('good', true)
  bench.pass(60_000)
  assert.equal(bench.dials('good').length, 1)
})

test('bootstraps, and addresses that a connection has proven, keep to their back-off alone', () => {
  const bench = new Bench('a')
  bench.reach = () => false
  const address = '/ip4/8.8.8.8/tcp/4001'
  bench.feed({ type: 'start', bootstraps: [{ peer: 'b', addresses: [address] }] })
  bench.pass(60_000)
  assert.ok(bench.dials('b').length > limits.target.perPort)
  const candidate = { peer: 'p0', addresses: [address], dependable: true }
  bench.feed({ type: 'known', candidate })
  bench.feed({ type: 'linked', peer: 'p0', path: 'direct', dialled: true, address })
  bench.feed({ type: 'unlinked', peer: 'p0' })
  bench.pass(60_000)
  assert.ok(bench.dials('p0').length > limits.target.perPort)
})

test('a dial whose end is never told does not block the others', () => {
  const machine = new Membership('a', seededRng(1))
  machine.step({ type: 'start', bootstraps: [{ peer: 'b', addresses: ['/a'] }] }, 0)
  const dials = (now: number) =>
    machine.step({ type: 'tick' }, now).filter(({ type }) => type === 'dial').length
  assert.equal(dials(limits.silentMs), 0)
  assert.equal(dials(limits.silentMs + 2_000), 1)
})

test('whatever happens, no more than four dials are under way and none to a linked peer', () => {
  const peer = fc.constantFrom(...names(12))
  const input: fc.Arbitrary<Input> = fc.oneof(
    peer.map((one): Input => ({
      type: 'known',
      candidate: { peer: one, addresses: ['/a'], dependable: one < 'p3' },
    })),
    peer.map((one): Input => ({ type: 'linked', peer: one, path: 'direct', dialled: true })),
    peer.map((one): Input => ({ type: 'unlinked', peer: one })),
    peer.map((one): Input => ({ type: 'dial-failed', peer: one })),
    peer.map((one): Input => ({ type: 'dial-done', peer: one })),
    peer.map((one): Input => ({ type: 'forgotten', peer: one })),
    fc.constant<Input>({ type: 'tick' }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.nat(5_000)), { maxLength: 80 }), (inputs) => {
      const machine = new Membership('m', seededRng(1))
      const dialling = new Set<string>()
      const linked = new Set<string>()
      let now = 0
      machine.step({ type: 'start', bootstraps: [] }, now)
      for (const [one, ms] of inputs) {
        now += Math.min(ms, 300) // never long enough for a dial to count as silent
        if (now > limits.silentMs) break
        if (one.type === 'linked') linked.add(one.peer)
        if (one.type === 'unlinked') linked.delete(one.peer)
        if (one.type === 'linked' || one.type === 'dial-failed' || one.type === 'dial-done')
          dialling.delete(one.peer)
        for (const output of machine.step(one, now)) {
          if (output.type !== 'dial') continue
          assert.ok(!linked.has(output.peer) && !dialling.has(output.peer))
          dialling.add(output.peer)
        }
        assert.ok(dialling.size <= limits.dials)
      }
    }),
    { numRuns: 300 },
  )
})
