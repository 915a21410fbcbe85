import assert from 'node:assert/strict'
import net from 'node:net'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { familyOf, isLoopback, isWildcard, plainHost } from '../../../src/net/tcp-reuse/host.ts'

describe('the plain form of a host', () => {
  it('is one spelling for each address', () => {
    for (const [host, plain] of [
      ['192.0.2.1', '192.0.2.1'],
      ['2001:DB8:0:0::1', '2001:db8::1'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
      ['::ffff:c000:201', '192.0.2.1'],
      ['::ffff:0:192.0.2.1', '::ffff:0:c000:201'],
      ['fe80::1%eth0', 'fe80::1'],
      ['localhost', 'localhost'],
      ['', ''],
    ] as const) {
      assert.equal(plainHost(host), plain)
    }
  })

  it('is an address again, and plain already, for every IPv6 address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (host) => {
        const plain = plainHost(host)
        assert.notEqual(net.isIP(plain), 0)
        assert.equal(plainHost(plain), plain)
      }),
    )
  })

  it('never throws, whatever the text', () => {
    fc.assert(fc.property(fc.string(), (text) => void plainHost(text)))
  })
})

describe('a host', () => {
  it('has a family when it is an address', () => {
    assert.equal(familyOf('192.0.2.1'), 4)
    assert.equal(familyOf('::1'), 6)
    assert.equal(familyOf('localhost'), undefined)
  })

  it('is loopback in all of 127/8 and in ::1, mapped ones included', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
      assert.ok(isLoopback(host), host)
    for (const host of ['128.0.0.1', '::2', '0.0.0.0', '::', 'fe80::1%lo'])
      assert.ok(!isLoopback(host), host)
  })

  it('is a wildcard when it stands for all addresses of its family', () => {
    assert.ok(isWildcard('0.0.0.0') && isWildcard('::') && !isWildcard('::1'))
  })
})
