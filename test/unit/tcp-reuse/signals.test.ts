import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { abortable, AttemptSignal } from '../../../src/net/tcp-reuse/signals.ts'

describe('abortable work', () => {
  it('settles as the work does and leaves no listener behind', async () => {
    const { signal } = new AbortController()
    assert.equal(await abortable(Promise.resolve(7), signal), 7)
    await assert.rejects(abortable(Promise.reject(new Error('broken')), signal), /broken/)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('is given up at once when the signal has aborted, even if the work fails later', async () => {
    const work = Promise.withResolvers<never>()
    await assert.rejects(abortable(work.promise, AbortSignal.abort()), { name: 'AbortError' })
    work.reject(new Error('nobody listens'))
  })
})

describe('the signal of an attempt', () => {
  it('follows the signal of the dial, one that has aborted before included', () => {
    const controller = new AbortController()
    using attempt = new AttemptSignal(controller.signal)
    assert.equal(attempt.signal.aborted, false)
    controller.abort()
    assert.equal(attempt.signal.aborted, true)
    using late = new AttemptSignal(controller.signal)
    assert.equal(late.signal.aborted, true)
  })

  it('never aborts once the attempt is over', () => {
    const controller = new AbortController()
    const attempt = new AttemptSignal(controller.signal)
    attempt[Symbol.dispose]()
    controller.abort()
    assert.equal(attempt.signal.aborted, false)
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  })

  it('bounds the time to connect, not the handshake after it', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { signal } = new AbortController()
    using slow = new AttemptSignal(signal, { connectMs: 1_000 })
    using quick = new AttemptSignal(signal, { connectMs: 1_000 })
    quick.connected()
    t.mock.timers.tick(1_000)
    assert.equal(slow.signal.aborted, true)
    assert.equal(quick.signal.aborted, false)
  })

  it('ends while connecting at a signal that means nothing any more once it is connected', () => {
    const parent = new AbortController()
    const connecting = new AbortController()
    using early = new AttemptSignal(parent.signal, { connecting: connecting.signal })
    using done = new AttemptSignal(parent.signal, { connecting: connecting.signal })
    done.connected()
    connecting.abort()
    assert.equal(early.signal.aborted, true)
    assert.equal(done.signal.aborted, false)
  })
})
