import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { limits } from '../../../protocols/membership/limits.ts'
import { Targets } from '../../../protocols/membership/targets.ts'

const { windowMs, perHost, perPort } = limits.target

test('in no ten minutes is one port dialled more than three times, nor one host more than eight', () => {
  const call = fc.record({
    wait: fc.nat(windowMs / 8),
    ports: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
  })
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
      const targets = new Targets()
      const dials: { port: number; at: number }[] = []
      let now = 0
      for (const { wait, ports } of calls) {
        now += wait
        const addresses = [...new Set(ports)].map((port) => `/ip4/8.8.8.8/tcp/${port}`)
        const free = targets.freeAt(addresses, now)
        const taken = targets.take(addresses, now)
        assert.equal(taken.length > 0, free <= now, 'what is free now is taken, and nothing else')
        for (const one of taken) dials.push({ port: Number(one.split('/').at(-1)), at: now })
        const recent = dials.filter(({ at }) => now - at < windowMs)
        assert.ok(recent.length <= perHost)
        for (const [, same] of Map.groupBy(recent, ({ port }) => port))
          assert.ok(same.length <= perPort)
      }
    }),
  )
})

test('a relayed address counts for its relay, once for all addresses through it', () => {
  const targets = new Targets()
  const through = ['a', 'b', 'c'].map((peer) => `/ip4/8.8.8.8/tcp/1/p2p/r/p2p-circuit/p2p/${peer}`)
  assert.equal(targets.take(through, 0).length, 3)
  for (let dials = 1; dials < perPort; dials++) targets.take(['/ip4/8.8.8.8/tcp/1'], 0)
  assert.deepEqual(targets.take(through, 0), [])
  assert.equal(targets.freeAt(through, 0), windowMs)
})

test('one host is one target however its address is written', () => {
  const targets = new Targets()
  const spellings = ['/ip6/2001:4860::1/tcp/1', '/ip6/2001:4860:0:0:0:0:0:1/tcp/1']
  for (let dials = 0; dials < perPort; dials++) targets.take([spellings[dials % 2] ?? ''], 0)
  assert.deepEqual(targets.take(spellings, 0), [])
})

test('a proven address is free, and what it cost its host is forgotten', () => {
  const targets = new Targets()
  const address = '/ip4/8.8.8.8/tcp/1'
  for (let dials = 0; dials < perPort; dials++) targets.take([address], 0)
  targets.prove(address)
  for (let dials = 0; dials < 100; dials++) assert.equal(targets.take([address], 0).length, 1)
  const others = Array.from({ length: 20 }, (_, i) => `/ip4/8.8.8.8/tcp/${i + 2}`)
  assert.equal(targets.take(others, 0).length, perHost)
})

test('who was dialled three times in vain is left alone for a day, but by a node in need', () => {
  const targets = new Targets()
  const address = '/ip4/8.8.8.8/tcp/1'
  for (let dials = 0; dials < perPort; dials++) targets.take([address], 0)
  assert.deepEqual(targets.take([address], windowMs), [])
  assert.equal(targets.freeAt([address], windowMs), limits.target.blockedMs)
  assert.equal(targets.freeAt([address], windowMs, 'urgent'), windowMs)
  assert.equal(targets.take([address], windowMs, 'urgent').length, 1)
  assert.deepEqual(targets.take([address], limits.target.blockedMs - 1), [])
  assert.equal(targets.take([address], limits.target.blockedMs).length, 1, 'a day later')
})

test('a relay that failed to bring a peer is no victim: it may be dialled again after ten minutes', () => {
  const targets = new Targets()
  const through = ['/ip4/8.8.8.8/tcp/1/p2p/r/p2p-circuit/p2p/a']
  for (let dials = 0; dials < perPort; dials++) assert.equal(targets.take(through, 0).length, 1)
  assert.deepEqual(targets.take(through, windowMs - 1), [])
  assert.equal(targets.take(through, windowMs).length, 1)
})

test('nothing of a target is remembered once more targets than the table holds were dialled', () => {
  const targets = new Targets()
  for (let dials = 0; dials < perPort; dials++) targets.take(['/ip4/8.8.8.8/tcp/1'], 0)
  for (let i = 0; i < limits.target.table; i++) {
    targets.take([`/ip4/9.${i >> 8}.${i & 255}.1/tcp/1`], 0)
  }
  assert.equal(targets.take(['/ip4/8.8.8.8/tcp/1'], 0).length, 1, 'the table has a limit')
})

test('with many others to choose from one dial in vain is enough, but for relays', () => {
  const targets = new Targets()
  const [direct, relayed] = ['/ip4/8.8.8.8/tcp/1', '/ip4/8.8.4.4/tcp/1/p2p/r/p2p-circuit']
  assert.deepEqual(targets.take([direct], 0, 'little'), [direct])
  assert.deepEqual(targets.take([direct], windowMs, 'little'), [])
  assert.deepEqual(targets.take([direct], windowMs, 'some'), [direct])
  for (let dials = 0; dials < perPort; dials++) {
    assert.deepEqual(targets.take([relayed], 0, 'little'), [relayed])
  }
  assert.deepEqual(targets.take([relayed], 0, 'little'), [])
})
