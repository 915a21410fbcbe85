import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readRelaySettings, readSettings } from '../../../docker/interop/settings.ts'

const UNIFIED = {
  IS_DIALER: 'true',
  REDIS_ADDR: 'hole-punch-redis:6379',
  TEST_KEY: 'a1b2c3d4',
  TRANSPORT: 'tcp',
  SECURE_CHANNEL: 'noise',
  MUXER: 'yamux',
  DIALER_IP: '10.161.178.99',
  WAN_SUBNET: '10.161.178.64/27',
  WAN_ROUTER_IP: '10.161.178.98',
  DEBUG: 'false',
}

describe('the settings of the test-plans harness', () => {
  it('are its mode, and the redis server that it names redis', () => {
    assert.deepEqual(readSettings({ MODE: 'listen', TRANSPORT: 'tcp' }), {
      harness: 'test-plans',
      role: 'listen',
      redis: { host: 'redis', port: 6379 },
      keyPrefix: '',
      listenIp: '0.0.0.0',
    })
  })

  it('refuse a mode that is none', () => {
    assert.throws(() => readSettings({ MODE: 'both', TRANSPORT: 'tcp' }), /MODE is both/)
  })

  it('refuse QUIC', () => {
    assert.throws(() => readSettings({ MODE: 'dial', TRANSPORT: 'quic' }), /TRANSPORT is quic/)
  })
})

describe('the settings of the unified harness', () => {
  it('are its variables, with keys under the name of the test', () => {
    assert.deepEqual(readSettings(UNIFIED), {
      harness: 'unified',
      role: 'dial',
      redis: { host: 'hole-punch-redis', port: 6379 },
      keyPrefix: 'a1b2c3d4_',
      listenIp: '10.161.178.99',
      internet: '10.161.178.64/27',
    })
  })

  it('take the address of the listener for a listener', () => {
    const listener = { ...UNIFIED, IS_DIALER: 'false', LISTENER_IP: '10.161.178.131' }
    const { role, listenIp } = readSettings(listener)
    assert.deepEqual([role, listenIp], ['listen', '10.161.178.131'])
  })

  it('refuse what is not spoken', () => {
    assert.throws(() => readSettings({ ...UNIFIED, SECURE_CHANNEL: 'tls' }), /only noise/)
    assert.throws(() => readSettings({ ...UNIFIED, MUXER: 'mplex' }), /only yamux/)
  })

  it('name the variable that is missing', () => {
    for (const name of ['REDIS_ADDR', 'TEST_KEY', 'DIALER_IP', 'WAN_SUBNET']) {
      const env = { ...UNIFIED, [name]: undefined }
      assert.throws(() => readSettings(env), new RegExp(`^Error: ${name} is not set$`))
    }
  })

  it('refuse addresses that are none', () => {
    assert.throws(() => readSettings({ ...UNIFIED, DIALER_IP: 'lan0' }), /lan0 is no IPv4/)
    assert.throws(() => readSettings({ ...UNIFIED, REDIS_ADDR: 'redis' }), /not HOST:PORT/)
  })
})

describe('settings', () => {
  it('are refused outside of any harness', () => {
    assert.throws(() => readSettings({}), /no hole punching harness/)
  })

  it('of a relay follow the harness that gives it a key', () => {
    const relay = {
      TEST_KEY: 'a1b2c3d4',
      REDIS_ADDR: 'hole-punch-redis:6379',
      RELAY_IP: '10.1.2.68',
    }
    assert.deepEqual(readRelaySettings(relay), {
      harness: 'unified',
      redis: { host: 'hole-punch-redis', port: 6379 },
      keyPrefix: 'a1b2c3d4_',
      listenIp: '10.1.2.68',
    })
    assert.equal(readRelaySettings({}).harness, 'test-plans')
  })
})
