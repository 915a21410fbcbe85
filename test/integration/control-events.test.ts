import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { after, afterEach, before, test } from 'node:test'
import { EventStreams } from '../../src/control/events.ts'
import { EventHub } from '../../src/observe/event-hub.ts'

const FILLER = 'x'.repeat(64 * 1024)
const hub = new EventHub()
const node = { events: (options: { signal?: AbortSignal } = {}) => hub.subscribe(options) }
const streams = new EventStreams(16 * 1024)
const server = createServer((_request, response) => {
  served = streams.serve(node, response)
})
let served: Promise<void> = Promise.resolve()
let readers: IncomingMessage[] = []

before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => {
  for (const reader of readers) reader.destroy()
  readers = []
})
after(() => server.close())

async function open(): Promise<IncomingMessage> {
  const { port } = server.address() as { port: number }
  const [response] = (await once(get({ host: '127.0.0.1', port }), 'response')) as [IncomingMessage]
  readers.push(response)
  return response
}

test(
  'a reader that stands still is cut off with a note, and holds no memory after that',
  { timeout: 20_000 },
  async () => {
    const reader = await open()
    await once(reader, 'readable')
    const over = new AbortController()
    void served.finally(() => over.abort())
    // The kernel's buffers come first; how large they are is its own business, so we go on until it is over.
    while (!over.signal.aborted) {
      hub.publish({ type: 'node:stopping', reason: FILLER })
      await new Promise((resolve) => setImmediate(resolve))
    }
    let last = ''
    for await (const chunk of reader) last = (last + String(chunk)).slice(-1024)
    assert.match(last, /event: error\ndata: .*ERR_LIMIT_REACHED/)
  },
)

test('a stream ends with its node, after the last event', async () => {
  const reader = await open()
  await once(reader, 'readable')
  hub.publish({ type: 'node:stopping', reason: 'test' })
  hub.close()
  let text = ''
  for await (const chunk of reader) text += String(chunk)
  assert.match(text, /^retry: 2000\n\ndata: \{.*"node:stopping".*\}\n\n$/)
})

test('a reader that leaves ends its subscription', async () => {
  const reader = await open()
  await once(reader, 'readable')
  reader.destroy()
  await served
})
