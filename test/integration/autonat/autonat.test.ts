import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runIsolated, SKIP } from '../../support/namespace.ts'

describe('a stock libp2p node that asks ours by AutoNAT', { skip: SKIP }, () => {
  it('gets a true answer, by v1 and by v2, and keeps its connection', async () => {
    assert.deepEqual(await runIsolated(new URL('autonat.child.ts', import.meta.url)), {
      v1: { verified: true, connected: true },
      v2: { verified: true, connected: true },
    })
  })
})
