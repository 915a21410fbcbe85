import assert from 'node:assert/strict'
import { endianness } from 'node:os'
import { test } from 'node:test'
import { readRoutes4, readRoutes6 } from '../../../src/net/gateway/routes.ts'

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'
const route4 = (device: string, gateway: string, flags: string, metric: number, to = '00000000') =>
  `${device}\t${to}\t${gateway}\t${flags}\t0\t0\t${metric}\t${to === '00000000' ? to : '00FFFFFF'}\t0\t0\t0   `

test(
  'the default gateway is the one with the smallest metric',
  { skip: endianness() !== 'LE' },
  () => {
    const text = [
      HEAD,
      route4('wlan0', '0101A8C0', '0003', 600),
      route4('eth0', '0102A8C0', '0003', 100),
      route4('eth0', '00000000', '0001', 0, '0002A8C0'),
    ].join('\n')
    assert.deepEqual(readRoutes4(text), { ip: '192.168.2.1', device: 'eth0' })
  },
)

test('a default route without a gateway, or one that is down, leads to none', () => {
  assert.equal(readRoutes4([HEAD, route4('wan', '00000000', '0001', 0)].join('\n')), undefined)
  assert.equal(readRoutes4([HEAD, route4('eth0', '0101A8C0', '0002', 0)].join('\n')), undefined)
  assert.equal(readRoutes4(''), undefined)
  assert.equal(readRoutes4('no\ttable\tat\tall'), undefined)
})

const ZERO = '0'.repeat(32)
const route6 = (
  to: string,
  length: string,
  next: string,
  metric: string,
  flags: string,
  device: string,
) => `${to} ${length} ${ZERO} 00 ${next} ${metric} 00000001 00000000 ${flags} ${device.padStart(8)}`

test('over IPv6 the gateway is mostly a link-local address', () => {
  const next = 'fe80000000000000021122fffe334455'
  const text = [
    route6('20010db8000000000000000000000000', '40', ZERO, '00000100', '00000001', 'eth0'),
    route6(ZERO, '00', ZERO, 'ffffffff', '00200200', 'lo'),
    route6(ZERO, '00', 'fd000000000000000000000000000001', '00000400', '00000003', 'eth1'),
    route6(ZERO, '00', next, '00000064', '00450003', 'eth0'),
    '',
  ].join('\n')
  assert.deepEqual(readRoutes6(text), { ip: 'fe80::211:22ff:fe33:4455', device: 'eth0' })
})

test('an unreachable default route is none', () => {
  assert.equal(readRoutes6(route6(ZERO, '00', ZERO, 'ffffffff', '00200200', 'lo')), undefined)
  assert.equal(readRoutes6(''), undefined)
})
