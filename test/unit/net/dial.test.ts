import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { race } from '../../../src/net/dial.ts'

const never = new AbortController().signal
const connection = (id: string): Connection => ({ id }) as unknown as Connection

test('the first connection wins and the others are told to stop', async () => {
  const stopped: string[] = []
  const outcome = await race(
    [
      { address: 'slow', startAfterMs: 0 },
      { address: 'fast', startAfterMs: 0 },
    ],
    (address, signal) =>
      address === 'fast'
        ? Promise.resolve(connection(address))
        : new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              stopped.push(address)
              reject(new Error('stopped'))
            })
          }),
    { signal: never, addressTimeoutMs: 60_000 },
  )
  assert.equal(outcome.ok && outcome.connection.id, 'fast')
  assert.deepEqual(stopped, ['slow'])
})

test('when everything under way has failed, the next address starts without waiting for its turn', async () => {
  const began = Date.now()
  const outcome = await race(
    [
      { address: 'dead', startAfterMs: 0 },
      { address: 'alive', startAfterMs: 60_000 },
    ],
    (address) =>
      address === 'alive' ? Promise.resolve(connection('alive')) : Promise.reject(new Error('no')),
    { signal: never, addressTimeoutMs: 60_000 },
  )
  assert.equal(outcome.ok, true)
  assert.ok(Date.now() - began < 30_000)
})

test('a lost race names every address and its problem', async () => {
  const outcome = await race(
    [{ address: 'a', startAfterMs: 0 }],
    () => Promise.reject(new Error('refused')),
    { signal: never, addressTimeoutMs: 60_000 },
  )
  assert.deepEqual(outcome, { ok: false, tried: [{ address: 'a', problem: 'refused' }] })
})

test('an empty plan is lost at once, and an aborted race ends', async () => {
  const options = { signal: AbortSignal.abort(), addressTimeoutMs: 1 }
  assert.equal((await race([], () => Promise.reject(new Error('x')), options)).ok, false)
  const plan = [{ address: 'a', startAfterMs: 0 }]
  assert.equal((await race(plan, () => new Promise(() => {}), options)).ok, false)
})
