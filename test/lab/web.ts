/** The application beside a node: a plain web server that knows nothing of Warren. `node web.ts PORT GREETING` prints its port. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { setTimeout as after } from 'node:timers/promises'

/** As many bytes as asked for; no two chunks are equal, so that a lost or doubled one shows in the checksum. */
function* content(bytes: number): Generator<Buffer> {
  let left = bytes
  for (let i = 0; left > 0; i++) {
    const chunk = Buffer.alloc(Math.min(left, 65_536), `${i} a warren is a network of burrows `)
    left -= chunk.length
    yield chunk
  }
}

/** The same, no faster than this: nothing piles up in buffers on the way, so that a disturbance is felt at once. */
async function* paced(bytes: number, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const startedMs = performance.now()
  let sent = 0
  for (const chunk of content(bytes)) {
    const earlyMs = startedMs + (1000 * sent) / bytesPerSecond - performance.now()
    if (earlyMs > 0) await after(earlyMs)
    yield chunk
    sent += chunk.length
  }
}

/** The SHA-256 of what `/bytes/N` and `/bytes/N/at/RATE` answer with. */
export function contentHash(bytes: number): string {
  const hash = createHash('sha256')
  for (const chunk of content(bytes)) hash.update(chunk)
  return hash.digest('hex')
}

if (import.meta.main) {
  const [port, greeting = 'hello'] = process.argv.slice(2)
  const server = createServer((request, response) => {
    const [, bytes, rate] =
      /^\/bytes\/(\d{1,10})(?:\/at\/(\d{1,10}))?$/.exec(request.url ?? '') ?? []
    if (bytes === undefined) {
      response.end(`${greeting}\n`)
      return
    }
    response.setHeader('content-length', bytes)
    const body = rate === undefined ? content(Number(bytes)) : paced(Number(bytes), Number(rate))
    pipeline(Readable.from(body), response, () => {})
  })
  server.listen(Number(port), '127.0.0.1', () =>
    console.log((server.address() as AddressInfo).port),
  )
}
