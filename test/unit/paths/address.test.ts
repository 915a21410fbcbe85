import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  canonicalIp,
  networksOf,
  parseAddress,
  sameNetwork,
  scopeOf,
  tcpAddress,
} from '../../../protocols/kernel/address.ts'

test('a direct address is taken apart', () => {
  assert.deepEqual(parseAddress('/ip4/51.0.0.1/tcp/4001/p2p/12D3x'), {
    family: 'ip4',
    host: '51.0.0.1',
    port: 4001,
    transport: 'tcp',
    scope: 'public',
    peer: '12D3x',
    relay: undefined,
    relayed: false,
  })
})

test('a relayed address names relay and peer', () => {
  const parsed = parseAddress('/ip6/2a00:0:0::1/tcp/4001/p2p/R/p2p-circuit/p2p/T')
  assert.equal(parsed?.host, '2a00::1')
  assert.equal(parsed?.relay, 'R')
  assert.equal(parsed?.peer, 'T')
  assert.equal(parsed?.transport, 'tcp')
})

test('what is spoken on top of TCP or over UDP is no plain TCP', () => {
  assert.equal(parseAddress('/ip4/51.0.0.1/tcp/4001/ws')?.transport, 'other')
  assert.equal(parseAddress('/ip4/51.0.0.1/udp/4001/quic-v1')?.transport, 'other')
})

test('names are accepted without judging them', () => {
  assert.equal(parseAddress('/dns4/relay.example/tcp/443')?.family, 'dns')
})

test('nonsense is undefined', () => {
  for (const text of [
    '',
    '/',
    'ip4/1.2.3.4/tcp/1',
    '/ip4/1.2.3.4',
    '/ip4/1.2.3/tcp/1',
    '/ip4/256.1.1.1/tcp/1',
    '/ip4/::1/tcp/1',
    '/ip6/1::2::3/tcp/1',
    '/ip6/12345::/tcp/1',
    '/ip4/1.2.3.4/tcp/0',
    '/ip4/1.2.3.4/tcp/65536',
    '/ip4/1.2.3.4/tcp/-1',
    '/ip4/1.2.3.4/tcp/1/p2p',
    '/ip4/1.2.3.4/tcp/1/unknown/x',
    `/dns4/${'a'.repeat(600)}/tcp/1`,
  ]) {
    assert.equal(parseAddress(text), undefined, text)
  }
})

test('scopes follow the ranges that libp2p uses', () => {
  const scopes = {
    loopback: ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'],
    'link-local': ['169.254.1.1', 'fe80::1', 'febf::1'],
    private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '100.64.0.1', 'fd00::1'],
    public: ['51.0.0.1', '172.15.0.1', '172.32.0.1', '100.63.0.1', '100.128.0.1', '2a00::1'],
    unusable: ['0.0.0.0', '224.0.0.1', '255.255.255.255', '::', 'ff02::1', 'rubbish', ''],
  }
  for (const [scope, ips] of Object.entries(scopes)) {
    for (const ip of ips) assert.equal(scopeOf(ip), scope, ip)
  }
})

test('equal addresses have one text', () => {
  assert.equal(canonicalIp('2A00:0:0:0:0:0:0:1'), '2a00::1')
  assert.equal(canonicalIp('1:0:0:2:0:0:0:3'), '1:0:0:2::3')
  assert.equal(canonicalIp('::ffff:1.2.3.4'), '1.2.3.4')
})

test('networks are told by their prefix', () => {
  assert.deepEqual(networksOf('51.1.2.3'), { narrow: '51.1.2.0/24', wide: '51.1.0.0/16' })
  assert.deepEqual(networksOf('2a00:1:2:3::4'), { narrow: '2a00:1:2::/48', wide: '2a00:1::/32' })
  assert.ok(sameNetwork('10.0.1.2', '10.0.3.9', 22))
  assert.ok(!sameNetwork('10.0.1.2', '10.0.3.9', 24))
  assert.ok(!sameNetwork('10.0.1.2', '2a00::1', 0))
})

test('every IP address survives being written as a multiaddr', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (ip, port) => {
      const host = canonicalIp(ip) as string
      const parsed = parseAddress(tcpAddress(host, port))
      assert.equal(parsed?.host, host)
      assert.equal(parsed?.port, port)
    }),
  )
})

test('any text is read without harm', () => {
  const word = fc.constantFrom(
    'ip4',
    'ip6',
    'tcp',
    'p2p',
    'p2p-circuit',
    '1.2.3.4',
    '::1',
    '80',
    '',
    'x',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word).map((words) => words.join('/')),
      ),
      (text) => {
        parseAddress(text)
        parseAddress(`/${text}`)
      },
    ),
  )
})
