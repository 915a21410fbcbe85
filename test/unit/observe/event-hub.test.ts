import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventHub } from '../../../src/observe/event-hub.ts'

test('a subscriber gets every event in order, with its time', async () => {
  const hub = new EventHub()
  const events = hub.subscribe()
  const first = events.next()
  hub.publish({ type: 'peer:gone', peer: 'a', reason: 'x' })
  hub.publish({ type: 'peer:gone', peer: 'b', reason: 'x' })
  const got = [await first, await events.next()].map(({ value }) => value)
  assert.deepEqual(
    got.map((event) => event?.type === 'peer:gone' && event.peer),
    ['a', 'b'],
  )
  assert.match(got[0]?.at ?? '', /^\d{4}-/)
})

test('a subscriber that stands still loses the oldest events and fills no memory', async () => {
  const hub = new EventHub()
  const events = hub.subscribe()
  const first = events.next()
  for (let i = 0; i < 5_000; i++) hub.publish({ type: 'peer:gone', peer: String(i), reason: 'x' })
  hub.close()
  const kept: string[] = []
  await first
  for await (const event of events) if (event.type === 'peer:gone') kept.push(event.peer)
  assert.ok(kept.length <= 1_024)
  assert.equal(kept.at(-1), '4999')
})

test('the signal, leaving the loop and closing the hub each end a subscription', async () => {
  const hub = new EventHub()
  const abort = new AbortController()
  const aborted = hub.subscribe({ signal: abort.signal }).next()
  abort.abort()
  assert.equal((await aborted).done, true)
  const closed = hub.subscribe().next()
  hub.close()
  assert.equal((await closed).done, true)
})
