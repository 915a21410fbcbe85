import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { rank } from '../../../protocols/paths/rank.ts'
import type { Candidate, OwnNetwork } from '../../../protocols/paths/rank.ts'

const own: OwnNetwork = {
  self: 'ME',
  endpoints: [
    { ip: '192.168.1.5', port: 4001, prefix: 24 },
    { ip: '172.17.0.1', port: 4001 },
    { ip: '127.0.0.1', port: 4001 },
  ],
  external: ['51.0.0.1:4001'],
  families: { ip4: true, ip6: true },
}

const direct = (address: string): Candidate => ({ address, kind: 'direct' })
const viaRelay = (relay: string): Candidate => ({
  address: `/ip4/73.0.0.1/tcp/4001/p2p/${relay}/p2p-circuit/p2p/T`,
  kind: 'relayed',
})

test('the LAN comes first, then IPv6 and IPv4 in turn', () => {
  const plan = rank(
    [
      direct('/ip4/62.0.0.1/tcp/1'),
      direct('/ip4/62.0.0.2/tcp/1'),
      direct('/ip6/2a00::1/tcp/1'),
      direct('/ip4/192.168.1.9/tcp/1'),
    ],
    own,
  )
  assert.deepEqual(plan, [
    { address: '/ip4/192.168.1.9/tcp/1', startAfterMs: 0 },
    { address: '/ip6/2a00::1/tcp/1', startAfterMs: 30 },
    { address: '/ip4/62.0.0.1/tcp/1', startAfterMs: 280 },
    { address: '/ip4/62.0.0.2/tcp/1', startAfterMs: 530 },
  ])
})

test('a relay is asked at once for a hidden peer, later for a public one', () => {
  const candidates = [direct('/ip4/62.0.0.1/tcp/1'), viaRelay('R')]
  const start = (reachability: 'public' | 'private') =>
    rank(candidates, own, { reachability }).find(({ address }) => address.includes('circuit'))
  assert.equal(start('private')?.startAfterMs, 0)
  assert.equal(start('public')?.startAfterMs, 500)
  assert.equal(rank([viaRelay('R')], own)[0]?.startAfterMs, 0)
})

test('foreign private addresses are left out while there is anything better', () => {
  const foreign = direct('/ip4/10.7.7.7/tcp/1')
  assert.deepEqual(
    rank([foreign, viaRelay('R')], own).map(({ address }) => address),
    [viaRelay('R').address],
  )
  assert.equal(rank([foreign], own).length, 1)
})

test('our own addresses, relays that are ourselves, and doubles are left out', () => {
  const plan = rank(
    [
      direct('/ip4/192.168.1.5/tcp/4001'),
      direct('/ip4/51.0.0.1/tcp/4001'),
      viaRelay('ME'),
      direct('/ip4/62.0.0.1/tcp/1'),
      direct('/ip4/62.0.0.1/tcp/1/p2p/T'),
    ],
    own,
  )
  assert.deepEqual(
    plan.map(({ address }) => address),
    ['/ip4/62.0.0.1/tcp/1'],
  )
})

test('a family without a route is left out', () => {
  const four = { ...own, families: { ip4: true, ip6: false } }
  assert.deepEqual(rank([direct('/ip6/2a00::1/tcp/1')], four), [])
})

test('the outside of a NAT is left to the punch, unless it lets strangers in', () => {
  const outside: Candidate = { address: '/ip4/62.0.0.1/tcp/1', kind: 'external' }
  const candidates = [outside, viaRelay('R')]
  assert.equal(rank(candidates, own).length, 1)
  assert.equal(rank(candidates, own, { filtering: 'endpoint-independent' }).length, 2)
  assert.equal(rank([outside], own).length, 0, 'even when there is nothing else')
})

test('loopback leads to a peer on this host only', () => {
  const loopback = direct('/ip4/127.0.0.1/tcp/1')
  assert.equal(rank([loopback], own).length, 1)
  assert.equal(rank([loopback, direct('/ip4/192.168.1.5/tcp/1')], own).length, 2)
  const plan = rank([loopback, direct('/ip4/62.0.0.1/tcp/1')], own)
  assert.deepEqual(
    plan.map(({ address }) => address),
    ['/ip4/62.0.0.1/tcp/1'],
  )
})

test('what is no plain TCP, or cannot be read, is left out', () => {
  const texts = [
    '/ip4/62.0.0.1/udp/1/quic-v1',
    '/ip4/62.0.0.1/tcp/1/ws',
    'rubbish',
    '/ip6/fe80::1/tcp/1',
  ]
  assert.deepEqual(rank(texts.map(direct), own), [])
})

test('any list of candidates gives at most sixteen attempts, in order of time', () => {
  const address = fc.oneof(
    fc.tuple(fc.ipV4(), fc.nat(70_000)).map(([ip, port]) => `/ip4/${ip}/tcp/${port}`),
    fc.ipV6().map((ip) => `/ip6/${ip}/tcp/1`),
    fc.string(),
  )
  const kind = fc.constantFrom<Candidate['kind']>('direct', 'relayed', 'external', 'lan')
  fc.assert(
    fc.property(fc.array(fc.record({ address, kind }), { maxLength: 200 }), (candidates) => {
      const plan = rank(candidates, own)
      assert.ok(plan.length <= 16)
      const times = plan.map(({ startAfterMs }) => startAfterMs)
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      )
    }),
  )
})

test('a public address of a peer that does not claim to be reachable there is left to the punch', () => {
  const candidates = [direct('/ip6/2a00:1::5/tcp/1'), viaRelay('R')]
  const plan = (reachability: 'public' | 'private' | 'unknown') =>
    rank(candidates, own, { reachability }).length
  assert.deepEqual([plan('public'), plan('unknown'), plan('private')], [2, 1, 1])
  assert.equal(rank(candidates, own).length, 2, 'of a peer without a record nothing is known')
})
