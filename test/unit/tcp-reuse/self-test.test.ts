import assert from 'node:assert/strict'
import type net from 'node:net'
import { describe, it } from 'node:test'
import { nativeSocketApi } from '../../../src/net/tcp-reuse/bound-socket.ts'
import { canSharePorts, selfTest } from '../../../src/net/tcp-reuse/self-test.ts'

describe('the check of the machine', () => {
  it('finds that two sockets can share a port here', () => {
    assert.deepEqual(canSharePorts(nativeSocketApi()), { ok: true })
  })

  it('says what to do on a Node.js without net.BoundSocket', async () => {
    const expected = canSharePorts(undefined)
    assert.equal(expected.ok, false)
    assert.ok(expected.reason?.includes(process.version))
    assert.deepEqual(await selfTest(undefined), expected)
  })

  it('says what to do where the system cannot share ports', () => {
    const Native = nativeSocketApi()
    assert.ok(Native)
    // What libuv answers on macOS and Windows.
    class Unsharable extends Native {
      constructor(options?: net.BoundSocketOptions) {
        if (options?.reusePort === true)
          throw Object.assign(new Error('bind ENOTSUP'), { code: 'ENOTSUP' })
        super(options)
      }
    }
    const found = canSharePorts(Unsharable)
    assert.equal(found.ok, false)
    assert.match(found.reason ?? '', /cannot share a port here \(ENOTSUP\); run the node on Linux/)
  })
})
