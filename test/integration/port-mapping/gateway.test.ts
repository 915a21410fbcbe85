import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runIsolated, SKIP } from '../../support/namespace.ts'

describe('the default gateway, over real sockets', { skip: SKIP }, () => {
  it('is found, believed where it makes sense, and nobody else is heard', async () => {
    assert.deepEqual(await runIsolated(new URL('gateway.child.ts', import.meta.url)), {
      gateway: { ip: '192.168.7.1', device: 'net0' },
      honest: 'nat-pmp 51.20.0.10',
      garbageFirst: 'nat-pmp 51.20.0.10',
      garbageOnly: 'nothing',
      impostor: 'nothing',
      anotherPort: 'nothing',
      nobody: 'nothing',
      // Whole; a redirect, not followed; too large; nobody there.
      http: [200, 302, null, null],
    })
  })
})
