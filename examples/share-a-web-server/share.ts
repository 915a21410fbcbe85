/** Offers a local web server to one peer. See README.md. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { createNode } from '../../src/index.ts'

const { values } = parseArgs({
  options: {
    allow: { type: 'string' },
    bootstrap: { type: 'string', multiple: true, default: [] },
    listen: { type: 'string', multiple: true, default: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'] },
    target: { type: 'string' },
  },
})

const quit = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => quit.abort())

await using node = await createNode({ bootstrap: values.bootstrap, listen: values.listen })
const target = values.target ?? (await startWebServer())
const allow = values.allow === undefined ? 'all' : [values.allow]

node.expose({ name: 'web', target, allow })
console.log(`# I am ${node.peerId}`)
console.log(`# http://${target} is shared with ${values.allow ?? 'every member of the overlay'}`)
console.log(`# the other side runs: use.ts --peer ${node.peerId} --bootstrap …`)

if (!quit.signal.aborted) await once(quit.signal, 'abort')

/** Something to share for who has nothing at hand. */
async function startWebServer(): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/plain')
    response.end(`Hello from behind the other NAT. You asked for ${request.url}\n`)
  })
  server.unref()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
