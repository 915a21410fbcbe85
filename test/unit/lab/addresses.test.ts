import assert from 'node:assert/strict'
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { describe, it } from 'node:test'
import { lanAddress, lanOf, MAX_PUBLIC, publicIPv4, publicIPv6Prefix } from '../../lab/addresses.ts'

const all = Array.from({ length: MAX_PUBLIC }, (_, n) => n)

/** What js-libp2p and the registries treat as private or reserved. */
const reserved = new BlockList()
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  reserved.addSubnet(net, bits)
}

describe('addresses on the internet', () => {
  it('are valid, public and distinct for every port of the switch', () => {
    const addresses = all.map(publicIPv4)
    assert.equal(new Set(addresses).size, MAX_PUBLIC)
    for (const address of addresses) assert.ok(isIPv4(address) && !reserved.check(address), address)
  })

  it('are spread over many /8s from the first machines on', () => {
    assert.ok(new Set(all.slice(0, 8).map((n) => publicIPv4(n).split('.')[0])).size === 8)
  })

  it('are global unicast and distinct in IPv6', () => {
    const prefixes = all.map(publicIPv6Prefix)
    assert.equal(new Set(prefixes).size, MAX_PUBLIC)
    for (const prefix of prefixes)
      assert.ok(isIPv6(`${prefix}::1`) && prefix.startsWith('2a'), prefix)
  })
})

describe('inner networks', () => {
  it('of a provider are in 100.64/10, and of a home in 192.168/16', () => {
    assert.equal(lanAddress(lanOf(3, 'carrier'), 2), '100.67.0.2')
    assert.equal(lanAddress(lanOf(3, 'home'), 2), '192.168.4.2')
  })
})
