import assert from 'node:assert/strict'
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { describe, it } from 'node:test'
import { assert as always, integer, nat, property } from 'fast-check'
import { lanAddress, MAX_PUBLIC, rangesOf } from '../../lab/addresses.ts'
import { EPHEMERAL, SHIFT } from '../../lab/nat-kinds.ts'

const all = Array.from({ length: MAX_PUBLIC }, (_, n) => n)
const seeds = integer({ min: 0, max: 1e9 })

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

const homes = new BlockList()
for (const [net, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  homes.addSubnet(net, bits)
}

describe('addresses on the internet', () => {
  it('are valid, public and distinct, whatever the seed', () => {
    always(
      property(seeds, (seed) => {
        const addresses = all.map(rangesOf(seed).publicIPv4)
        assert.equal(new Set(addresses).size, MAX_PUBLIC)
        for (const address of addresses)
          assert.ok(isIPv4(address) && !reserved.check(address), address)
      }),
      { numRuns: 25, examples: [[0]] },
    )
  })

  it('are spread over many /8s from the first machines on', () => {
    for (const seed of [0, 1, 2]) {
      const first = all.slice(0, 8).map((n) => rangesOf(seed).publicIPv4(n).split('.')[0])
      assert.equal(new Set(first).size, 8)
    }
  })

  it('are global unicast and distinct in IPv6', () => {
    for (const seed of [0, 1, 2]) {
      const prefixes = all.map(rangesOf(seed).publicIPv6Prefix)
      assert.equal(new Set(prefixes).size, MAX_PUBLIC)
      for (const prefix of prefixes)
        assert.ok(isIPv6(`${prefix}::1`) && /^2[4-9a-f]/.test(prefix), prefix)
    }
  })

  it('are the same again for the same seed, and others for another', () => {
    assert.equal(rangesOf(5).publicIPv4(3), rangesOf(5).publicIPv4(3))
    assert.notEqual(rangesOf(5).publicIPv4(3), rangesOf(6).publicIPv4(3))
  })
})

const homesOf = (seed: number): Set<string> =>
  new Set([1, 2, 3].map((n) => rangesOf(seed).lan(n, 'home').prefix))

describe('inner networks', () => {
  it('of a provider are in 100.64/10, and of a home in 192.168/16 unless a seed says otherwise', () => {
    const { lan } = rangesOf(0)
    assert.equal(lanAddress(lan(3, 'carrier'), 2), '100.67.0.2')
    assert.equal(lanAddress(lan(3, 'home'), 2), '192.168.4.2')
  })

  it('are private whatever the seed, and an office never has the network of a home behind it', () => {
    always(
      property(seeds, nat(100), nat(100), (seed, n, m) => {
        const { lan, firstHost } = rangesOf(seed)
        const [home, office] = [lan(n, 'home'), lan(m, 'office')]
        for (const one of [home, office])
          assert.ok(homes.check(lanAddress(one, firstHost)), one.prefix)
        assert.ok(seed === 0 || home.prefix !== office.prefix)
      }),
    )
  })

  it('of all homes are one and the same for every second seed', () => {
    assert.equal(homesOf(7).size, 1)
    assert.equal(homesOf(8).size, 3)
  })
})

describe('ports on which nodes listen', () => {
  it('are below the ephemeral ones, can be shifted, and differ between the hosts of a laboratory', () => {
    const [ephemeral = 0] = EPHEMERAL.split(' ').map(Number)
    always(
      property(seeds, (seed) => {
        const ports = [0, 1, 2, 3].map(rangesOf(seed).listenPort)
        for (const port of ports) assert.ok(port >= SHIFT.first && port < ephemeral, `${port}`)
        if (seed !== 0) assert.equal(new Set(ports).size, ports.length)
      }),
    )
  })
})
