/**
 * A program for plain TCP and UDP trials on a host of the laboratory, told what to do by JSON lines on stdin:
 * one request a line, `{id, do, …}`; one answer a line on stdout, `{id, result}` or `{id, error}`.
 */
import { createSocket } from 'node:dgram'
import { BoundSocket, createServer, isIPv6, Socket } from 'node:net'
import { createInterface } from 'node:readline'

export type ProbeRequest =
  /** Listens; tells each caller its address as seen from here, then sends `bytes` of filling and ends if that is not 0. */
  | { do: 'listen'; port: number; bytes: number }
  /** Connects from a local port, shared with a listener, and reads what the other side says about us. */
  | { do: 'connect'; from: number; host: string; port: number; deadlineMs: number }
  /** Connects and counts what arrives until the other side ends. */
  | { do: 'fetch'; host: string; port: number }
  /** Counts datagrams on a port, up to `until` or for a time without any. */
  | { do: 'count'; port: number; until: number; quietMs: number }
  | { do: 'send'; host: string; port: number; datagrams: number }

export interface ConnectResult {
  outcome: 'open' | 'refused' | 'silence'
  /** `ip port` as the other side sees us. */
  observed: string
  ms: number
}

export interface FetchResult {
  bytes: number
  ms: number
}

/** Connections stay open until the probe ends, so that the mappings they made stay too. */
const kept: Socket[] = []
const FILLING = Buffer.alloc(64 * 1024, 'warren ')

function fill(socket: Socket, bytes: number): void {
  let left = bytes
  const more = () => {
    while (left > 0) {
      const chunk = FILLING.subarray(0, Math.min(left, FILLING.length))
      left -= chunk.length
      if (!socket.write(chunk)) return
    }
    socket.end()
  }
  socket.on('drain', more)
  more()
}

async function listen(port: number, bytes: number): Promise<null> {
  const server = createServer({ noDelay: true }, (socket) => {
    kept.push(socket)
    socket.on('error', () => {})
    socket.write(`${socket.remoteAddress} ${socket.remotePort}\n`)
    if (bytes > 0) fill(socket, bytes)
  })
  const { promise, resolve, reject } = Promise.withResolvers<null>()
  server.on('error', reject)
  server.listen(new BoundSocket({ host: '::', port, reusePort: true }), () => resolve(null))
  return promise
}

function connect(
  from: number,
  host: string,
  port: number,
  deadlineMs: number,
): Promise<ConnectResult> {
  const socket = new Socket({
    handle: new BoundSocket({ host: isIPv6(host) ? '::' : '0.0.0.0', port: from, reusePort: true }),
  })
  kept.push(socket)
  const started = performance.now()
  let ms = 0
  const { promise, resolve } = Promise.withResolvers<ConnectResult>()
  const end = (outcome: ConnectResult['outcome'], observed = '') => {
    clearTimeout(deadline)
    if (outcome !== 'open') socket.destroy()
    resolve({ outcome, observed, ms: ms || performance.now() - started })
  }
  const deadline = setTimeout(() => end('silence'), deadlineMs)
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end(error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET' ? 'refused' : 'silence')
  })
  socket.on('connect', () => {
    ms = performance.now() - started
    // Both ends of a simultaneous open are callers: each tells the other what it sees.
    socket.write(`${socket.remoteAddress} ${socket.remotePort}\n`)
  })
  socket.once('data', (line) => end('open', line.toString().split('\n')[0]))
  socket.connect({ host, port })
  return promise
}

async function fetchAll(host: string, port: number): Promise<FetchResult> {
  const socket = new Socket()
  const { promise, resolve, reject } = Promise.withResolvers<FetchResult>()
  const started = performance.now()
  let bytes = 0
  socket.on('data', (chunk) => (bytes += chunk.length))
  socket.on('end', () => resolve({ bytes, ms: performance.now() - started }))
  socket.on('error', reject)
  socket.connect({ host, port })
  return promise
}

async function count(port: number, until: number, quietMs: number): Promise<number> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let seen = 0
  const finish = () => {
    socket.close()
    resolve(seen)
  }
  let quiet = setTimeout(finish, quietMs)
  socket.on('error', reject)
  socket.on('message', () => {
    seen += 1
    clearTimeout(quiet)
    if (seen === until) finish()
    else quiet = setTimeout(finish, quietMs)
  })
  socket.bind(port)
  return promise
}

async function send(host: string, port: number, datagrams: number): Promise<null> {
  const socket = createSocket('udp4')
  for (let i = 0; i < datagrams; i++) {
    await new Promise<void>((resolve) => {
      socket.send('lost or found?', port, host, () => resolve())
    })
  }
  socket.close()
  return null
}

async function answer(request: ProbeRequest): Promise<unknown> {
  switch (request.do) {
    case 'listen':
      return listen(request.port, request.bytes)
    case 'connect':
      return connect(request.from, request.host, request.port, request.deadlineMs)
    case 'fetch':
      return fetchAll(request.host, request.port)
    case 'count':
      return count(request.port, request.until, request.quietMs)
    case 'send':
      return send(request.host, request.port, request.datagrams)
    default:
      throw new Error('unknown request')
  }
}

function say(reply: object): void {
  process.stdout.write(`${JSON.stringify(reply)}\n`)
}

if (import.meta.main) {
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const { id, ...request } = JSON.parse(line) as ProbeRequest & { id: number }
      answer(request).then(
        (result) => say({ id, result }),
        (error: unknown) => say({ id, error: String(error) }),
      )
    })
    .on('close', () => process.exit(0))
}
