import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runIsolated, SKIP } from '../../support/namespace.ts'

describe('in a network of its own, the tcp-reuse transport', { skip: SKIP }, () => {
  it('agrees on client and server when two sides meet in a simultaneous open', async () => {
    assert.deepEqual(await runIsolated(new URL('simultaneous-open.child.ts', import.meta.url)), {
      directions: ['outbound', 'inbound'],
      dialled: [true, true],
      echoes: ['warren', 'warren'],
      connections: [1, 1],
    })
  })

  it('dials again from another port when both sides dialled at the same moment and nobody plays the server', async () => {
    assert.deepEqual(await runIsolated(new URL('crossing.child.ts', import.meta.url)), {
      made: true,
      failures: [],
      fromListenPort: [false, false],
      echoes: ['warren', 'warren'],
    })
  })

  it('tries every address of a name, from the listening port of its family', async () => {
    const fromListenPort = { family: 4, fromListenPort: true, echo: 'warren' }
    assert.deepEqual(await runIsolated(new URL('names.child.ts', import.meta.url)), {
      refusing: fromListenPort,
      silent: fromListenPort,
      ip6: { family: 6, fromListenPort: true, echo: 'warren' },
    })
  })
})
