/** Two people talk, wherever they are. See README.md. */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createNode } from '../../src/index.ts'
import type { Link, Path, PeerStream, WarrenNode } from '../../src/index.ts'

const PROTOCOL = '/chat/1.0.0'

const { values } = parseArgs({
  options: {
    bootstrap: { type: 'string', multiple: true, default: [] },
    listen: { type: 'string', multiple: true, default: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'] },
    peer: { type: 'string' },
  },
})

const quit = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => quit.abort())

await using node = await createNode({ bootstrap: values.bootstrap, listen: values.listen })
console.log(`# I am ${node.peerId}`)

try {
  if (values.peer === undefined) await answer(node)
  else await call(node, values.peer)
} catch (error) {
  if (!quit.signal.aborted) throw error
}

/** Waits for whoever calls first, and talks with them. */
async function answer(node: WarrenNode): Promise<void> {
  const over = Promise.withResolvers<void>()
  quit.signal.addEventListener('abort', () => over.resolve())
  const stop = node.handle(PROTOCOL, async (stream, from) => {
    stop()
    console.log(`# ${from.peer} calls, ${describe(from.path)}`)
    await talk(stream).then(over.resolve, over.reject)
  })
  console.log(`# the other person runs: chat.ts --peer ${node.peerId} --bootstrap …`)
  await over.promise
}

/** Calls a peer by its id alone; the overlay knows where it is. */
async function call(node: WarrenNode, peer: string): Promise<void> {
  await using link = await reach(node, peer)
  console.log(`# talking to ${link.peer}, ${describe(link.path)}`)
  if (link.path.kind === 'relayed') void tellWhenDirect(link)
  await talk(await link.open(PROTOCOL, { signal: quit.signal }))
}

async function tellWhenDirect(link: Link): Promise<void> {
  try {
    console.log(`# now ${describe(await link.direct({ signal: quit.signal }))}`)
  } catch (error) {
    if (!quit.signal.aborted) console.log(`# it stays like that: ${(error as Error).message}`)
  }
}

/** Right after the start the overlay may not have heard of the other person yet. */
async function reach(node: WarrenNode, peer: string): Promise<Link> {
  const known = AbortSignal.any([quit.signal, AbortSignal.timeout(30_000)])
  if (!node.peer(peer)) {
    for await (const event of node.events({ signal: known })) {
      if (event.type === 'peer:found' && event.peer === peer) break
    }
  }
  return node.connect(peer, { signal: quit.signal })
}

/** Sends the lines of stdin and prints the lines that come, until one of the two ends. */
async function talk(stream: PeerStream): Promise<void> {
  const lines = createInterface({ input: process.stdin })
  quit.signal.addEventListener('abort', () => lines.close())
  const speaking = speak(stream, lines)
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of stream.readable) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) console.log(`> ${line}`)
  }
  console.log('# the other side has left')
  lines.close()
  await speaking
  await stream.close()
}

async function speak(stream: PeerStream, lines: AsyncIterable<string>): Promise<void> {
  const writer = stream.writable.getWriter()
  for await (const line of lines) await writer.write(new TextEncoder().encode(`${line}\n`))
  await writer.close()
}

function describe(path: Path): string {
  if (path.kind === 'relayed') return `over the relay ${path.via}`
  return `directly (${path.method}, ${path.address})`
}
