import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordAddress } from '../../../protocols/peer-exchange/record.ts'
import { groupOf, groupOfAddress, toldGroup } from '../../../protocols/peer-exchange/groups.ts'
import { learnt } from './records.ts'

const group = (...addresses: RecordAddress[]): number =>
  groupOf(learnt('p', { issuedAt: 0, addresses }).record)
const direct = (address: string): RecordAddress => ({ address, kind: 'direct' })
const of = (host: string): number => group(direct(`/ip4/${host}/tcp/4001`))
const v6 = (host: string): number => group(direct(`/ip6/${host}/tcp/1`))
const nowhere = (peer: string) => groupOf(learnt(peer, { issuedAt: 0, addresses: [] }).record)
const relayed = (host: string): RecordAddress => ({
  address: `/ip4/${host}/tcp/4001/p2p/relay/p2p-circuit`,
  kind: 'relayed',
})

test('public IPv4 addresses of one /16, and IPv6 addresses of one /32, are one group', () => {
  assert.equal(of('5.6.7.8'), of('5.6.99.1'))
  assert.notEqual(of('5.6.7.8'), of('5.7.7.8'))
  assert.equal(v6('2a00:1450:1::1'), v6('2a00:1450:ffff::2'))
  assert.notEqual(v6('2a00:1450::1'), v6('2a00:1451::1'))
})

test('a peer behind a relay counts for the relay, whatever it says of its own address', () => {
  const own: RecordAddress = { address: '/ip4/9.9.9.9/tcp/1', kind: 'external' }
  assert.equal(group(own, relayed('5.6.7.8')), of('5.6.1.1'))
  assert.equal(group(relayed('5.6.7.8'), direct('/ip4/9.9.1.1/tcp/1')), of('9.9.9.9'))
})

test('peers of private networks, and those without addresses, are groups of their own', () => {
  assert.notEqual(of('192.168.1.1'), of('192.168.1.2'))
  assert.notEqual(
    group(direct('/ip4/127.0.0.1/tcp/1')),
    group(direct('/ip4/127.0.0.1/tcp/2')),
    'on one host too',
  )
  assert.notEqual(nowhere('a'), nowhere('b'))
})

test('the group of a public network is its first bits, and that of no network is not told', () => {
  assert.equal(of('5.6.7.8'), 0x0506)
  assert.equal(v6('2a00:1450::1'), 0x2a001450)
  assert.equal(toldGroup(v6('2a00:1450::1')), 0x2a001450)
  for (const lone of [of('192.168.1.1'), nowhere('a'), v6('fd00::1')]) {
    assert.ok(lone >= 2 ** 31 && lone < 2 ** 32)
    assert.equal(toldGroup(lone), 0)
  }
})

test('an address that a connection proves is in the group that a record would say', () => {
  assert.equal(groupOfAddress('/ip4/5.6.7.8/tcp/50000'), of('5.6.1.1'))
  assert.notEqual(groupOfAddress('nonsense'), groupOfAddress('other nonsense'))
})
