/** Brings the web server of another peer to a local port. See README.md. */
import { parseArgs } from 'node:util'
import { createNode } from '../../src/index.ts'

const { values } = parseArgs({
  options: {
    at: { type: 'string', default: '127.0.0.1:8080' },
    bootstrap: { type: 'string', multiple: true, default: [] },
    listen: { type: 'string', multiple: true, default: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'] },
    peer: { type: 'string' },
  },
})
if (values.peer === undefined) {
  console.error('say whose web server: use.ts --peer 12D3KooW… --bootstrap /ip4/…/tcp/4001/p2p/…')
  process.exit(2)
}

const quit = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => quit.abort())

await using node = await createNode({ bootstrap: values.bootstrap, listen: values.listen })
const { listen } = await node.forward({ listen: values.at, peer: values.peer, service: 'web' })
console.log(`# I am ${node.peerId}`)
console.log(`# open http://${listen}`)

for await (const event of node.events({ signal: quit.signal })) {
  if (event.type === 'service:refused') console.log(`# refused: ${event.reason}`)
  if (event.type === 'peer:linked' && event.peer === values.peer)
    console.log(`# linked, ${event.path.kind}`)
  if (event.type === 'peer:path-changed' && event.peer === values.peer)
    console.log(`# now ${event.to.kind}`)
}
