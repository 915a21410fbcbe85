import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { PORT_MAPPING_LIMITS } from '../../../protocols/port-mapping/limits.ts'
import type { HttpAnswer, HttpRequest } from '../../../protocols/port-mapping/way.ts'

/** Headers of a gateway take some hundred bytes. */
const MAX_HEADER_BYTES = 8 * 1024

/**
 * One HTTP exchange with the gateway, at its address and nowhere else: redirects are not followed. Undefined when
 * nothing whole came back within time and size.
 */
export async function askGateway(
  gateway: string,
  asked: HttpRequest,
  from: string,
  stop: AbortSignal,
): Promise<HttpAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<HttpAnswer | undefined>()
  const { method, port, path, headers, body } = asked
  const sent = request(
    {
      host: gateway,
      port,
      path,
      method,
      headers: { ...headers, connection: 'close', 'user-agent': 'warren' },
      localAddress: from,
      agent: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      signal: AbortSignal.any([stop, AbortSignal.timeout(PORT_MAPPING_LIMITS.httpMs)]),
    },
    (response) => void readBody(response).then(resolve, () => resolve(undefined)),
  )
  sent.on('error', () => resolve(undefined))
  sent.end(body)
  return await promise.finally(() => sent.destroy())
}

async function readBody(response: IncomingMessage): Promise<HttpAnswer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > PORT_MAPPING_LIMITS.maxBodyBytes) return undefined
    chunks.push(chunk)
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }
}
