import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isWithin, resultText } from '../../../docker/interop/result.ts'
import { readResult } from '../../interop/harness-result.ts'

const MEASURED = { directMs: 912.345, rttMs: 51.26 }

describe('the result of a hole punch', () => {
  it('is one line of JSON for the test-plans harness', () => {
    const text = resultText('test-plans', MEASURED)
    assert.equal(text, '{"rtt_to_holepunched_peer_millis":51}\n')
  })

  it('is YAML for the unified harness, with the handshake and one round trip in one', () => {
    assert.equal(
      resultText('unified', MEASURED),
      'latency:\n  handshake_plus_one_rtt: 963.61\n  ping_rtt: 51.26\n  unit: ms\n',
    )
  })

  it('is found by the harnesses between other lines', () => {
    for (const harness of ['test-plans', 'unified'] as const) {
      const lines = resultText(harness, MEASURED).trimEnd().split('\n')
      const { rttMs } = readResult(harness, ['a line of somebody else', ...lines])
      assert.ok(Math.abs(rttMs - MEASURED.rttMs) < 1)
    }
  })

  it('is missed when it is not what the harnesses look for', () => {
    assert.throws(() => readResult('test-plans', ['{"rtt":51}']), /no result/)
    assert.throws(() => readResult('unified', ['latency:', 'ping_rtt: 51']), /no result/)
    assert.throws(() => readResult('unified', []), /no result/)
  })
})

describe('an address', () => {
  it('is within its own network only', () => {
    assert.equal(isWithin('10.161.178.67', '10.161.178.64/27'), true)
    assert.equal(isWithin('10.161.178.99', '10.161.178.64/27'), false)
    assert.equal(isWithin('172.18.0.131', '10.161.178.64/27'), false)
  })
})
