import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { plainHost } from '../tcp-reuse/host.ts'

export interface SamplePortOptions {
  /** The address of this host to listen on. */
  readonly host: string
  /** Whose connections are told of; others are closed. */
  readonly from: string
  readonly connections: number
  /** How many bytes a connection begins with, by which its maker knows it. */
  readonly tagBytes: number
  readonly signal: AbortSignal
  seen(tag: Uint8Array, ip: string, port: number): void
}

/** A connection that says nothing for this long is closed: its tag is in the first packet. */
const TAG_MS = 2_000

/** Opens a port until the signal aborts, and tells of each connection from one address how it is seen here. */
export async function openSamplePort(options: SamplePortOptions): Promise<number> {
  const { host, from, connections, signal } = options
  signal.throwIfAborted()
  const open = new Set<net.Socket>()
  let left = connections
  const server = net.createServer((socket) => {
    const ip = plainHost(socket.remoteAddress ?? '')
    const port = socket.remotePort
    socket.on('error', () => {})
    if (ip !== plainHost(from) || port === undefined || left === 0) {
      socket.destroy()
      return
    }
    left--
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    readTag(socket, options.tagBytes, (tag) => options.seen(tag, ip, port))
  })
  signal.addEventListener(
    'abort',
    () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
    { once: true },
  )
  server.listen({ host, port: 0 })
  await once(server, 'listening', { signal })
  // What goes wrong later ends in silence, which is an answer as well.
  server.on('error', () => {})
  return (server.address() as AddressInfo).port
}

function readTag(socket: net.Socket, length: number, take: (tag: Uint8Array) => void): void {
  socket.setTimeout(TAG_MS, () => socket.destroy())
  let tag = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    if (tag.length >= length) return
    tag = Buffer.concat([tag, bytes]).subarray(0, length)
    if (tag.length === length) take(tag)
  })
}
