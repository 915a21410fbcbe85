import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { listenError } from '../../../src/net/tcp-reuse/listen-error.ts'

const failure = (code: string): Error => Object.assign(new Error(`bind ${code}`), { code })

describe('the error of a listen address', () => {
  it('names port and remedy when the port is in use', () => {
    const error = listenError(multiaddr('/ip6/::/tcp/4001'), failure('EADDRINUSE'))
    assert.equal(error.code, 'ERR_PORT_IN_USE')
    assert.match(error.message, /TCP port 4001 is in use.*\/ip6\/::\/tcp\/4001/)
    assert.match(error.remedy ?? '', /ss -ltnp 'sport = :4001'.*--listen/)
  })

  it('has a remedy for the usual reasons, and tells the others as they are', () => {
    const at = multiaddr('/ip4/192.0.2.1/tcp/80')
    for (const [code, remedy] of [
      ['EACCES', /above 1023/],
      ['EADDRNOTAVAIL', /address of this machine/],
      ['EAFNOSUPPORT', /IP version/],
    ] as const) {
      const error = listenError(at, failure(code))
      assert.equal(error.code, 'ERR_LISTEN_FAILED')
      assert.match(error.remedy ?? '', remedy)
    }
    const other = listenError(at, failure('EMFILE'))
    assert.match(other.message, /bind EMFILE/)
    assert.equal(other.remedy, undefined)
  })

  it('is left alone when it is one of ours', () => {
    const ours = new WarrenError('ERR_TIMEOUT', 'too late')
    assert.equal(listenError(multiaddr('/ip4/0.0.0.0/tcp/1'), ours), ours)
  })

  it('does not take a Unix socket for a port', () => {
    const error = listenError(multiaddr('/unix/%2Ftmp%2Fx'), failure('EADDRINUSE'))
    assert.equal(error.code, 'ERR_LISTEN_FAILED')
  })
})
