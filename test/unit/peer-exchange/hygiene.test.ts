import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usableAddresses } from '../../../protocols/peer-exchange/hygiene.ts'
import type { Scope } from '../../../protocols/peer-exchange/hygiene.ts'

const [self, peer, relay] = ['12D3KooWSelf', '12D3KooWPeer', '12D3KooWRelay']
const nowhere: Scope = { loopback: false, subnets: [] }
const home: Scope = { loopback: true, subnets: ['192.168.1.0/24', 'fd00:1::/64'] }

const usable = (scope: Scope, ...addresses: string[]) =>
  usableAddresses(
    { peer, addresses: addresses.map((address) => ({ address, kind: 'direct' as const })) },
    { self, scope },
  ).map(({ address }) => address)

const good = [
  '/ip4/5.6.7.8/tcp/4001',
  '/ip4/5.6.7.8/tcp/443',
  '/ip6/2a00::1/tcp/4001',
  `/ip4/5.6.7.8/tcp/4001/p2p/${relay}/p2p-circuit`,
]
for (const address of good) {
  test(`${address} is used, with its peer at the end`, () => {
    assert.deepEqual(usable(nowhere, address), [`${address}/p2p/${peer}`])
  })
}

const never = [
  ['a name, which may be pointed at anybody', '/dns4/example.org/tcp/4001'],
  ['a low port', '/ip4/5.6.7.8/tcp/25'],
  ['multicast', '/ip4/224.0.0.1/tcp/4001'],
  ['unspecified', '/ip4/0.0.0.0/tcp/4001'],
  ['link-local', '/ip6/fe80::1/tcp/4001'],
  ['a datagram transport we do not speak', '/ip4/5.6.7.8/udp/4001'],
  ['another peer', '/ip4/5.6.7.8/tcp/4001/p2p/12D3KooWOther'],
  ['a circuit through ourselves', `/ip4/5.6.7.8/tcp/4001/p2p/${self}/p2p-circuit`],
  ['a circuit through its own subject', `/ip4/5.6.7.8/tcp/4001/p2p/${peer}/p2p-circuit`],
  ['a circuit in a circuit', `/ip4/5.6.7.8/tcp/1/p2p/${relay}/p2p-circuit/p2p/x/p2p-circuit`],
  ['a circuit without relay', '/ip4/5.6.7.8/tcp/4001/p2p-circuit'],
] as const
for (const [what, address] of never) {
  test(`${what} is never used`, () => assert.deepEqual(usable(home, address), []))
}

test('private and loopback addresses are used only where this node is', () => {
  const addresses = [
    '/ip4/127.0.0.1/tcp/4001',
    '/ip4/192.168.1.9/tcp/4001',
    '/ip6/fd00:1::9/tcp/4001',
  ]
  assert.deepEqual(usable(nowhere, ...addresses), [])
  assert.equal(usable(home, ...addresses).length, 3)
  const elsewhere = [
    '/ip4/192.168.2.9/tcp/4001',
    '/ip4/10.0.0.1/tcp/4001',
    '/ip4/100.64.0.1/tcp/4001',
  ]
  assert.deepEqual(usable(home, ...elsewhere), [])
  const relayed = `/ip4/192.168.2.9/tcp/4001/p2p/${relay}/p2p-circuit`
  assert.deepEqual(usable(home, relayed), [])
})

test('of one host two ports are used, so that no record is a port scan', () => {
  const ports = [4001, 4002, 4003, 4004].map((port) => `/ip4/5.6.7.8/tcp/${port}`)
  assert.equal(usable(nowhere, ...ports).length, 2)
})
