import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import type { Attempt } from '../../../protocols/hole-punching/outputs.ts'
import { countPunches } from '../../../src/observe/punch-metrics.ts'
import type { PunchNews } from '../../../src/observe/punch-metrics.ts'

const failed: Attempt = {
  peer: 'them',
  at: 0,
  side: 'caller',
  round: 2,
  method: 'meet',
  carrier: 'signal',
  candidates: ['203.0.113.7:4001', '[2001:db8::7]:4001'],
  outcome: 'failed',
  ms: 1_500,
  steps: [],
}
const won: Attempt = {
  ...failed,
  side: 'callee',
  outcome: 'success',
  address: '/ip4/203.0.113.7/tcp/4001',
  ms: 412,
}

/** Lines of the exposition that are not zero. */
async function counted(
  news: readonly PunchNews[],
  rejected: Record<string, number> = {},
): Promise<string[]> {
  const registry = new Registry()
  const listeners: ((news: PunchNews) => void)[] = []
  countPunches(registry, {
    onPunch: (given) => {
      listeners.push(given)
      return () => {}
    },
    rejected: () => new Map(Object.entries(rejected)),
    signalling: {
      stats: () => ({ clients: 3, passed: 7, refusedByCode: { 'too-fast': 2 }, cutOff: 1 }),
    },
  })
  assert.equal(listeners.length, 1)
  for (const one of news) listeners[0]?.(one)
  await registry.metrics()
  // Asked twice: what is only read when somebody asks must not add up.
  const text = await registry.metrics()
  return text.split('\n').filter((line) => /^\w/.test(line) && !line.endsWith(' 0'))
}

/** One count of an address over TCP. */
const address = (labels: string, outcome: string, ipv: string): string =>
  `libp2p_holepunch_address_outcomes_total{${labels},ipv="${ipv}",transport="tcp",outcome="${outcome}"} 1`

test('a series counts under the names and labels of go-libp2p, once', async () => {
  const lines = await counted([
    { type: 'attempt', attempt: failed, method: 'punch', carrier: 'signal' },
    { type: 'series', attempt: failed },
    { type: 'series', attempt: { ...failed, round: 6 } },
    { type: 'series', attempt: won },
    { type: 'direct-dial', success: false },
  ])
  const theirs = lines.filter((line) => line.startsWith('libp2p_holepunch_'))
  const second = 'side="initiator",num_attempts="2"'
  const sixth = 'side="initiator",num_attempts="> 5"'
  const received = 'side="receiver",num_attempts="2"'
  assert.deepEqual(theirs, [
    `libp2p_holepunch_outcomes_total{${second},outcome="failed"} 1`,
    `libp2p_holepunch_outcomes_total{${sixth},outcome="failed"} 1`,
    `libp2p_holepunch_outcomes_total{${received},outcome="success"} 1`,
    address(second, 'failed', 'ip4'),
    address(second, 'failed', 'ip6'),
    address(sixth, 'failed', 'ip4'),
    address(sixth, 'failed', 'ip6'),
    address(received, 'success', 'ip4'),
    address(received, 'cancelled', 'ip6'),
    'libp2p_holepunch_direct_dials_total{outcome="failed"} 1',
  ])
})

test('an attempt counts by method and carrier, and its time only when it succeeded', async () => {
  const lines = await counted([
    { type: 'attempt', attempt: failed, method: 'birthday', carrier: 'relayed' },
    { type: 'attempt', attempt: won, method: 'punch', carrier: 'dcutr' },
  ])
  const has = (line: string): void =>
    assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`)
  has('warren_punch_attempts_total{method="birthday",outcome="failed",carrier="relayed"} 1')
  has('warren_punch_attempts_total{method="punch",outcome="success",carrier="dcutr"} 1')
  has('warren_punch_seconds_sum{method="punch"} 0.412')
  assert.ok(
    !lines.some((line) => line.startsWith('warren_punch_seconds') && line.includes('birthday')),
  )
})

test('a series that was called off is no outcome', async () => {
  const lines = await counted([{ type: 'series', attempt: { ...failed, outcome: 'cancelled' } }])
  assert.deepEqual(
    lines.filter((line) => line.startsWith('libp2p_')),
    [],
  )
})

test('rejected messages and signals are read when somebody asks', async () => {
  const lines = await counted([], { malformed: 4, 'dcutr-rate': 1 })
  assert.deepEqual(lines, [
    'warren_punch_messages_rejected_total{reason="malformed"} 4',
    'warren_punch_messages_rejected_total{reason="dcutr-rate"} 1',
    'warren_signals_passed_total 7',
    'warren_signals_refused_total{code="too-fast"} 2',
    'warren_signals_cut_off_total 1',
    'warren_signal_clients 3',
  ])
})
